/** The server itself: how it is and what it does right now. */

import { HotSwapProblem } from "./problem.ts";
import type { CallOptions, Transport } from "./transport.ts";

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

export class System {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  overview(options: CallOptions = {}): Promise<Overview> {
    return this.#transport.json({ method: "GET", path: "/api/v1/overview", ...options });
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
