/**
 * Rate limits over all workers: GCRA in a table in shared memory. An entry is a key's hash and its theoretical arrival
 * time; a key lives in one of eight places, so nothing is ever searched for long. When all eight are taken by others,
 * the one that is nearest to being full again gives way, which can only let somebody have more, never less.
 *
 * Beside it stands what was taken since the main thread looked last, so that other nodes can be told (`LimitUses`)
 * without a word from the workers. What others took comes back as a later arrival time.
 */
import { hash32, mix } from "../../core/hash.ts";
import type { LimitLevel, LimitUse } from "./data-plane.ts";

const ENTRIES = 131_072;
const WAYS = 8;
export const LIMIT_BYTES = ENTRIES * 28;

export interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until one more is allowed; 0 when one is. */
  readonly retryAfterMs: number;
  /** Until all of the burst is there again. */
  readonly resetMs: number;
}

/** The columns of the table; times are microseconds. */
function columns(memory: SharedArrayBuffer) {
  return {
    keys: new BigInt64Array(memory, 0, ENTRIES),
    arrivals: new BigInt64Array(memory, ENTRIES * 8, ENTRIES),
    intervals: new Float64Array(memory, ENTRIES * 16, ENTRIES),
    taken: new Int32Array(memory, ENTRIES * 24, ENTRIES),
  };
}

export class RateLimits {
  readonly #keys: BigInt64Array;
  readonly #arrivals: BigInt64Array;
  readonly #intervals: Float64Array;
  readonly #taken: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    const { keys, arrivals, intervals, taken } = columns(memory);
    this.#keys = keys;
    this.#arrivals = arrivals;
    this.#intervals = intervals;
    this.#taken = taken;
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
      this.#intervals[at] = interval;
      Atomics.add(this.#taken, at, 1);
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
    Atomics.store(this.#taken, weakest, 0);
    Atomics.store(this.#arrivals, weakest, BigInt(nowMicros));
    return weakest;
  }
}

/** The same table for the main thread, which tells other nodes what was taken here and hears what they took. */
export class LimitUses {
  readonly #columns: ReturnType<typeof columns>;
  /** Where the next look begins, so that everybody gets a turn. */
  #next = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#columns = columns(memory);
  }

  /** What was taken since it was asked last, of at most so many limits. */
  take(max: number): LimitUse[] {
    const { keys, intervals, taken } = this.#columns;
    const uses: LimitUse[] = [];
    for (let looked = 0; looked < ENTRIES && uses.length < max; looked++) {
      const at = this.#next;
      this.#next = (at + 1) % ENTRIES;
      if (taken[at] === 0) continue;
      const count = Atomics.exchange(taken, at, 0);
      uses.push({ at, key: Atomics.load(keys, at), taken: count, intervalMs: intervals[at]! / 1000 });
    }
    return uses;
  }

  /** `now` in milliseconds on the clock that all workers share. An entry that gave way meanwhile is left alone. */
  raise({ at, key, wholeInMs }: LimitLevel, now: number): void {
    const { keys, arrivals } = this.#columns;
    const wanted = BigInt(Math.round((now + wholeInMs) * 1000));
    for (;;) {
      const before = Atomics.load(arrivals, at);
      if (Atomics.load(keys, at) !== key || before >= wanted) return;
      if (Atomics.compareExchange(arrivals, at, before, wanted) === before) return;
    }
  }
}
