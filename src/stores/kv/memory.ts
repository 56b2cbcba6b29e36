/**
 * The key-value store in this process: the embedded default, and the model that the Redis driver is held to.
 * It measures time with the monotonic clock and is gone with the process.
 *
 * Bounded: a new key beyond `keysMax` is refused with `overloaded`; nothing that is alive is thrown out,
 * since a key may be a lock. Rate limits have a space of the same size of their own, in which the one that
 * has not been used for longest is forgotten: refusing there would turn a flood into an outage.
 */
import { type Clock, systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { checkKey, checkLimit, checkStep, checkValue, wholeTtlMs } from "./arguments.ts";
import { Channels } from "./channels.ts";
import { Deadlines } from "./deadlines.ts";
import { gcra } from "./gcra.ts";
import type { GcraLimit, GcraResult, Kv, KvEvent, SetOptions, SubscribeOptions } from "./port.ts";
import { RecentMap } from "./recent.ts";

interface Entry {
  value: string;
  /** On the monotonic clock; Infinity for a key that stays. */
  endsAt: number;
}

export interface MemoryKvOptions {
  clock?: Clock;
  keysMax?: number;
  report?: (event: KvEvent) => void;
}

export class MemoryKv implements Kv {
  readonly name = "kv";
  readonly shared = false;
  readonly #clock: Clock;
  readonly #keysMax: number;
  readonly #entries = new Map<string, Entry>();
  readonly #deadlines = new Deadlines();
  readonly #limits: RecentMap<number>;
  readonly #channels: Channels;

  constructor(options: MemoryKvOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#keysMax = options.keysMax ?? 1_000_000;
    this.#limits = new RecentMap(this.#keysMax);
    this.#channels = new Channels(options.report ?? (() => {}));
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#entries.clear();
  }

  async ping(): Promise<void> {}

  async get(key: string): Promise<string | undefined> {
    checkKey(key);
    return this.#live(key)?.value;
  }

  async set(key: string, value: string, options: SetOptions = {}): Promise<boolean> {
    checkKey(key);
    checkValue(value);
    const ttlMs = wholeTtlMs(options.ttlMs);
    const current = this.#live(key);
    if (options.when === "absent" && current) return false;
    if (typeof options.when === "object" && current?.value !== options.when.equals) return false;
    this.#put(key, value, ttlMs);
    return true;
  }

  async delete(key: string, options: { equals?: string } = {}): Promise<boolean> {
    checkKey(key);
    const current = this.#live(key);
    if (!current || (options.equals !== undefined && current.value !== options.equals)) return false;
    this.#remove(key, current);
    return true;
  }

  async increment(key: string, by: number, options: { ttlMs?: number } = {}): Promise<number> {
    checkKey(key);
    checkStep(by);
    const ttlMs = wholeTtlMs(options.ttlMs);
    const current = this.#live(key);
    const sum = (current ? integerOf(current.value) : 0) + by;
    if (!Number.isSafeInteger(sum)) throw new RangeError("an increment out of the range of integers");
    if (current) current.value = String(sum);
    else this.#put(key, String(sum), ttlMs);
    return sum;
  }

  gcra(key: string, limit: GcraLimit): GcraResult {
    checkKey(key);
    checkLimit(limit);
    const step = gcra(this.#limits.get(key), this.#clock.monotonic(), limit);
    this.#limits.set(key, step.wholeAt);
    return step.result;
  }

  async publish(channel: string, message: string): Promise<void> {
    checkKey(channel);
    checkValue(message);
    this.#channels.deliver(channel, message);
  }

  async subscribe(
    channel: string,
    listener: (message: string) => void,
    options?: SubscribeOptions,
  ): Promise<() => Promise<void>> {
    checkKey(channel);
    const remove = this.#channels.add(channel, listener, options);
    return async () => remove();
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (!entry || entry.endsAt > this.#clock.monotonic()) return entry;
    this.#remove(key, entry);
    return undefined;
  }

  #put(key: string, value: string, ttlMs: number = Number.POSITIVE_INFINITY): void {
    const now = this.#clock.monotonic();
    const endsAt = now + ttlMs;
    this.#deadlines.takeDue(now, (due) => this.#entries.delete(due));
    const current = this.#entries.get(key);
    if (current) this.#remove(key, current);
    if (this.#entries.size >= this.#keysMax) {
      throw new HotSwapError("overloaded", "The key-value store of this server is full.", {
        retryAfterMs: 1000,
      });
    }
    this.#entries.set(key, { value, endsAt });
    if (endsAt !== Number.POSITIVE_INFINITY) this.#deadlines.add(key, endsAt);
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (entry.endsAt !== Number.POSITIVE_INFINITY) this.#deadlines.remove(key, entry.endsAt);
  }
}

/** What Redis takes for an integer, as far as a JavaScript number holds it. */
function integerOf(value: string): number {
  const number = /^(0|-?[1-9]\d{0,15})$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new TypeError("an increment of what is not an integer");
  return number;
}
