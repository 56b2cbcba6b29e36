/**
 * A live subscription: who waits for messages, what they are handed, and the one timer that stands for all
 * deadlines. Which messages a receive gets is chosen in taking.ts; settling.ts takes what is said of them, and
 * keeps the journal in step; terms.ts says what the settings make of a message.
 *
 * Nothing here looks at SQL.
 */
import { HotSwapError } from "../../core/errors.ts";
import type { Receipt } from "../ids.ts";
import { publishedAtOf } from "../message.ts";
import { traceSettle } from "../traces.ts";
import { Alarm } from "./alarm.ts";
import { type Consumer, type ConsumerName, Consumers, nobody } from "./consumers.ts";
import type { Cursor, Settlement } from "./cursor.ts";
import { type Delivery, Leased, type Nack, type Received } from "./delivered.ts";
import type { SubscriptionView } from "./explain.ts";
import { load, outcomeOf, type Taken } from "./lane.ts";
import { Lanes, replayPartition } from "./lanes.ts";
import type { SubscriptionPolicy } from "./policy.ts";
import { chooseWaiter } from "./routing.ts";
import { Settling } from "./settling.ts";
import { newCounters, type SubscriptionOptions } from "./subscription.options.ts";
import { type Claim, Taking } from "./taking.ts";
import { Terms } from "./terms.ts";
import { Waiters } from "./waiters.ts";

/** A fence is epoch · 2^32 + count: 2^21 starts of four thousand million leases each fit a double. */
const fencesPerEpoch = 2 ** 32;

export class LiveSubscription {
  readonly counters = newCounters();
  readonly consumers: Consumers;
  readonly #options: SubscriptionOptions;
  readonly #lanes: Lanes;
  readonly #epoch: number;
  #begun: Promise<void> | undefined;
  #adding = Promise.resolve();
  #fenceCount = 0;
  readonly #waiters: Waiters;
  readonly #alarm: Alarm;
  readonly #terms: Terms;
  readonly #settling: Settling;
  readonly #taking: Taking;
  #closed: HotSwapError | undefined;

