/**
 * Looks at all nodes from time to time: sets the metrics, and says once, in the log, when one becomes unhealthy or well
 * again. Alerts are made of the metrics (deploy/prometheus), which every node has of every other.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Metrics } from "../../platform/telemetry/index.ts";
import { type BrokerNode, complaintsOf, type HealthLimits, statusOf } from "./node.ts";
import type { NodeList } from "./sole-node.ts";

export interface MonitorParts {
  nodes: NodeList;
  clock: Clock;
  limits: HealthLimits;
  metrics: Metrics;
  /** Told of a node that is unhealthy now. */
  onError: (error: unknown) => void;
}

export const lookEveryMs = 30_000;

export class Monitor {
  readonly #parts: MonitorParts;
  readonly #unwell = new Map<string, string>();
  #timer: Timer | undefined;

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    const up = parts.metrics.gauge("broker_node_up");
    const healthy = parts.metrics.gauge("broker_node_healthy");
    const depth = parts.metrics.gauge("broker_node_queue_depth");
    const topics = parts.metrics.gauge("broker_node_topics");
    const consumers = parts.metrics.gauge("broker_node_consumers");
    const cpu = parts.metrics.gauge("broker_node_cpu_share");
    const memory = parts.metrics.gauge("broker_node_memory_bytes");
    const seen = new Set<string>();
    parts.metrics.onCollect(() => {
      const all = newestByName(parts.nodes.nodes);
      for (const name of seen) if (!all.has(name)) parts.metrics.forget({ node: name });
      seen.clear();
      for (const [name, node] of all) {
        seen.add(name);
        const labels = { node: name };
        const status = statusOf(node);
        up.labels(labels).set(status === "started" || status === "draining" ? 1 : 0);
        healthy.labels(labels).set(complaintsOf(node, parts.limits).length === 0 ? 1 : 0);
        depth.labels(labels).set(node.health.queueDepth);
        topics.labels(labels).set(node.health.topics);
        consumers.labels(labels).set(node.health.consumers);
        cpu.labels(labels).set(node.health.cpuShare);
        memory.labels(labels).set(node.health.memoryBytes);
      }
    });
  }

  start(): void {
    this.#timer = this.#parts.clock.after(lookEveryMs, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  look(): void {
    const { nodes, limits, onError } = this.#parts;
    for (const node of nodes.nodes) {
      const complaint = complaintsOf(node, limits).join("; ");
      if (complaint && this.#unwell.get(node.id) === undefined && statusOf(node) !== "stopped") {
        onError(new Error(`node ${node.name} (${node.id}) is not well: ${complaint}`));
      }
      if (complaint) this.#unwell.set(node.id, complaint);
      else this.#unwell.delete(node.id);
    }
    const known = new Set(nodes.nodes.map(({ id }) => id));
    for (const id of this.#unwell.keys()) if (!known.has(id)) this.#unwell.delete(id);
  }
}

/** A name's lives before the newest are of no interest to a graph. */
function newestByName(nodes: readonly BrokerNode[]): Map<string, BrokerNode> {
  const newest = new Map<string, BrokerNode>();
  for (const node of nodes) {
    const other = newest.get(node.name);
    if (!other || other.startedAt <= node.startedAt) newest.set(node.name, node);
  }
  return newest;
}
