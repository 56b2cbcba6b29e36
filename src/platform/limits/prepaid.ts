/**
 * Rate limits of a shared store at the price of few round trips: a node that is asked often takes several at
 * once and gives them out by itself.
 *
 * What it costs in exactness: nothing is ever given out that was not taken, so over any window all nodes
 * together allow at most the burst, what the window refills, and what nodes held from before: at most a
 * tenth of the burst each. A node takes in advance only as much as it has just been asked for (none at
 * first, twice as much each time it runs out within `runMs`, less when it lasts longer), so clients with
 * little traffic lose nothing to nodes that keep what they do not need. A limit with a burst below 10 is
 * always asked for at the store.
 *
 * What it costs in round trips: for one key with a burst of 20,000 that is used 20,000 times per second,
 * about ten per second; for one that is over its limit, at most two per `refusalMs`, however many are
 * refused.
 */
import type { Clock } from "../../core/clock.ts";
import type { GcraLimit, GcraResult, Kv } from "../../stores/kv/index.ts";
import { RecentMap } from "../../stores/kv/recent.ts";

const runMs = 100;
/** After the store could not give all that was wanted, it is not asked again for so long. */
const refusalMs = 10;

/** What this node knows of one limit; times are on its monotonic clock. */
interface Share {
  /** Taken and not given out yet. */
  credits: number;
  /** How many were wanted in advance last time. */
  advance: number;
  askedAt: number;
  /** The store's last word: what was left beside the credits, and when the limit will be whole. */
  remaining: number;
  wholeAt: number;
  /** Until then nothing of at least `refusedCost` can be had; others can only make it later. */
  refusedUntil: number;
  refusedCost: number;
  /** The question on its way, and the sum of what waits for it. */
  asking: Promise<GcraResult> | undefined;
  waiting: number;
}

export class PrepaidLimits {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #shares: RecentMap<Share>;

  constructor(kv: Kv, clock: Clock, keysMax: number) {
    this.#kv = kv;
    this.#clock = clock;
    this.#shares = new RecentMap(keysMax);
  }

  /** What this node can say by itself; undefined when the store must be asked. */
  known(id: string, limit: GcraLimit): GcraResult | undefined {
    const share = this.#shares.get(id);
    return share && this.#answer(share, limit);
  }

  /** Asks the store, or waits for the question on its way. Rejects as the store does. */
  async ask(id: string, limit: GcraLimit): Promise<GcraResult> {
    const share = this.#share(id);
    while (share.asking) {
      share.waiting += limit.cost;
      await share.asking.finally(() => {
        share.waiting -= limit.cost;
      });
      const answer = this.#answer(share, limit);
      if (answer) return answer;
    }
    share.asking = this.#askStore(share, id, limit).finally(() => {
      share.asking = undefined;
    });
    return share.asking;
  }

  #share(id: string): Share {
    const share = this.#shares.get(id) ?? newShare();
    this.#shares.set(id, share);
    return share;
  }

  #answer(share: Share, limit: GcraLimit): GcraResult | undefined {
    const { cost } = limit;
    if (share.credits >= cost && cost > 0) {
      share.credits -= cost;
      return this.#result(share, limit, 0);
    }
    const retryAfterMs = share.refusedUntil - this.#clock.monotonic();
    if (retryAfterMs > 0 && cost >= share.refusedCost) return this.#result(share, limit, retryAfterMs);
    return undefined;
  }

  /** As if the credits had not been taken yet. */
  #result(share: Share, limit: GcraLimit, retryAfterMs: number): GcraResult {
    const resetMs = share.wholeAt - this.#clock.monotonic() - share.credits * limit.intervalMs;
    return {
      allowed: retryAfterMs === 0,
      remaining: share.remaining + share.credits,
      retryAfterMs,
      resetMs: Math.max(0, resetMs),
    };
  }

  async #askStore(share: Share, id: string, limit: GcraLimit): Promise<GcraResult> {
    const { burst, intervalMs, cost } = limit;
    const advanceMax = Math.max(0, Math.floor(burst / 10) - share.credits);
    const lastedMs = this.#clock.monotonic() - share.askedAt;
    const demand = Math.max(1, share.advance * 2, share.waiting);
    const wanted = lastedMs < runMs ? demand : Math.floor((share.advance * runMs) / lastedMs);
    let advance = Math.min(wanted, advanceMax);
    let result = await this.#kv.gcra(id, { burst, intervalMs, cost: cost + advance });
    if (!result.allowed && advance > 0) {
      advance = Math.min(advance, Math.max(0, result.remaining - cost));
      result = await this.#kv.gcra(id, { burst, intervalMs, cost: cost + advance });
    }
    const now = this.#clock.monotonic();
    share.askedAt = now;
    share.advance = Math.min(wanted, advanceMax);
    share.remaining = result.remaining;
    share.wholeAt = now + result.resetMs;
    if (!result.allowed || advance < share.advance) {
      // What comes back within the pause can be taken in advance after it, so the pause costs no throughput.
      share.refusedUntil = now + Math.max(result.retryAfterMs, Math.min(refusalMs, advanceMax * intervalMs));
      share.refusedCost = result.allowed ? 1 : cost;
    }
    if (result.allowed) share.credits += advance;
    return this.#result(share, limit, result.retryAfterMs);
  }
}

function newShare(): Share {
  return {
    credits: 0,
    advance: 0,
    askedAt: Number.NEGATIVE_INFINITY,
    remaining: 0,
    wholeAt: Number.NEGATIVE_INFINITY,
    refusedUntil: Number.NEGATIVE_INFINITY,
    refusedCost: 0,
    asking: undefined,
    waiting: 0,
  };
}
