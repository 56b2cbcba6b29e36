/** The broker's nodes: who serves topics, and how each is. */
import type { BrokerNode } from "../../../client/src/index.ts";
import { ago, bytes, count, duration, exact, plural } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Page } from "../parts/page.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

export function NodesPage() {
  const { answer: nodes, error } = useLive((signal) => hotswap().system.nodes({ signal }));
  const running = nodes.value?.filter(({ status }) => status !== "dead" && status !== "stopped") ?? [];
  return (
    <Page
      title="Nodes"
      isBusy={nodes.value === undefined}
      error={error.value}
      lead={<p class="muted">{nodes.value && plural(running.length, "node that runs", "nodes that run")}</p>}
    >
      {nodes.value && <Table rows={nodes.value} columns={columns} keyOf={({ id }) => id} />}
      <TwinPanel twin={{ cli: "hotswap node list", curl: curl("GET", "/api/v1/nodes") }} />
    </Page>
  );
}

const tones: Record<BrokerNode["status"], Tone> = {
  started: "good",
  draining: "warn",
  suspect: "warn",
  dead: "bad",
  stopped: "plain",
};

const since = (time: string) => ago(serverNowMs() - Date.parse(time));

const columns: readonly Column<BrokerNode>[] = [
  {
    head: "Node",
    cell: ({ name }) => name,
    note: ({ isSelf, address }) => (isSelf ? `${address}, the one that answers` : address),
  },
  { head: "Status", cell: ({ status }) => <State tone={tones[status]}>{status}</State> },
  {
    head: "Health",
    class: "wide",
    cell: ({ status, isHealthy, complaints }) => {
      if (status === "stopped") return <span class="muted">–</span>;
      return isHealthy ? <State tone="good">well</State> : <State tone="bad">{complaints.join(", ")}</State>;
    },
  },
  { head: "Backlog", isNumber: true, cell: ({ health }) => count(health.queueDepth) },
  { head: "Topics", isNumber: true, cell: ({ health }) => exact(health.topics) },
  { head: "Consumers", isNumber: true, cell: ({ health }) => exact(health.consumers) },
  { head: "Processor", isNumber: true, cell: ({ health }) => `${exact(health.cpuShare * 100)} %` },
  { head: "Memory", isNumber: true, cell: ({ health }) => bytes(health.memoryBytes) },
  { head: "Event loop, p99", isNumber: true, cell: ({ health }) => duration(health.eventLoopDelayMs) },
  { head: "Heard of", isNumber: true, cell: ({ heartbeatAt }) => since(heartbeatAt) },
  { head: "Up for", isNumber: true, cell: ({ startedAt }) => since(startedAt).replace(" ago", "") },
];
