/** What this process uses, for a person who looks at the overview; /metrics has the same in more detail. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Clock, systemClock } from "../../core/clock.ts";

const resolutionMs = 10;
const windowMs = 10_000;

export interface Usage {
  cpuSeconds: number;
  rssBytes: number;
  /** How late the event loop was, 99 times of 100 at most; over the last 10 to 20 s. */
  eventLoopDelayP99Ms: number;
}

export class ProcessUsage {
  readonly #clock: Clock;
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });
  #windowStart: number;
  #previousP99Ms = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#windowStart = clock.monotonic();
    this.#delay.enable();
  }

  read(): Usage {
    const { user, system } = process.cpuUsage();
    const currentP99Ms = this.#p99Ms();
    const eventLoopDelayP99Ms = Math.max(currentP99Ms, this.#previousP99Ms);
    if (this.#clock.monotonic() - this.#windowStart > windowMs) {
      this.#previousP99Ms = currentP99Ms;
      this.#windowStart = this.#clock.monotonic();
      this.#delay.reset();
    }
    return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss(), eventLoopDelayP99Ms };
  }

  stop(): void {
    this.#delay.disable();
  }

  /**
   * The histogram holds the time between two ticks of its timer, so an idle loop shows the resolution itself.
   */
  #p99Ms(): number {
    const betweenTicksMs = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e6;
    return Math.max(0, Math.round((betweenTicksMs - resolutionMs) * 100) / 100);
  }
}