  private constructor(options: SubscriptionOptions, epoch: number, cursors: Map<number, Cursor>) {
    this.#options = options;
    this.#epoch = epoch;
    this.#lanes = new Lanes({ ...options, onAppend: () => this.#waiters.wake() }, cursors);
    const { policy, ackDeadlineMs, clock, routing, outstandingMax } = options;
    this.#terms = new Terms(policy, ackDeadlineMs, options.openDeadLetters !== undefined);
    const shared = { lanes: this.#lanes, terms: this.#terms, counters: this.counters };
    this.#settling = new Settling({
      ...shared,
      options,
      epoch,
      arm: () => this.#arm(),
      wake: () => this.#waiters.wake(),
    });
    this.#taking = new Taking({
      ...shared,
      ...{ clock, routing, outstandingMax },
      giveUp: (lane, doomed) => this.#settling.giveUp(lane, doomed),
    });
    this.consumers = new Consumers(options.clock);
    this.#waiters = new Waiters(options.clock, (line) =>
      chooseWaiter(options.routing(), line, () => this.consumers.active()),
    );
    this.#alarm = new Alarm(options.clock, () => this.#onTime());
  }

  get number(): number {
    return this.#options.number;
  }

  static async open(options: SubscriptionOptions): Promise<LiveSubscription> {
    const { epoch, cursors } = await options.journal.recover(options.startOf);
    const subscription = new LiveSubscription(options, epoch + 1, cursors);
    if (subscription.#lanes.rewind()) await options.journal.snapshot(epoch, cursors);
    await subscription.addPartitions();
    return subscription;
  }

  /** Takes up partitions that the topic has gained, one call after the other: two would take up the same. */
  addPartitions(): Promise<void> {
    this.#adding = this.#adding.then(() => this.#addPartitions());
    return this.#adding;
  }

  async #addPartitions(): Promise<void> {
    // An earlier life may not have come to the end of moving what it had given up.
    await this.#lanes.add((lane) => this.#settling.bury(lane, lane.cursor.doomed()));
    this.#arm();
    this.#waiters.wake();
  }

  /** Ends the wait of all receivers with the reason. */
  close(reason = new HotSwapError("shutting_down")): void {
    this.#closed = reason;
    this.#alarm.off();
    this.#settling.close();
    for (const lane of this.#lanes.all) lane.unlisten();
    this.#waiters.wakeAll();
  }

  /**
   * Leases up to `limit` messages (≥ 1). With nothing to give it waits up to `waitMs`, or until the signal
   * aborts, and then answers with nothing. Rejects with `log_corrupt` when damaged records are all that is left.
   */
  async receive(
    limit: number,
    waitMs: number,
    signal?: AbortSignal,
    who: ConsumerName = nobody,
  ): Promise<Received> {
    const consumer = this.consumers.see(who);
    await this.#begin();
    try {
      return await this.#receive(consumer, limit, waitMs, signal);
    } finally {
      this.consumers.touch(consumer);
      if (this.#waiters.size > 0) this.#arm(); // with `direct`, somebody may have to take over from this one
    }
  }

  /** The consumer's connection has ended: with `direct`, another may take over. */
  leave(who: ConsumerName): void {
    this.consumers.leave(who);
    this.#waiters.wake();
  }

  async #receive(
    consumer: Consumer,
    limit: number,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Received> {
    const { clock, routing } = this.#options;
    const end = clock.monotonic() + waitMs;
    for (;;) {
      if (this.#closed) throw this.#closed;
      if (signal?.aborted) return { deliveries: [], expiresAt: clock.now() }; // nobody is there to take them
      const seen = this.#waiters.events;
      const isServed = routing().strategy !== "direct" || this.consumers.active() === consumer;
      const claim = this.#claim(limit, consumer);
      const taken = isServed ? this.#taking.take(claim) : [];
      if (taken.length > 0) {
        this.#fenceCount += 1;
        this.#arm();
        if (this.#waiters.size > 0) this.#waiters.wake(); // there may be more for the next in line
        const received = await this.#deliver(taken, claim);
        if (received.deliveries.length > 0) return received;
        continue; // nobody wants any of them by now
      }
      if (isServed && (await this.#fill())) continue;
      if (clock.monotonic() >= end) return { deliveries: [], expiresAt: clock.now() };
      if (this.#waiters.events === seen) await this.#waiters.wait(consumer, end, signal);
    }
  }

  /** Settles as done. Each receipt has its own outcome; the promise rejects only when none could be recorded. */
  ack(receipts: readonly Receipt[]): Promise<Settlement[]> {
    return this.#traced("ack", receipts, () => this.#settling.ack(receipts));
  }

  /** Gives messages back, each to its fate. */
  nack(items: readonly Nack[]): Promise<Settlement[]> {
    const receipts = items.map(({ receipt }) => receipt);
    return this.#traced("nack", receipts, () => this.#settling.nack(items));
  }

  #traced<Result>(name: "ack" | "nack", receipts: readonly Receipt[], settle: () => Result): Result {
    const { tracer, topic, name: subscription } = this.#options;
    if (!tracer?.enabled) return settle();
    const receives = receipts.map(
      ({ partition, offset }) => this.#lanes.of(partition)?.cursor.entry(offset)?.lease?.trace,
    );
    return traceSettle(tracer, { topic: topic.name, subscription, name, receives }, settle);
  }

  /** Dead letters that hold their keys, oldest first in each partition. */
  parked(): { partition: number; offset: number }[] {
    return this.#lanes.all.flatMap(({ partition, cursor }) =>
      Array.from(cursor.parked(), ({ offset }) => ({ partition, offset })),
    );
  }

  /** Tries a parked message again, as if for the first time. Resolves to whether it was parked. */
  async revive(partition: number, offset: number): Promise<boolean> {
    const lane = this.#lanes.of(partition);
    const entry = lane?.cursor.revive(offset);
    if (!lane || !entry) return false;
    await this.#settling.settle([{ lane, retries: [entry] }], "fsync");
    return true;
  }

  /** Lets the key of a parked message go on without it. Resolves to whether it was parked. */
  async discard(partition: number, offset: number): Promise<boolean> {
    const lane = this.#lanes.of(partition);
    if (lane?.cursor.entry(offset)?.state !== "parked") return false;
    lane.cursor.bury(offset);
    await this.#settling.settle([{ lane, done: [offset] }], "fsync");
    return true;
  }

  /** Delivers dead letters again, to this subscription only. Resolves when they survive power loss. */
  async replay(bodies: Buffer[]): Promise<void> {
    const { log, cursor } = await this.#lanes.replays();
    await log.trim(cursor.floor);
    await log.append(bodies, this.#options.replayDurability);
  }

  /** The newest of what was replayed, at most `count` messages. */
  async replayed(count: number): Promise<Buffer[]> {
    const { log } = await this.#lanes.replays();
    const from = Math.max(log.start, log.end - count);
    const records = from < log.end ? await log.read(from, { records: count, bytes: 64 << 20 }) : [];
    return records.map(({ body }) => body);
  }

  isDone(partition: number, offset: number): boolean {
    return this.#lanes.of(partition)?.cursor.isDone(offset) ?? true;
  }

  /** Takes messages out of the receivers' hands; returns those that nobody else has and that are not done. */
  claim(partition: number, offsets: readonly number[]): number[] {
    const cursor = this.#lanes.of(partition)?.cursor;
    return cursor ? offsets.filter((offset) => cursor.claim(offset) === "ok") : [];
  }

  /** Ends claims, synced: what they say of messages that went elsewhere must not be taken back. */
  async endClaims(partition: number, offsets: readonly number[], isDone: boolean): Promise<void> {
    const lane = this.#lanes.of(partition);
    if (!lane) return;
    const done = isDone ? offsets.filter((offset) => offset < lane.cursor.next) : [];
    const early = isDone ? offsets.filter((offset) => offset >= lane.cursor.next) : [];
    for (const offset of offsets) lane.cursor.endClaim(offset, isDone);
    if (isDone) await this.#settling.settle([{ lane, done, early }], "fsync");
    else this.#waiters.wake();
  }

  /** Moves the deadlines to `forMs` from now. */
  extend(receipts: readonly Receipt[], forMs: number): Settlement[] {
    const deadline = this.#options.clock.monotonic() + forMs;
    const outcomes = receipts.map(({ partition, offset, fence }): Settlement => {
      const lane = this.#lanes.of(partition);
      return lane ? outcomeOf(lane, offset, lane.cursor.extend(offset, fence, deadline)) : "never";
    });
    this.#arm();
    return outcomes;
  }

  /** From now on; what is delayed already stays so. */
  setPolicy(policy: SubscriptionPolicy, ackDeadlineMs: number): void {
    this.#terms.change(policy, ackDeadlineMs);
  }

  /** Receivers that wait for a message. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Goes on from other offsets, one a partition; what is out on lease is nobody's from then on. Resolves when that is
   * durable. When it rejects, it counts while the process lives and may be undone by its end.
   */
  seek(offsets: readonly number[]): Promise<void> {
    const seeking = this.#adding.then(() => this.#seek(offsets));
    this.#adding = seeking.catch(() => {}); // told to the caller
    return seeking;
  }

  async #seek(offsets: readonly number[]): Promise<void> {
    await this.#begin();
    const { journal } = this.#options;
    const lanes = await this.#lanes.openAt(offsets);
    await journal.idle();
    if (this.#closed) throw this.#closed;
    // From here to the snapshot's first record nothing is awaited: settlements fall before it or count on top of it.
    this.#settling.startAnew();
    this.#lanes.replace(lanes);
    const written = journal.snapshot(this.#epoch, this.#lanes.cursors);
    this.#arm();
    this.#waiters.wakeAll();
    await written;
  }

  get state() {
    let depth = 0;
    let inFlight = 0;
    let delayed = 0;
    for (const { cursor, log } of this.#lanes.all) {
      depth += cursor.outstanding + Math.max(0, log.end - cursor.next - cursor.early);
      inFlight += cursor.leased;
      delayed += cursor.delayed;
    }
    return { depth, inFlight, delayed };
  }

  /** All that is known of why something is or is not delivered; see explain.ts. */
  get view(): SubscriptionView {
    const { topic, name, clock, outstandingMax, routing } = this.#options;
    const { policy, filter } = this.#terms;
    const [lanes, consumers] = [this.#lanes, this.consumers];
    return { topic, name, clock, outstandingMax, routing: routing(), lanes, policy, filter, consumers };
  }

  /** Per partition of the topic: the oldest offset that is not done. */
  floors(): { partition: number; floor: number }[] {
    return this.#lanes.all
      .filter(({ partition }) => partition !== replayPartition)
      .map(({ partition, cursor }) => ({ partition, floor: cursor.floor }));
  }

  /** The epoch is written at the first receive, so that looking at an idle subscription writes nothing. */
  #begin(): Promise<void> {
    this.#begun ??= this.#options.journal.beginEpoch(this.#epoch).catch((error) => {
      this.#begun = undefined;
      throw error;
    });
    return this.#begun;
  }

  /** Gives up what has expired at the head of each partition, where nobody receives that would find it. */
  async expire(): Promise<void> {
    if (!this.#terms.buriesExpired) return;
    await this.#begin();
    do {
      const now = this.#options.clock.now();
      for (const lane of this.#lanes.all) this.#taking.expireHead(lane, now);
    } while (!this.#closed && (await this.#fill()));
  }

  /** The lease that a receive would get now; its fence is used up when it takes something. */
  #claim(limit: number, consumer: Consumer): Claim {
    const deadline = this.#options.clock.monotonic() + this.#terms.ackDeadlineMs;
    const fence = this.#epoch * fencesPerEpoch + this.#fenceCount + 1;
    return { consumer, fence, deadline, limit };
  }

  /** What there is to take is at hand, or nothing is there: see Taking. */
  async #fill(): Promise<boolean> {
    try {
      return await this.#taking.fill();
    } catch (error) {
      // A topic that is being deleted cannot be read; the next round says so.
      if (this.#closed) return true;
      throw error;
    }
  }

  async #deliver(taken: Taken[], { fence, deadline, consumer }: Claim): Promise<Received> {
    const { clock, number } = this.#options;
    const { loaded, damage } = await load(taken, this.#options.onError);
    const deliveries: Delivery[] = [];
    const handedOut: Taken[] = [];
    const unwanted: Taken[] = [];
    const now = clock.now();
    for (const one of loaded) {
      const { lane, entry, body } = one;
      // Without a body, retention has removed it. And reading may have taken so long that the lease is over:
      // what another consumer holds by now, or has settled, is not handed out a second time.
      if (!body || entry.lease?.fence !== fence) continue;
      const why = one.isFresh ? undefined : this.#taking.whyUnwanted(body, now);
      if (why === "expired" && this.#terms.buriesExpired) {
        lane.cursor.outdate(entry, now);
        this.#settling.giveUp(lane, [entry]);
        continue;
      }
      if (why !== undefined) {
        unwanted.push(one);
        continue;
      }
      deliveries.push(new Leased(number, lane.partition, entry, body, fence));
      handedOut.push(one);
    }
    if (damage && deliveries.length === 0) throw damage;
    // Not awaited: meanwhile the leases of the others could end, and what another has by then would go out twice.
    if (unwanted.length > 0) this.#settling.finish(unwanted, "os").catch(this.#options.onError);
    if (this.#terms.policy.ackMode === "at-most-once") await this.#settling.finish(handedOut, "fsync");
    this.#countDelivered(deliveries, consumer);
    return { deliveries, expiresAt: clock.now() + deadline - clock.monotonic() };
  }

  #countDelivered(deliveries: readonly Delivery[], consumer: Consumer): void {
    const { clock, meter } = this.#options;
    const first = deliveries.find(({ attempt }) => attempt === 1);
    const redelivered = deliveries.filter(({ attempt }) => attempt > 1).length;
    this.counters.delivered += deliveries.length;
    consumer.delivered += deliveries.length;
    this.counters.redelivered += redelivered;
    meter.delivered.inc(deliveries.length);
    if (redelivered > 0) meter.redelivered.inc(redelivered);
    if (first) meter.deliverySeconds.observe(Math.max(0, clock.now() - publishedAtOf(first.body)) / 1000);
  }

  #arm(): void {
    let at = Number.POSITIVE_INFINITY;
    for (const { cursor } of this.#lanes.all) at = Math.min(at, cursor.nextDeadline ?? at);
    if (this.#waiters.size > 0 && this.#options.routing().strategy === "direct") {
      at = Math.min(at, this.consumers.active()?.thereUntil ?? at);
    }
    this.#alarm.set(at);
  }

  #onTime(): void {
    const { clock, onError } = this.#options;
    const now = clock.monotonic();
    for (const lane of this.#lanes.all) {
      const retries = lane.cursor.advance(now, clock.now(), (attempt) => this.#terms.fateOf(attempt, now));
      if (retries.length === 0) continue;
      this.counters.expired += retries.length;
      this.#settling.settle([{ lane, retries }]).catch(onError);
    }
    this.#arm();
    this.#waiters.wake();
  }
}
