/**
 * Rate limits over the key-value store. With the store in this process a check is one synchronous step.
 * With a shared store a node takes from the limit in advance (prepaid.ts), so that the hot path asks the
 * network only now and then.
 *
 * When the shared store is away, requests are not refused for it: every node goes on limiting by itself, so
 * that a client gets at most the limit once per node. `degraded` and the report say so.
 */
import type { Clock } from "../../core/clock.ts";
import type { GcraLimit, GcraResult, Kv } from "../../stores/kv/index.ts";
import { MemoryKv } from "../../stores/kv/memory.ts";
import type { LimitPolicy } from "./policy.ts";
import { PrepaidLimits } from "./prepaid.ts";

export interface RateLimiter {
  /**
   * Takes `cost` (an integer ≥ 0, default 1) of what the policy allows the key. More than the burst is
   * allowed when the limit is whole, and paid off after. Never rejects for a store that is away.
   */
  check(policy: LimitPolicy, key: string, cost?: number): GcraResult | Promise<GcraResult>;
}

export type LimitsEvent = { kind: "degraded"; error: unknown } | { kind: "restored" };

export interface LimitsOptions {
  kv: Kv;
  clock: Clock;
  /** Keys of which this node remembers what it has taken in advance, or limits by itself. */
  keysMax?: number;
  report?: (event: LimitsEvent) => void;
}

/** After a failure the shared store is left alone for so long: refusing costs time as well. */
const pauseMs = 250;

export class Limits implements RateLimiter {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #report: (event: LimitsEvent) => void;
  readonly #prepaid: PrepaidLimits;
  readonly #alone: MemoryKv;
  #degraded = false;
  #pauseEndsAt = Number.NEGATIVE_INFINITY;
  #checkedAlone = 0;

  constructor({ kv, clock, keysMax = 100_000, report }: LimitsOptions) {
    this.#kv = kv;
    this.#clock = clock;
    this.#report = report ?? (() => {});
    this.#prepaid = new PrepaidLimits(kv, clock, keysMax);
    this.#alone = new MemoryKv({ clock, keysMax });
  }

  /** True while the shared store is away. */
  get degraded(): boolean {
    return this.#degraded;
  }

  /** Checks since the start that this node made without the shared store; for a counter. */
  get checkedAlone(): number {
    return this.#checkedAlone;
  }

  check(policy: LimitPolicy, key: string, cost = 1): GcraResult | Promise<GcraResult> {
    const id = `limit/${policy.name}/${key}`;
    const limit = { burst: policy.burst, intervalMs: policy.intervalMs, cost };
    if (!this.#kv.shared) return this.#kv.gcra(id, limit);
    const known = this.#prepaid.known(id, limit);
    if (known) return known;
    if (this.#clock.monotonic() < this.#pauseEndsAt) return this.#checkAlone(id, limit);
    return this.#ask(id, limit);
  }

  async #ask(id: string, limit: GcraLimit): Promise<GcraResult> {
    try {
      const result = await this.#prepaid.ask(id, limit);
      if (this.#degraded && this.#clock.monotonic() >= this.#pauseEndsAt) {
        this.#degraded = false;
        this.#report({ kind: "restored" });
      }
      return result;
    } catch (error) {
      this.#pauseEndsAt = this.#clock.monotonic() + pauseMs;
      if (!this.#degraded) {
        this.#degraded = true;
        this.#report({ kind: "degraded", error });
      }
      return this.#checkAlone(id, limit);
    }
  }

  #checkAlone(id: string, limit: GcraLimit): GcraResult {
    this.#checkedAlone++;
    return this.#alone.gcra(id, limit);
  }
}
