/** A node that shares its log with nobody: the list of nodes is this one, and nothing is leased. */

import { hostname } from "node:os";
import type { Clock } from "../../core/clock.ts";
import type { HealthMeter } from "./health.ts";
import type { BrokerNode } from "./node.ts";

/** What the routes and the monitor need of nodes, one or many. */
export interface NodeList {
  /** Of this node; undefined before it has joined. */
  readonly id: string | undefined;
  readonly nodes: readonly BrokerNode[];
}

export class SoleNode implements NodeList {
  readonly id: string;
  readonly #clock: Clock;
  readonly #meter: HealthMeter;
  readonly #startedAt: Date;
  address = "";

  constructor(id: string, clock: Clock, meter: HealthMeter) {
    this.id = id;
    this.#clock = clock;
    this.#meter = meter;
    this.#startedAt = new Date(clock.now());
  }

  get nodes(): readonly BrokerNode[] {
    const now = this.#clock.now();
    return [
      {
        id: this.id,
        name: hostname(),
        address: this.address,
        state: "started",
        leaseMs: Number.POSITIVE_INFINITY, // nobody could take over
        startedAt: this.#startedAt,
        heartbeatAt: new Date(now),
        silentMs: 0,
        aliveMs: now - this.#startedAt.getTime(),
        health: this.#meter.read(),
      },
    ];
  }
}
