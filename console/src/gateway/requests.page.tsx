/** The last requests that the gateway served; each can be asked why it went the way it went. */
import type { ServedRequest } from "../../../client/src/index.ts";
import { ago, duration, plural } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Choices, chosen, Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

const pageSize = 200;
const outcomes = [
  ["all", "All"],
  ["failed", "Failed"],
  ["slow", "Slower than 1 s"],
] as const;

export function RequestsPage() {
  const { answer, error } = useLive(async (signal) => {
    const [requests, status] = await Promise.all([
      hotswap().gateway.requests({ limit: pageSize, signal }),
      hotswap().gateway.status({ signal }),
    ]);
    return { requests, status };
  });
  const all = answer.value?.requests;
  const outcome = chosen("outcome", "all");
  const shown =
    all?.filter(
      (one) =>
        (outcome === "all" || (outcome === "failed" ? isFailed(one) : one.totalMs > 1000)) &&
        fits(one.id, one.method, one.host + one.path, one.route, one.client, `${one.status}`),
    ) ?? [];
  return (
    <Page
      title="Requests"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && `The last ${plural(all.length, "request")} of this node`}</p>}
      actions={
        <>
          <Choices question="outcome" label="Outcome" options={outcomes} />
          {all && all.length > 0 && <SearchBox label="Search requests" />}
        </>
      }
    >
      {all?.length === 0 && (
        <Empty title="No request has come yet">
          <p>Send one through the gateway:</p>
          {answer.value?.status.url && <Command text={`curl -i ${answer.value.status.url}/`} />}
        </Empty>
      )}
      {shown.length > 0 && (
        <Table rows={shown} columns={columns} keyOf={({ id }) => id} to={({ id }) => ["requests", id]} />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="request" />}
      <TwinPanel twin={{ cli: undefined, curl: curl("GET", `/api/v1/gateway/requests?limit=${pageSize}`) }} />
    </Page>
  );
}

const isFailed = ({ status }: ServedRequest) => status === 0 || status >= 500;

export function toneOfStatus(status: number): Tone {
  if (status === 0 || status >= 500) return "bad";
  return status >= 400 ? "warn" : "good";
}

const columns: readonly Column<ServedRequest>[] = [
  {
    head: "Request",
    cell: ({ method, host, path }) => (
      <code>
        {method} {host}
        {path}
      </code>
    ),
    note: ({ flags }) => flags.map(({ meaning }) => meaning).join(", "),
  },
  {
    head: "Answer",
    cell: ({ status }) => <State tone={toneOfStatus(status)}>{status === 0 ? "none" : status}</State>,
  },
  { head: "Route", cell: ({ route }) => route ?? <span class="muted">none</span> },
  { head: "Attempts", isNumber: true, cell: ({ attempts }) => attempts },
  { head: "Took", isNumber: true, cell: ({ totalMs }) => duration(totalMs) },
  { head: "Client", cell: ({ client }) => client },
  { head: "When", isNumber: true, cell: ({ at }) => ago(serverNowMs() - Date.parse(at)) },
];
