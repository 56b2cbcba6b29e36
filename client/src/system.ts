/** The server itself: how it is and what it does right now. */

import { HotSwapProblem } from "./problem.ts";
import { type CallOptions, path, type Transport } from "./transport.ts";

export interface Overview {
  version: string;
  mode: "development" | "production";
  startedAt: string;
  /** The server's time of this answer; rates are differences of totals over differences of `now`. */
  now: string;
  health: Health;
  messaging: {
    topics: number;
    subscriptions: number;
    publishedTotal: number;
    deliveredTotal: number;
    ackedTotal: number;
    redeliveredTotal: number;
    depth: number;
    inFlight: number;
    bytes: number;
  };
  gateway: {
    /** Where clients reach it; null when it is off. */
    url: string | null;
    tlsUrl: string | null;
    status: "ok" | "stale" | "off";
    routes: number;
    revision: number;
  };
  process: { cpuSeconds: number; rssBytes: number; eventLoopDelayP99Ms: number };
}

export interface Health {
  status: "ok" | "degraded" | "down";
  checks: HealthCheck[];
}

export interface HealthCheck {
  name: string;
  status: "ok" | "down";
  detail?: string;
}

/** One life of one process of the broker. */
export interface BrokerNode {
  id: string;
  name: string;
  /** Where other nodes reach it. */
  address: string;
  /** It is the node that answered. */
  isSelf: boolean;
  status: "started" | "draining" | "suspect" | "dead" | "stopped";
  isHealthy: boolean;
  /** What makes it unhealthy, in words. */
  complaints: string[];
  startedAt: string;
  heartbeatAt: string;
  health: {
    queueDepth: number;
    consumers: number;
    topics: number;
    cpuShare: number;
    memoryBytes: number;
    eventLoopDelayMs: number;
  };
}

export class System {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  overview(options: CallOptions = {}): Promise<Overview> {
    return this.#transport.json({ method: "GET", path: "/api/v1/overview", ...options });
  }

  /** The broker nodes that run, and for an hour those that have gone. */
  async nodes(options: CallOptions = {}): Promise<BrokerNode[]> {
    const request = { method: "GET", path: "/api/v1/nodes", ...options } as const;
    return (await this.#transport.json<{ items: BrokerNode[] }>(request)).items;
  }

  node(id: string, options: CallOptions = {}): Promise<BrokerNode> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/nodes/${id}`, ...options });
  }

  /** Whether the process lives; needs no token. */
  async health(options: CallOptions = {}): Promise<boolean> {
    return this.#answers("/health", options);
  }

  /** Whether the server takes work; needs no token. */
  async ready(options: CallOptions = {}): Promise<boolean> {
    return this.#answers("/ready", options);
  }

  async #answers(path: string, options: CallOptions): Promise<boolean> {
    try {
      await this.#transport.json({ method: "GET", path, ...options, idempotent: false });
      return true;
    } catch (error) {
      if (error instanceof HotSwapProblem && error.status === 503) return false;
      throw error;
    }
  }
}
