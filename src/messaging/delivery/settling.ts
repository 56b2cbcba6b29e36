/**
 * Settlements of a subscription: the cursor decides, the journal is written, whoever waits for it is told. What is
 * given up goes to the dead-letter queue from here, as its move ends with a settlement.
 *
 * Invariant: cursor and journal change with no await between them, so that the order of records is that of changes.
 */
import type { Receipt } from "../ids.ts";
import type { Cursor, Settlement } from "./cursor.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Nack } from "./delivered.ts";
import { type Entry, recordOf } from "./entry.ts";
import { type Lane, outcomeOf, type Taken } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { Counters, SubscriptionOptions } from "./subscription.options.ts";
import type { Terms } from "./terms.ts";

export interface Change {
  lane: Lane;
  done?: number[];
  retries?: Entry[];
  early?: number[];
}

export interface SettlingParts {
  options: SubscriptionOptions;
  lanes: Lanes;
  terms: Terms;
  counters: Counters;
  /** Of this life of the subscription. */
  epoch: number;
  /** Deadlines may have changed. */
  arm(): void;
  /** There may be something to take. */
  wake(): void;
}

export class Settling {
  readonly #parts: SettlingParts;
  /** Made with the first message that is given up. */
  #deadLetters: DeadLetters | undefined;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
  }

  /** Moves nothing more; what is left is begun again by the next life. */
  close(): void {
    this.#deadLetters?.close();
  }

  /** Moves nothing more of the lanes so far, as others take their places. */
  startAnew(): void {
    this.close();
    this.#deadLetters = undefined;
  }

  async ack(receipts: readonly Receipt[]): Promise<Settlement[]> {
    const { lanes, counters, options } = this.#parts;
    const done = new Map<Lane, number[]>();
    let acked = 0;
    const outcomes = receipts.map((receipt): Settlement => {
      const lane = lanes.of(receipt.partition);
      if (!lane) return "never";
      const outcome = lane.cursor.ack(receipt.offset, receipt.fence);
      if (outcome !== "ok") return outcomeOf(lane, receipt.offset, outcome);
      acked += 1;
      const offsets = done.get(lane);
      if (offsets) offsets.push(receipt.offset);
      else done.set(lane, [receipt.offset]);
      return outcome;
    });
    counters.acked += acked;
    if (acked > 0) options.meter.acked.inc(acked);
    await this.settle([...done].map(([lane, offsets]) => ({ lane, done: offsets })));
    return outcomes;
  }

  async nack(items: readonly Nack[]): Promise<Settlement[]> {
    const { lanes, counters, options } = this.#parts;
    const returned = new Map<Lane, Entry[]>();
    let failed = 0;
    const outcomes = items.map((item): Settlement => {
      const lane = lanes.of(item.receipt.partition);
      if (!lane) return "never";
      const entry = lane.cursor.entry(item.receipt.offset);
      const outcome = this.#giveBack(lane.cursor, entry, item);
      if (outcome !== "ok" || !entry) return outcomeOf(lane, item.receipt.offset, outcome);
      if (!item.release) failed += 1;
      const entries = returned.get(lane);
      if (entries) entries.push(entry);
      else returned.set(lane, [entry]);
      return outcome;
    });
    counters.nacked += failed;
    if (failed > 0) options.meter.failed.inc(failed);
    await this.settle([...returned].map(([lane, retries]) => ({ lane, retries })));
    return outcomes;
  }

  #giveBack(cursor: Cursor, entry: Entry | undefined, item: Nack): Settlement {
    const { offset, fence } = item.receipt;
    if (item.release) return cursor.giveBack(offset, fence);
    const { options, terms } = this.#parts;
    const now = options.clock.monotonic();
    const attempt = entry?.attempt ?? 0;
    const fate = item.deadLetter
      ? terms.fateOfRejected(attempt, now, item.delayMs)
      : terms.fateOf(attempt, now, item.delayMs);
    return cursor.nack(offset, fence, fate, now, options.clock.now(), item.reason);
  }

  /** Settles in the receiver's place. Until that is durable their keys wait; when it fails they are as before. */
  async finish(taken: readonly Taken[], durability: "os" | "fsync"): Promise<void> {
    const changes: Change[] = [];
    for (const [lane, own] of Map.groupBy(taken, ({ lane }) => lane)) {
      for (const { entry } of own) lane.cursor.beginSettling(entry);
      changes.push({ lane, done: own.map(({ entry }) => entry.offset) });
    }
    let isDone = false;
    try {
      await this.settle(changes, durability);
      isDone = true;
    } finally {
      for (const { lane, entry } of taken) lane.cursor.endSettling(entry, isDone);
      this.#parts.wake();
    }
  }

  /** Journals that these are on their way to the dead-letter queue, and sends them. */
  giveUp(lane: Lane, doomed: Entry[]): void {
    // Not awaited: what a crash takes of it has expired in the next life as well.
    if (doomed.length > 0) this.settle([{ lane, retries: doomed }]).catch(this.#parts.options.onError);
  }

  async settle(changes: Change[], durability: "os" | "fsync" = "os"): Promise<void> {
    const { lanes, options, epoch } = this.#parts;
    const { journal } = options;
    // Of a lane that a seek has replaced nothing counts any more.
    const current = changes.filter(({ lane }) => lanes.of(lane.partition) === lane);
    const written = current.map(({ lane, done = [], retries = [], early = [] }) => {
      const { passed } = lane;
      lane.passed = undefined;
      const settled = { done, passed, retries: retries.map(recordOf), early };
      return journal.settle(lane.partition, settled, durability);
    });
    this.#parts.arm();
    this.#parts.wake();
    for (const { lane, retries = [] } of current) this.bury(lane, retries);
    await Promise.all(written);
    if (!journal.needsSnapshot) return;
    // What is settled is in the journal already, so nobody waits; a snapshot that fails only leaves it longer.
    journal.snapshot(epoch, lanes.cursors).catch(options.onError);
  }

  /** Hands those that were given up to the one who moves them. */
  bury(lane: Lane, entries: Iterable<Entry>): void {
    const { terms, options } = this.#parts;
    const { topic, name, number, journal, clock, openDeadLetters, onError } = options;
    const doomed = Array.from(entries).filter(({ state }) => state === "doomed");
    if (doomed.length === 0 || !openDeadLetters) return;
    this.#deadLetters ??= new DeadLetters({
      topic,
      subscription: { name, number },
      journal,
      clock,
      open: openDeadLetters,
      policy: () => terms.policy,
      isWanted: (body) => terms.isWanted(body),
      onMoved: (count) => this.#onMoved(count),
      onError,
    });
    this.#deadLetters.add(lane, doomed);
  }

  #onMoved(count: number): void {
    this.#parts.counters.deadLettered += count;
    if (count > 0) this.#parts.options.meter.deadLettered.inc(count);
    this.#parts.wake(); // their keys go on
  }
}
