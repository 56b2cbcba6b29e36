/**
 * Rate limits over all workers: GCRA in a table in shared memory. An entry is a key's hash and its theoretical arrival
 * time; a key lives in one of eight places, so nothing is ever searched for long. When all eight are taken by others,
 * the one that is nearest to being full again gives way, which can only let somebody have more, never less.
 */
import { hash32, mix } from "../../core/hash.ts";

const ENTRIES = 131_072;
const WAYS = 8;
export const LIMIT_BYTES = ENTRIES * 16;

export interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until one more is allowed; 0 when one is. */
  readonly retryAfterMs: number;
  /** Until all of the burst is there again. */
  readonly resetMs: number;
}

export class RateLimits {
  readonly #keys: BigInt64Array;
  readonly #arrivals: BigInt64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#keys = new BigInt64Array(memory, 0, ENTRIES);
    this.#arrivals = new BigInt64Array(memory, ENTRIES * 8, ENTRIES);
  }

  /** `now` in milliseconds on the clock that all workers share. */
  take(key: string, burst: number, perSecond: number, now: number): Taken {
    const at = this.#place(key, Math.round(now * 1000));
    const interval = 1_000_000 / perSecond;
    const tolerance = burst * interval;
    const moment = now * 1000;
    for (;;) {
      const before = Atomics.load(this.#arrivals, at);
      const next = Math.max(Number(before), moment) + interval;
      const over = next - moment - tolerance;
      if (over > 0.5) {
        return {
          allowed: false,
          remaining: 0,
          retryAfterMs: over / 1000,
          resetMs: (next - interval - moment) / 1000,
        };
      }
      const after = BigInt(Math.round(next));
      if (Atomics.compareExchange(this.#arrivals, at, before, after) !== before) continue;
      const remaining = Math.max(0, Math.floor((tolerance - (next - moment)) / interval + 1e-6));
      return {
        allowed: true,
        remaining,
        retryAfterMs: remaining > 0 ? 0 : interval / 1000,
        resetMs: (next - moment) / 1000,
      };
    }
  }

  #place(key: string, nowMicros: number): number {
    const first = hash32(key);
    const id = (BigInt(first) << 31n) | BigInt(mix(hash32(key, 0x9747b28c)) >>> 1) | 1n;
    const start = (first % (ENTRIES / WAYS)) * WAYS;
    let weakest = start;
    for (let at = start; at < start + WAYS; at++) {
      if (Atomics.load(this.#keys, at) === id) return at;
      if (Atomics.load(this.#arrivals, at) < Atomics.load(this.#arrivals, weakest)) weakest = at;
    }
    Atomics.store(this.#keys, weakest, id);
    Atomics.store(this.#arrivals, weakest, BigInt(nowMicros));
    return weakest;
  }
}
