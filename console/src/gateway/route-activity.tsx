/** What goes through a route, and how its backends are. */
import type { GatewayBackend, GatewayRoute, RouteTraffic } from "../../../client/src/index.ts";
import { bytes, count, duration, exact, rate } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { number } from "../parts/number.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tile, Tiles } from "../parts/tile.tsx";
import { Backends } from "./backends.tsx";
import { byName, seriesOfRoute, traffic } from "./live.ts";

interface RouteActivityProps {
  route: GatewayRoute;
  backends: readonly GatewayBackend[];
  onChange(): Promise<void>;
}

export function RouteActivity({ route, backends, onChange }: RouteActivityProps) {
  const series = seriesOfRoute(route.name);
  series.revision.value; // subscribes
  const variants = byName(traffic.value?.routes ?? []).get(route.name) ?? [];
  const p99 = series.latest("p99Ms");
  const requests = variants.reduce((sum, one) => sum + one.requests, 0);
  return (
    <>
      <Tiles>
        <Tile label="Requests" value={rate(series.latest("requests") ?? 0)} unit="/s" />
        <Tile label="Failed" value={rate(series.latest("failures") ?? 0)} unit="/s" />
        <Tile label="p99" value={p99 === null ? "–" : duration(p99)} />
        <Tile label="Under way" value={count(series.latest("active") ?? 0)} />
        <Tile label="Requests in all" value={count(requests)} />
      </Tiles>
      <TrafficCharts series={series} syncKey={route.name} />
      {backends.length > 0 && <Backends all={backends} onChange={onChange} />}
      {variants.length > 0 && (
        <Table
          title="Answers since the start"
          rows={variants}
          columns={columns}
          keyOf={({ variant }) => variant}
        />
      )}
    </>
  );
}

export function TrafficCharts({
  series,
  syncKey,
}: {
  series: ReturnType<typeof seriesOfRoute>;
  syncKey: string;
}) {
  return (
    <div class="charts">
      <Chart
        title="Requests per second"
        series={series}
        format={rate}
        syncKey={syncKey}
        lines={[
          { name: "requests", label: "requests", color: 1 },
          { name: "failures", label: "failed", color: 2 },
        ]}
      />
      <Chart
        title="Time to answer"
        series={series}
        format={duration}
        syncKey={syncKey}
        lines={[
          { name: "p50Ms", label: "p50", color: 3 },
          { name: "p99Ms", label: "p99", color: 1 },
        ]}
      />
    </div>
  );
}

const classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];

const columns: readonly Column<RouteTraffic>[] = [
  { head: "Variant", cell: ({ variant }) => variant || "–" },
  ...classes.map(
    (head, index): Column<RouteTraffic> => ({
      head,
      isNumber: true,
      cell: ({ byClass }) => number(byClass[index], exact),
    }),
  ),
  { head: "Failed", isNumber: true, cell: ({ failed }) => exact(failed) },
  { head: "Received", isNumber: true, cell: ({ requestBytes }) => bytes(requestBytes) },
  { head: "Sent", isNumber: true, cell: ({ responseBytes }) => bytes(responseBytes) },
];
