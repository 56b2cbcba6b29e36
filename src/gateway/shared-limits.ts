/**
 * Rate limits over all nodes. The data plane decides by what it knows and never waits; ten times a second this tells
 * the shared store what was taken here, and the data plane what all nodes together took. The store keeps one time for
 * each limit, that at which it is whole again, and every request that was let through moves it, on whichever node.
 *
 * So in the long run all nodes together give exactly the rate. What they can give too much is what happens between
 * two looks: a caller who turns to n nodes within 100 ms may get the burst from each, and waits for it afterwards.
 * While the store is away every node counts by itself, which is the limit once per node; what was taken meanwhile is
 * not told later, as it would be a debt of requests that are long forgotten.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { DataPlane, LimitLevel, LimitUse } from "./proxy/data-plane.ts";

export interface SharedLimitsOptions {
  kv: Pick<Kv, "shared" | "gcra" | "ping">;
  plane: Pick<DataPlane, "limitUses" | "raiseLimits">;
  clock: Clock;
  onError(error: unknown): void;
}

const everyMs = 100;
/** The store is left alone for so long after a failure. */
const pauseMs = 1_000;
const pingMs = 1_000;
/** Looks without anything to tell after which the store is asked whether it is there, so that `state` is true. */
const idleLooksMax = 10;
/** Limits of one look; the others have their turn in the next. */
const usesMax = 1_000;
/** What was let through has been let through: the store counts, and refuses nothing. */
const burst = 1e9;

export class SharedLimits implements Service {
  readonly name = "gateway limits";
  readonly #options: SharedLimitsOptions;
  #timer: Timer | undefined;
  #isAlone = false;
  #idleLooks = 0;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SharedLimitsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#options.kv.shared) this.#lookIn(everyMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** `node`: there is nobody to share with. `alone`: there is, but the store is away. */
  get state(): "node" | "shared" | "alone" {
    if (!this.#options.kv.shared) return "node";
    return this.#isAlone ? "alone" : "shared";
  }

  #lookIn(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#running = this.#look().then(() => this.#lookIn(this.#isAlone ? pauseMs : everyMs));
    });
  }

  async #look(): Promise<void> {
    const { kv, plane, clock, onError } = this.#options;
    try {
      if (this.#isAlone) {
        await kv.ping(pingMs);
        this.#isAlone = false;
        while (plane.limitUses(usesMax).length === usesMax); // forgotten
        return;
      }
      const uses = plane.limitUses(usesMax);
      if (uses.length === 0 && ++this.#idleLooks % idleLooksMax === 0) await kv.ping(pingMs);
      const levels = await Promise.all(uses.map((use) => this.#tell(use)));
      plane.raiseLimits(levels, clock.monotonic());
    } catch (error) {
      if (!this.#isAlone) onError(error);
      this.#isAlone = true;
    }
  }

  async #tell({ at, key, taken, intervalMs }: LimitUse): Promise<LimitLevel> {
    const name = `gateway/limit/${key.toString(36)}`;
    const { resetMs } = await this.#options.kv.gcra(name, { burst, intervalMs, cost: taken });
    return { at, key, wholeInMs: resetMs };
  }
}
