/** What goes through the gateway right now, by route and by backend. */
import type { GatewayStatus } from "../../../client/src/index.ts";
import { ago, count, duration, exact, rate } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { number } from "../parts/number.tsx";
import { Page } from "../parts/page.tsx";
import { Rows } from "../parts/rows.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tile, Tiles } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { Backends } from "./backends.tsx";
import { byName, refreshTraffic, seriesOfRoute, total } from "./live.ts";
import { TrafficCharts } from "./route-activity.tsx";

export function TrafficPage() {
  const { answer, error, refresh } = useLive(
    async (signal) => {
      const [traffic, status, backends] = await Promise.all([
        refreshTraffic(signal),
        hotswap().gateway.status({ signal }),
        hotswap().gateway.backends({ signal }),
      ]);
      return { traffic, status, backends };
    },
    { intervalMs: 1000 },
  );
  const now = answer.value;
  total.revision.value; // subscribes
  const p99 = total.latest("p99Ms");
  return (
    <Page
      title="Traffic"
      isBusy={now === undefined}
      error={error.value}
      lead={now && <Listening status={now.status} />}
    >
      {now && (
        <>
          <Tiles>
            <Tile label="Requests" value={rate(total.latest("requests") ?? 0)} unit="/s" />
            <Tile label="Failed" value={rate(total.latest("failures") ?? 0)} unit="/s" />
            <Tile label="p99 of the slowest route" value={p99 === null ? "–" : duration(p99)} />
            <Tile label="Connections" value={count(now.traffic.connections)} />
            <Tile label="Tunnels" value={count(now.traffic.tunnels)} />
          </Tiles>
          <TrafficCharts series={total} syncKey="traffic" />
          {now.traffic.routes.length > 0 && (
            <Table
              title="Routes"
              rows={[...byName(now.traffic.routes)].map(([name, [first]]) => ({ name, id: first!.id }))}
              columns={columns}
              keyOf={({ id }) => id}
              to={({ id }) => ["routes", id]}
            />
          )}
          {now.backends.length > 0 && <Backends all={now.backends} onChange={refresh} />}
          <Reasons counts={[now.traffic.refused, now.traffic.retries, now.traffic.flags]} />
          {now.status.url && <Command text={`curl -i ${now.status.url}/`} />}
          <TwinPanel twin={{ cli: undefined, curl: curl("GET", "/api/v1/gateway/traffic") }} />
        </>
      )}
    </Page>
  );
}

function Listening({ status }: { status: GatewayStatus }) {
  const { url, tlsUrl, revision, workers, staleSince, limits, problems } = status;
  if (url === null) return <p class="muted">The gateway of this node is switched off.</p>;
  return (
    <>
      <ul class="traits">
        <li>
          <code>{url}</code>
        </li>
        {tlsUrl && (
          <li>
            <code>{tlsUrl}</code>
          </li>
        )}
        <li>revision {revision}</li>
        <li>{workers === 1 ? "1 worker" : `${workers} workers`}</li>
      </ul>
      {staleSince && (
        <p>
          <State tone="warn">stale</State> The database has not been reached for{" "}
          {ago(serverNowMs() - Date.parse(staleSince)).replace(" ago", "")}; the last routes are served.
        </p>
      )}
      {limits === "alone" && (
        <p>
          <State tone="warn">alone</State> The shared store is away; each node counts rate limits by itself.
        </p>
      )}
      {problems.map(({ kind, id, message }) => (
        <p key={`${kind} ${id}`}>
          <State tone="bad">{kind}</State> {id}: {message}
        </p>
      ))}
    </>
  );
}

interface TrafficRow {
  name: string;
  id: string;
}

const latest = ({ name }: TrafficRow, line: "requests" | "failures" | "p50Ms" | "p99Ms" | "active") => {
  const series = seriesOfRoute(name);
  series.revision.value; // subscribes
  return series.latest(line);
};

const columns: readonly Column<TrafficRow>[] = [
  { head: "Route", cell: ({ name }) => name },
  { head: "Requests", isNumber: true, cell: (row) => number(latest(row, "requests"), rate, "/s") },
  {
    head: "Requests in the last minutes",
    isHeadHidden: true,
    class: "spark",
    cell: ({ name }) => <Sparkline series={seriesOfRoute(name)} name="requests" />,
  },
  { head: "Failed", isNumber: true, cell: (row) => number(latest(row, "failures"), rate, "/s") },
  { head: "p50", isNumber: true, cell: (row) => number(latest(row, "p50Ms"), duration) },
  { head: "p99", isNumber: true, cell: (row) => number(latest(row, "p99Ms"), duration) },
  { head: "Under way", isNumber: true, cell: (row) => number(latest(row, "active"), count) },
];

/** Counts by reason since the start, of what did not go the straight way. */
function Reasons({ counts }: { counts: readonly Record<string, number>[] }) {
  const [refused, retries, flags] = counts.map((one) =>
    Object.entries(one)
      .filter(([, value]) => value > 0)
      .map(([reason, value]) => [reason, exact(value)] as const),
  );
  const parts = [
    ["Refused before a route was known", refused],
    ["Tried again", retries],
    ["Flags of answers", flags],
  ] as const;
  const given = parts.filter(([, rows]) => rows && rows.length > 0);
  if (given.length === 0) return null;
  return (
    <div class="columns">
      {given.map(([title, rows]) => (
        <section key={title} class="panel">
          <h2>{title}, since the start</h2>
          <Rows all={rows!} />
        </section>
      ))}
    </div>
  );
}
