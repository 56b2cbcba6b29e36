/**
 * A live subscription: gives messages to receivers, takes their settlements, and keeps both in step with the
 * log and the journal. Choosing and leasing is synchronous over records that were read ahead, so two receivers
 * can never be given the same message; only reading and journalling wait for the disk.
 *
 * Nothing here looks at SQL. One timer per subscription stands for all deadlines.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { formatReceipt, type Receipt } from "../ids.ts";
import { keyOf, publishedAtOf } from "../message.ts";
import type { SubscriptionMeter } from "../metrics.ts";
import { Alarm } from "./alarm.ts";
import { Cursor, type Entry, newLease, recordOf, type Settlement } from "./cursor.ts";
import type { Journal } from "./journal.ts";
import { fill, type Lane, load, openLane, type Taken } from "./lane.ts";
import { Waiters } from "./waiters.ts";

/** A fence is epoch · 2^32 + count: 2^21 starts of four thousand million leases each fit a double. */
const fencesPerEpoch = 2 ** 32;

export interface Delivery {
  partition: number;
  offset: number;
  body: Buffer;
  attempt: number;
  /** Of its lease. */
  fence: number;
  /** What the consumer said who gave it back last. */
  lastReason: string | undefined;
  /** Made when it is read, as a consumer over frames needs the numbers only. */
  readonly receipt: string;
}

class Leased implements Delivery {
  readonly #subscription: number;
  readonly partition: number;
  readonly offset: number;
  readonly body: Buffer;
  readonly attempt: number;
  readonly fence: number;
  readonly lastReason: string | undefined;

  constructor(subscription: number, partition: number, entry: Entry, body: Buffer, fence: number) {
    this.#subscription = subscription;
    this.partition = partition;
    this.offset = entry.offset;
    this.body = body;
    this.attempt = entry.attempt;
    this.fence = fence;
    this.lastReason = entry.reason;
  }

  get receipt(): string {
    return formatReceipt(this.#subscription, this.partition, this.offset, this.fence);
  }
}

export interface Nack {
  receipt: Receipt;
  delayMs: number;
  reason?: string | undefined;
}

export interface Received {
  deliveries: Delivery[];
  /** Wall-clock milliseconds at which the leases end. */
  expiresAt: number;
}

export interface SubscriptionOptions {
  number: number;
  ackDeadlineMs: number;
  /** Messages of a partition that may be outstanding; beyond it the partition waits for settlements. */
  outstandingMax: number;
  meter: SubscriptionMeter;
  clock: Clock;
  journal: Journal;
  /** Partitions by number; may grow while the subscription lives. */
  partitions: readonly LogPartition[];
  /** The offset at which this subscription begins in a partition that its journal does not know. */
  startOf(partition: number): number;
  /** Told of what cannot be answered to anybody, such as a journal that cannot be written when a lease expires. */
  onError(error: unknown): void;
}

export class LiveSubscription {
  readonly counters = { delivered: 0, acked: 0, redelivered: 0, nacked: 0, expired: 0 };
  readonly #options: SubscriptionOptions;
  readonly #lanes: Lane[] = [];
  readonly #recovered: Map<number, Cursor>;
  readonly #epoch: number;
  #begun: Promise<void> | undefined;
  #adding = Promise.resolve();
  #fenceCount = 0;
  #turn = 0;
  readonly #waiters: Waiters;
  readonly #alarm: Alarm;
  #closed: HotSwapError | undefined;

  private constructor(options: SubscriptionOptions, epoch: number, cursors: Map<number, Cursor>) {
    this.#options = options;
    this.#epoch = epoch;
    this.#recovered = cursors;
    this.#waiters = new Waiters(options.clock);
    this.#alarm = new Alarm(options.clock, () => this.#onTime());
  }

  static async open(options: SubscriptionOptions): Promise<LiveSubscription> {
    const { epoch, cursors } = await options.journal.recover(options.startOf);
    const subscription = new LiveSubscription(options, epoch + 1, cursors);
    if (subscription.#rewind()) await options.journal.snapshot(epoch, cursors);
    await subscription.addPartitions();
    return subscription;
  }

  /** Takes up partitions that the topic has gained, one call after the other: two would take up the same. */
  addPartitions(): Promise<void> {
    this.#adding = this.#adding.then(() => this.#addPartitions());
    return this.#adding;
  }

  async #addPartitions(): Promise<void> {
    for (let partition = this.#lanes.length; partition < this.#options.partitions.length; partition++) {
      const log = this.#options.partitions[partition]!;
      const cursor = this.#recovered.get(partition) ?? new Cursor(this.#options.startOf(partition));
      this.#recovered.set(partition, cursor);
      this.#lanes.push(await openLane(partition, log, cursor, () => this.#waiters.wake()));
    }
    this.#arm();
    this.#waiters.wake();
  }

