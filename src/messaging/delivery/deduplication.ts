/**
 * One publish per idempotency key and window, for one topic. The first publish of a key makes the message; each later
 * one gets the place of it. What is known comes back from the log after a restart, read at the first publish that has
 * a key, so topics that have none never pay for it.
 *
 * Invariants
 * - Of a key whose publish is under way, a second one waits for the outcome: two at once make one append.
 * - A key whose publish failed is free again. One whose outcome is unknown, too: a later append to the same partition
 *   succeeds only after the log has cut off what was in doubt, and a key always goes to the same partition.
 * - The table has a limit. Beyond it keys are refused with `dedup_full`: none is forgotten before its time.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { idempotencyKeyOf, isMessage, publishedAtOf, scheduleOf } from "../message.ts";
import { KeyTable, type Place } from "./key-table.ts";
import { recentFrom, scan } from "./scan.ts";

export type Outcome = Place | Error;

/** A claim on a key: whoever holds it publishes, and tells the others how that went. */
export interface Claim {
  settle(outcome: Outcome): void;
}

export type Known = { place: Place } | { pending: Promise<Outcome> } | { claim: Claim } | { refused: Error };

export class Deduplication {
  readonly #clock: Clock;
  readonly #limit: number;
  #windowMs: number;
  #table: KeyTable;
  #recovering: Promise<void> | undefined;
  #isReady = false;
  readonly #pending = new Map<string, Promise<Outcome>>();

  constructor(clock: Clock, windowMs: number, limit: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#limit = limit;
    this.#table = new KeyTable(windowMs);
  }

  /** Another window is another table: what a longer one must know is in the log. */
  resize(windowMs: number): void {
    if (windowMs === this.#windowMs) return;
    this.#windowMs = windowMs;
    this.#table = new KeyTable(windowMs);
    this.#isReady = false;
    this.#recovering = undefined;
  }

  /** To be awaited before the first `look`. */
  ready(partitions: readonly { number: number; log: LogPartition }[]): Promise<void> | undefined {
    if (this.#isReady) return undefined;
    const table = this.#table;
    this.#recovering ??= this.#recover(partitions, table).then(
      () => {
        if (table === this.#table) this.#isReady = true;
      },
      (error) => {
        this.#recovering = undefined; // tried again at the next publish
        throw error;
      },
    );
    return this.#recovering;
  }

  /** What is known of the key. Nothing: then it is the caller's to publish, and to settle. */
  look(key: string): Known {
    const place = this.#table.find(key, this.#clock.monotonic());
    if (place) return { place };
    const pending = this.#pending.get(key);
    if (pending) return { pending };
    if (this.#table.size + this.#pending.size >= this.#limit) return { refused: this.#full() };
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#pending.set(key, promise);
    const settle = (outcome: Outcome) => {
      this.#pending.delete(key);
      if (!(outcome instanceof Error)) this.#table.add(key, outcome, this.#clock.monotonic());
      resolve(outcome);
    };
    return { claim: { settle } };
  }

  async #recover(partitions: readonly { number: number; log: LogPartition }[], table: KeyTable) {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    for (const { number: partition, log } of partitions) {
      const end = log.end;
      const from = await recentFrom(log, wall - this.#windowMs);
      for await (const records of scan(log, from, end)) {
        for (const { offset, body } of records) {
          const key = isMessage(body) ? idempotencyKeyOf(body) : undefined; // the delay log has marks between
          // One that waited first is known from where it waited, since it was published there.
          if (key === undefined || (scheduleOf(body)?.source ?? -1) >= 0) continue;
          const age = Math.max(0, wall - publishedAtOf(body));
          if (age > this.#windowMs || table.find(key, monotonic)) continue;
          table.add(key, { partition, offset }, monotonic - age);
        }
      }
    }
  }

  #full(): HotSwapError {
    const detail = `The topic remembers ${this.#limit} idempotency keys, all of the last ${this.#windowMs / 1000} s.`;
    return new HotSwapError("dedup_full", detail, { retryAfterMs: Math.ceil(this.#windowMs / 4) });
  }
}
