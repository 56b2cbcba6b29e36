/** What waits for somebody to agree, and what was decided. */
import type { ApprovalState, ApprovalSummary } from "../../../client/src/index.ts";
import { ago, plural } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Choices, chosen, Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { query } from "../route.ts";
import { hotswap } from "../session.ts";
import { toneOfApproval } from "./tone.ts";

const states = [
  ["pending", "Waiting"],
  ["approved", "Approved"],
  ["rejected", "Rejected"],
  ["all", "All"],
] as const;

export function ApprovalsPage() {
  const { answer, error } = useLive(
    (signal) => {
      const state = chosen("state", "pending");
      return hotswap().approvals.list({
        ...(state !== "all" && { state: state as ApprovalState }),
        limit: 100,
        signal,
      });
    },
    { watch: () => query.value.state },
  );
  const all = answer.value?.items;
  const shown = all?.filter((one) => fits(one.kind, one.resource, one.author, one.summary)) ?? [];
  const state = chosen("state", "pending");
  const path = `/api/v1/approvals${state === "all" ? "" : `?state=${state}`}`;
  return (
    <Page
      title="Approvals"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && plural(all.length, "request")}</p>}
      actions={
        <>
          <Choices question="state" label="State" options={states} />
          {all && all.length > 0 && <SearchBox label="Search requests" />}
        </>
      }
    >
      {all?.length === 0 && <Nothing isInbox={state === "pending"} />}
      {shown.length > 0 && (
        <Table rows={shown} columns={columns} keyOf={({ id }) => id} to={({ id }) => ["approvals", id]} />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="request" />}
      <TwinPanel twin={{ cli: undefined, curl: curl("GET", path) }} />
    </Page>
  );
}

const since = (time: string) => ago(serverNowMs() - Date.parse(time));

const columns: readonly Column<ApprovalSummary>[] = [
  { head: "What", cell: ({ resource }) => resource, note: ({ summary }) => summary },
  { head: "To do", cell: ({ kind }) => <code>{kind}</code> },
  { head: "State", cell: ({ state }) => <State tone={toneOfApproval[state]}>{state}</State> },
  { head: "Environment", cell: ({ environment }) => environment ?? <span class="muted">–</span> },
  { head: "Author", cell: ({ author }) => author },
  { head: "Asked", isNumber: true, cell: ({ requestedAt }) => since(requestedAt) },
  {
    head: "Decided",
    isNumber: true,
    cell: ({ decidedBy, decidedAt }) =>
      decidedBy && decidedAt ? `${decidedBy}, ${since(decidedAt)}` : <span class="muted">–</span>,
  },
];

function Nothing({ isInbox }: { isInbox: boolean }) {
  return (
    <Empty title={isInbox ? "Nothing waits for a decision" : "There are none"}>
      <p>A change that somebody else must agree to asks for an approval by itself. To ask for one by hand:</p>
      <TwinPanel
        twin={{
          cli: undefined,
          curl: curl("POST", "/api/v1/approvals", {
            kind: "config.deploy",
            resource: "configs/shop/7",
            content: { discount: 10 },
          }),
        }}
      />
    </Empty>
  );
}