  /**
   * A log below `fsync` can lose its newest messages while the journal remembers having settled them. Their
   * offsets will be used again, so the journal must forget them, durably, before anything is published.
   */
  #rewind(): boolean {
    const ahead = this.#options.partitions.filter((log, partition) => {
      const cursor = this.#recovered.get(partition) ?? new Cursor(this.#options.startOf(partition));
      this.#recovered.set(partition, cursor);
      return cursor.rewind(log.end);
    });
    return ahead.length > 0;
  }

  /** Ends the wait of all receivers with the reason. */
  close(reason = new HotSwapError("shutting_down")): void {
    this.#closed = reason;
    this.#alarm.off();
    for (const lane of this.#lanes) lane.unlisten();
    this.#waiters.wakeAll();
  }

  /**
   * Leases up to `limit` messages (≥ 1). With nothing to give it waits up to `waitMs`, or until the signal
   * aborts, and then answers with nothing. Rejects with `log_corrupt` when damaged records are all that is left.
   */
  async receive(limit: number, waitMs: number, signal?: AbortSignal): Promise<Received> {
    const { clock } = this.#options;
    const end = clock.monotonic() + waitMs;
    await this.#begin();
    for (;;) {
      if (this.#closed) throw this.#closed;
      if (signal?.aborted) return { deliveries: [], expiresAt: clock.now() }; // nobody is there to take them
      const seen = this.#waiters.events;
      const { taken, fence, deadline } = this.#take(limit);
      if (taken.length > 0) {
        if (this.#waiters.size > 0) this.#waiters.wake(); // there may be more for the next in line
        return this.#deliver(taken, fence, deadline);
      }
      if (await this.#fill()) continue;
      if (clock.monotonic() >= end) return { deliveries: [], expiresAt: clock.now() };
      if (this.#waiters.events === seen) await this.#waiters.wait(end, signal);
    }
  }

  /** Settles as done. Each receipt has its own outcome; the promise rejects only when none could be recorded. */
  async ack(receipts: readonly Receipt[]): Promise<Settlement[]> {
    const done = new Map<Lane, number[]>();
    const outcomes = receipts.map((receipt): Settlement => {
      const lane = this.#lanes[receipt.partition];
      if (!lane) return "never";
      const outcome = lane.cursor.ack(receipt.offset, receipt.fence);
      if (outcome !== "ok") return outcome;
      const offsets = done.get(lane);
      if (offsets) offsets.push(receipt.offset);
      else done.set(lane, [receipt.offset]);
      return outcome;
    });
    const acked = outcomes.filter((outcome) => outcome === "ok").length;
    this.counters.acked += acked;
    if (acked > 0) this.#options.meter.acked.inc(acked);
    await this.#settle([...done].map(([lane, offsets]) => ({ lane, offsets, retries: [] })));
    return outcomes;
  }

  /** Gives messages back, each after its delay. */
  async nack(items: readonly Nack[]): Promise<Settlement[]> {
    const now = this.#options.clock.monotonic();
    const retries = new Map<Lane, Entry[]>();
    const outcomes = items.map(({ receipt, delayMs, reason }): Settlement => {
      const lane = this.#lanes[receipt.partition];
      if (!lane) return "never";
      const entry = lane.cursor.entry(receipt.offset);
      const outcome = lane.cursor.nack(receipt.offset, receipt.fence, now + delayMs, now, reason);
      if (outcome !== "ok" || !entry) return outcome;
      const entries = retries.get(lane);
      if (entries) entries.push(entry);
      else retries.set(lane, [entry]);
      return outcome;
    });
    const nacked = outcomes.filter((outcome) => outcome === "ok").length;
    this.counters.nacked += nacked;
    if (nacked > 0) this.#options.meter.failed.inc(nacked);
    await this.#settle([...retries].map(([lane, entries]) => ({ lane, offsets: [], retries: entries })));
    return outcomes;
  }

  /** Moves the deadlines to `forMs` from now. */
  extend(receipts: readonly Receipt[], forMs: number): Settlement[] {
    const deadline = this.#options.clock.monotonic() + forMs;
    const outcomes = receipts.map(
      ({ partition, offset, fence }) =>
        this.#lanes[partition]?.cursor.extend(offset, fence, deadline) ?? "never",
    );
    this.#arm();
    return outcomes;
  }

  get state() {
    let depth = 0;
    let inFlight = 0;
    let delayed = 0;
    for (const { cursor, log } of this.#lanes) {
      depth += cursor.outstanding + Math.max(0, log.end - cursor.next);
      inFlight += cursor.leased;
      delayed += cursor.delayed;
    }
    return { depth, inFlight, delayed };
  }

  /** Per partition: the oldest offset that is not done. */
  floors(): { partition: number; floor: number }[] {
    return this.#lanes.map(({ partition, cursor }) => ({ partition, floor: cursor.floor }));
  }

  /** The epoch is written at the first receive, so that looking at an idle subscription writes nothing. */
  #begin(): Promise<void> {
    this.#begun ??= this.#options.journal.beginEpoch(this.#epoch).catch((error) => {
      this.#begun = undefined;
      throw error;
    });
    return this.#begun;
  }

  #take(limit: number): { taken: Taken[]; fence: number; deadline: number } {
    const { clock, ackDeadlineMs } = this.#options;
    const deadline = clock.monotonic() + ackDeadlineMs;
    const fence = this.#epoch * fencesPerEpoch + this.#fenceCount + 1;
    const taken: Taken[] = [];
    for (let i = 0; i < this.#lanes.length && taken.length < limit; i++) {
      const lane = this.#lanes[(this.#turn + i) % this.#lanes.length]!;
      this.#takeFrom(lane, fence, deadline, limit, taken);
    }
    if (taken.length > 0) {
      this.#turn = (this.#turn + 1) % this.#lanes.length;
      this.#fenceCount += 1;
      this.#arm();
    }
    return { taken, fence, deadline };
  }

  #takeFrom(lane: Lane, fence: number, deadline: number, limit: number, taken: Taken[]): void {
    const { cursor } = lane;
    const { outstandingMax } = this.#options;
    const lease = newLease(fence, deadline);
    cursor.leaseReady(lease, limit - taken.length);
    for (const entry of lease.entries) taken.push({ lane, entry, body: undefined });
    while (taken.length < limit && lane.aheadAt < lane.ahead.length && cursor.outstanding < outstandingMax) {
      const { body } = lane.ahead[lane.aheadAt]!;
      lane.aheadAt += 1;
      if (cursor.leaseNext(lease, keyOf(body))) taken.push({ lane, entry: lease.entries.at(-1)!, body });
    }
    cursor.begin(lease);
  }

  async #deliver(taken: Taken[], fence: number, deadline: number): Promise<Received> {
    const { clock, number } = this.#options;
    const { loaded, damage } = await load(taken, this.#options.onError);
    const deliveries: Delivery[] = [];
    for (const { lane, entry, body } of loaded) {
      // Without a body, retention has removed it. And reading may have taken so long that the lease is over:
      // what another consumer holds by now, or has settled, is not handed out a second time.
      if (!body || entry.lease?.fence !== fence) continue;
      deliveries.push(new Leased(number, lane.partition, entry, body, fence));
    }
    if (damage && deliveries.length === 0) throw damage;
    this.#countDelivered(deliveries);
    return { deliveries, expiresAt: clock.now() + deadline - clock.monotonic() };
  }

  #countDelivered(deliveries: readonly Delivery[]): void {
    const { clock, meter } = this.#options;
    const first = deliveries.find(({ attempt }) => attempt === 1);
    const redelivered = deliveries.filter(({ attempt }) => attempt > 1).length;
    this.counters.delivered += deliveries.length;
    this.counters.redelivered += redelivered;
    meter.delivered.inc(deliveries.length);
    if (redelivered > 0) meter.redelivered.inc(redelivered);
    if (first) meter.deliverySeconds.observe(Math.max(0, clock.now() - publishedAtOf(first.body)) / 1000);
  }

  /** Reads ahead where receivers have caught up. Resolves to whether anything new is there to take. */
  async #fill(): Promise<boolean> {
    const { outstandingMax } = this.#options;
    const wanting = this.#lanes.filter(
      ({ cursor, ahead, aheadAt, log }) =>
        aheadAt >= ahead.length && cursor.next < log.end && cursor.outstanding < outstandingMax,
    );
    if (wanting.length === 0) return false;
    const outcomes = await Promise.allSettled(wanting.map(fill));
    // A topic that is being deleted cannot be read; the next round says so.
    if (this.#closed) return true;
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    // A lane that cannot be read is reported when the others have nothing either.
    if (failed && outcomes.every(({ status }) => status === "rejected")) throw failed.reason;
    return true;
  }

  async #settle(changes: { lane: Lane; offsets: number[]; retries: Entry[] }[]): Promise<void> {
    const { journal } = this.#options;
    const written = changes.map(({ lane, offsets, retries }) =>
      journal.settle(lane.partition, offsets, retries.map(recordOf)),
    );
    this.#arm();
    this.#waiters.wake();
    await Promise.all(written);
    if (!journal.needsSnapshot) return;
    const cursors = new Map(this.#lanes.map(({ partition, cursor }) => [partition, cursor]));
    // What is settled is in the journal already; a snapshot that fails only leaves it longer.
    await journal.snapshot(this.#epoch, cursors).catch(this.#options.onError);
  }

  #arm(): void {
    let at = Number.POSITIVE_INFINITY;
    for (const { cursor } of this.#lanes) at = Math.min(at, cursor.nextDeadline ?? at);
    this.#alarm.set(at);
  }

  #onTime(): void {
    const now = this.#options.clock.monotonic();
    for (const lane of this.#lanes) {
      const expired = lane.cursor.advance(now);
      if (expired.length === 0) continue;
      this.counters.expired += expired.length;
      this.#settle([{ lane, offsets: [], retries: expired }]).catch(this.#options.onError);
    }
    this.#arm();
    this.#waiters.wake();
  }
}
