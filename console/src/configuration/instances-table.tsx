/** Instances of services, and whether each runs what it should. */
import type { Instance, InstanceConfig, InstanceFilter } from "../../../client/src/index.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { fits, NothingFits } from "../parts/search.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

export function InstancesTable({ filter = {} }: { filter?: InstanceFilter }) {
  const { answer, error } = useLive((signal) => hotswap().instances.list({ ...filter, limit: 200, signal }));
  const all = answer.value?.items;
  const shown = all?.filter((one) => fits(one.instanceId, one.service, one.environment)) ?? [];
  const path = `/api/v1/instances${filter.config === undefined ? "" : `?config=${filter.config}`}`;
  return (
    <>
      <ProblemPanel error={error.value} />
      {all?.length === 0 && (
        <Empty title="No instance has registered">
          <p>A service registers by itself when it watches its configuration with the client.</p>
        </Empty>
      )}
      {shown.length > 0 && <Table rows={shown} columns={columns} keyOf={({ instanceId }) => instanceId} />}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="instance" />}
      <TwinPanel
        twin={{
          cli: `hotswap instance list${filter.config === undefined ? "" : ` --config ${filter.config}`}`,
          curl: curl("GET", path),
        }}
      />
    </>
  );
}

const tones: Record<InstanceConfig["status"], Tone> = { applied: "good", pending: "warn", rejected: "bad" };

const columns: readonly Column<Instance>[] = [
  {
    head: "Instance",
    cell: ({ instanceId }) => instanceId,
    note: ({ labels }) =>
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(", "),
  },
  { head: "Service", cell: ({ service, environment }) => `${service}, ${environment}` },
  { head: "Status", cell: ({ status }) => <State tone={status === "live" ? "good" : "bad"}>{status}</State> },
  {
    head: "Runs",
    class: "wide",
    cell: ({ configs }) => (
      <ul>
        {configs.map(({ config, running, desired, status, rejected }) => (
          <li key={config}>
            {config} {running ?? "–"}
            {running !== desired && ` → ${desired ?? "–"}`} <State tone={tones[status]}>{status}</State>
            {rejected && <small>{rejected.reason}</small>}
          </li>
        ))}
      </ul>
    ),
  },
  { head: "Heard of", isNumber: true, cell: ({ seenAt }) => ago(serverNowMs() - Date.parse(seenAt)) },
];
