/** All routes of the gateway with what goes through them right now. */
import type { GatewayRoute } from "../../../client/src/index.ts";
import { count, duration, plural, rate } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { number } from "../parts/number.tsx";
import { Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { Findings } from "./changes.tsx";
import { refreshTraffic, seriesOfRoute, type TrafficLine } from "./live.ts";
import { firstRoute } from "./new-route.page.tsx";
import { applying, backendText, matchText } from "./route-text.ts";

const pageSize = 200;

export function RoutesPage() {
  const { answer, error } = useLive(async (signal) => {
    const gateway = hotswap().gateway;
    const [page, analysis] = await Promise.all([
      gateway.routes({ limit: pageSize, signal }),
      gateway.analysis({ signal }),
      refreshTraffic(signal),
    ]);
    return { page, analysis };
  });
  const all = answer.value?.page.items;
  const findings = answer.value?.analysis.findings ?? [];
  const shown = all?.filter((route) => fits(route.name, matchText(route.match), backendText(route))) ?? [];
  return (
    <Page
      title="Routes"
      isBusy={all === undefined}
      error={error.value}
      lead={
        <p class="muted">
          {answer.value && `${plural(all!.length, "route")}, revision ${answer.value.analysis.revision}`}
        </p>
      }
      actions={
        <>
          {all && all.length > 0 && <SearchBox label="Search routes" />}
          <a class="button" href={href("routes", "set")}>
            Whole set
          </a>
          <a class="button primary" href={href("routes", "new")}>
            <Icon name="plus" /> Create route
          </a>
        </>
      }
    >
      {all?.length === 0 && <NoRoutes />}
      {findings.length > 0 && (
        <section class="panel">
          <h2>Routes that get in each other's way</h2>
          <Findings all={findings} />
        </section>
      )}
      {shown.length > 0 && (
        <Table rows={shown} columns={columns} keyOf={({ id }) => id} to={({ id }) => ["routes", id]} />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="route" />}
      {answer.value?.page.next && <p class="muted">These are the first {pageSize}.</p>}
      {shown.length > 0 && (
        <TwinPanel
          twin={{ cli: "hotswap gateway routes list", curl: curl("GET", "/api/v1/gateway/routes") }}
        />
      )}
    </Page>
  );
}

function latest({ name }: GatewayRoute, line: TrafficLine) {
  const series = seriesOfRoute(name);
  series.revision.value; // subscribes
  return series.latest(line);
}

const columns: readonly Column<GatewayRoute>[] = [
  { head: "Route", cell: ({ name }) => name, note: ({ description }) => description },
  { head: "Matches", class: "wide", cell: ({ match }) => <code>{matchText(match)}</code> },
  { head: "Leads to", class: "wide", cell: (route) => <code>{backendText(route)}</code> },
  {
    head: "State",
    cell: ({ enabled = true }) => (enabled ? <State tone="good">on</State> : <State tone="plain">off</State>),
  },
  { head: "Requests", isNumber: true, cell: (route) => number(latest(route, "requests"), rate, "/s") },
  {
    head: "Requests in the last minutes",
    isHeadHidden: true,
    class: "spark",
    cell: ({ name }) => <Sparkline series={seriesOfRoute(name)} name="requests" />,
  },
  { head: "Failed", isNumber: true, cell: (route) => number(latest(route, "failures"), rate, "/s") },
  { head: "p99", isNumber: true, cell: (route) => number(latest(route, "p99Ms"), duration) },
  { head: "Under way", isNumber: true, cell: (route) => number(latest(route, "active"), count) },
];

function NoRoutes() {
  return (
    <Empty title="There are no routes yet">
      <p>
        A route says which requests go to which backends. <a href={href("routes", "new")}>Create one here</a>,
        or by:
      </p>
      <TwinPanel
        twin={{ cli: applying([firstRoute]), curl: curl("POST", "/api/v1/gateway/routes", firstRoute) }}
      />
    </Empty>
  );
}
