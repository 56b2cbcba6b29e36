/** A broker node as others see it: one life of one process. Its row in PostgreSQL is its word; the rest is judged. */

export interface NodeHealth {
  /** Messages of the subscriptions that it serves, not yet acknowledged. */
  queueDepth: number;
  /** Consumers that wait for messages, or hold some. */
  consumers: number;
  /** Topics that it serves. */
  topics: number;
  /** Share of one CPU that the process used since the heartbeat before. */
  cpuShare: number;
  memoryBytes: number;
  eventLoopDelayMs: number;
}

/** What a node says of itself; `dead` is what the others say of it. */
export type NodeState = "started" | "draining" | "stopped" | "dead";

/** `suspect`: no heartbeat for half of its lease. It may still serve, and nobody may take over yet. */
export type NodeStatus = "started" | "draining" | "suspect" | "dead" | "stopped";

export interface BrokerNode {
  id: string;
  name: string;
  address: string;
  state: NodeState;
  leaseMs: number;
  startedAt: Date;
  heartbeatAt: Date;
  /** By the clock of the database, at the time of the look. */
  silentMs: number;
  /** Since the start of this life, by the same clock. */
  aliveMs: number;
  health: NodeHealth;
}

export function statusOf({ state, silentMs, leaseMs }: BrokerNode): NodeStatus {
  if (state === "dead" || state === "stopped") return state;
  if (silentMs >= leaseMs) return "dead";
  if (silentMs >= leaseMs / 2) return "suspect";
  return state;
}

/** What makes a node unfit, in words; nothing when it is well. */
export function complaintsOf(node: BrokerNode, limits: HealthLimits): string[] {
  const status = statusOf(node);
  const { health } = node;
  const complaints: string[] = [];
  if (status === "suspect" || status === "dead") {
    complaints.push(`no heartbeat for ${Math.round(node.silentMs / 100) / 10} s`);
  }
  if (status === "dead" || status === "stopped") return complaints;
  if (health.eventLoopDelayMs > limits.eventLoopDelayMs) {
    complaints.push(`its event loop is late by ${Math.round(health.eventLoopDelayMs)} ms`);
  }
  if (health.memoryBytes > limits.memoryBytes) {
    complaints.push(`it uses ${Math.round(health.memoryBytes / 2 ** 20)} MiB of memory`);
  }
  if (health.queueDepth > limits.queueDepth) complaints.push(`${health.queueDepth} messages wait`);
  return complaints;
}

export interface HealthLimits {
  eventLoopDelayMs: number;
  memoryBytes: number;
  queueDepth: number;
}

export function isHealthy(node: BrokerNode, limits: HealthLimits): boolean {
  return statusOf(node) === "started" && complaintsOf(node, limits).length === 0;
}

/** Whether others give it units: not one that leaves, nor one that has been silent. */
export const takesUnits = (node: BrokerNode) => statusOf(node) === "started";
