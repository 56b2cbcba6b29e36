/** What became of a configuration: versions made, promoted, in force, rolled back. */
import type { ConfigEvent } from "../../../client/src/index.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

const words: Record<ConfigEvent["type"], string> = {
  version: "made",
  promoted: "promoted from another environment",
  current: "in force",
  rolled_back: "rolled back to",
  deleted: "deleted",
};

export function ConfigHistory({ name }: { name: string }) {
  const { answer, error } = useLive((signal) => hotswap().configs.history(name, { limit: 100, signal }));
  const all = answer.value?.items;
  return (
    <>
      <ProblemPanel error={error.value} />
      {all?.length === 0 && <Empty title="Nothing has happened yet">{null}</Empty>}
      {all && all.length > 0 && <Table rows={all} columns={columns} keyOf={({ id }) => id} />}
      <TwinPanel twin={{ cli: undefined, curl: curl("GET", `/api/v1/configs/${name}/history`) }} />
    </>
  );
}

const columns: readonly Column<ConfigEvent>[] = [
  {
    head: "What",
    cell: ({ type, version }) => `Version ${version} ${words[type]}`,
    note: ({ note }) => note,
  },
  { head: "By", cell: ({ author }) => author },
  {
    head: "Deployment",
    cell: ({ deployment }) =>
      deployment ? (
        <a class="button small" href={href("deployments", deployment)}>
          See it
        </a>
      ) : (
        <span class="muted">–</span>
      ),
  },
  { head: "When", isNumber: true, cell: ({ at }) => ago(serverNowMs() - Date.parse(at)) },
];
