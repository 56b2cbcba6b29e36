/** What a node reports of itself with each heartbeat. */
import type { Clock } from "../../core/clock.ts";
import type { Usage } from "../../platform/telemetry/index.ts";
import type { Registry } from "../delivery/registry.ts";
import type { NodeHealth } from "./node.ts";

export class HealthMeter {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #usage: () => Usage;
  #before: { at: number; cpuSeconds: number } | undefined;

  constructor(registry: Registry, clock: Clock, usage: () => Usage) {
    this.#registry = registry;
    this.#clock = clock;
    this.#usage = usage;
  }

  read(): NodeHealth {
    const { cpuSeconds, rssBytes: memoryBytes, eventLoopDelayP99Ms: eventLoopDelayMs } = this.#usage();
    const at = this.#clock.monotonic();
    const before = this.#before ?? { at: at - 1, cpuSeconds };
    this.#before = { at, cpuSeconds };
    const elapsedSeconds = Math.max(1, at - before.at) / 1000;
    const cpuShare = Math.round(((cpuSeconds - before.cpuSeconds) / elapsedSeconds) * 1000) / 1000;
    let queueDepth = 0;
    let consumers = 0;
    for (const { live } of this.#registry.openSubscriptions()) {
      const { depth, inFlight } = live.state;
      queueDepth += depth;
      consumers += live.waiting + (inFlight > 0 && live.waiting === 0 ? 1 : 0);
    }
    let topics = 0;
    for (const topic of this.#registry.all()) if (topic.isServed) topics += 1;
    return { queueDepth, consumers, topics, cpuShare: Math.max(0, cpuShare), memoryBytes, eventLoopDelayMs };
  }
}
