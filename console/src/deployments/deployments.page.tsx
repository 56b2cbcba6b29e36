/** What is being changed, how far each change is, and what became of the last ones. */
import type { DeploymentStatus, DeploymentSummary } from "../../../client/src/index.ts";
import { ago, plural } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Choices, chosen, Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { query } from "../route.ts";
import { hotswap } from "../session.ts";
import { percent, toneOfDeployment, wordOf } from "./text.ts";

const states = [
  ["all", "All"],
  ["active", "Under way"],
  ["rolled_back", "Rolled back"],
  ["succeeded", "Succeeded"],
] as const;

export function DeploymentsPage() {
  const status = chosen("status", "all");
  const { answer, error } = useLive(
    (signal) => {
      const wanted = chosen("status", "all");
      const filter = wanted === "all" ? {} : { status: wanted as DeploymentStatus };
      return hotswap().deployments.list({ ...filter, limit: 100, signal });
    },
    { intervalMs: 1000, watch: () => query.value.status },
  );
  const all = answer.value?.items;
  const shown = all?.filter((one) => fits(one.summary, one.target, one.createdBy, one.strategy)) ?? [];
  const flag = status === "all" ? "" : ` --status ${status}`;
  const path = `/api/v1/deployments${status === "all" ? "" : `?status=${status}`}`;
  return (
    <Page
      title="Deployments"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && plural(all.length, "deployment")}</p>}
      actions={
        <>
          <Choices question="status" label="Status" options={states} />
          {all && all.length > 0 && <SearchBox label="Search deployments" />}
        </>
      }
    >
      {all?.length === 0 && <Nothing isFiltered={status !== "all"} />}
      {shown.length > 0 && (
        <Table rows={shown} columns={columns} keyOf={({ id }) => id} to={({ id }) => ["deployments", id]} />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="deployment" />}
      <TwinPanel twin={{ cli: `hotswap deployment list${flag}`, curl: curl("GET", path) }} />
    </Page>
  );
}

const since = (time: string) => ago(serverNowMs() - Date.parse(time));

const columns: readonly Column<DeploymentSummary>[] = [
  { head: "What", cell: ({ summary }) => summary, note: ({ note }) => note },
  { head: "Strategy", cell: ({ strategy }) => strategy },
  {
    head: "Status",
    cell: ({ status, holdReasons }) => (
      <State tone={toneOfDeployment[status]}>
        {wordOf(status)}
        {holdReasons.length > 0 && `: ${holdReasons.join(", ")}`}
      </State>
    ),
  },
  { head: "Share", isNumber: true, cell: ({ share }) => percent(share) },
  { head: "Phase", isNumber: true, cell: ({ phase, phases }) => `${phase} of ${phases}` },
  { head: "By", cell: ({ createdBy }) => createdBy },
  { head: "Asked for", isNumber: true, cell: ({ createdAt }) => since(createdAt) },
];

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  return (
    <Empty title={isFiltered ? "There are none of these" : "Nothing has been deployed yet"}>
      <p>See one being found bad and taken back, and a good one being promoted:</p>
      <Command text="hotswap demo" />
    </Empty>
  );
}
