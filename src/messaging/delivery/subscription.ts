/**
 * A live subscription: gives messages to receivers, takes their settlements, and keeps both in step with the
 * log and the journal. Choosing and leasing is synchronous over records that were read ahead, so two receivers
 * can never be given the same message; only reading and journalling wait for the disk.
 *
 * Nothing here looks at SQL. One timer per subscription stands for all deadlines.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Durability } from "../../stores/log/port.ts";
import type { Receipt } from "../ids.ts";
import { expiresAtOf, isDeadLetter, keyOf, publishedAtOf } from "../message.ts";
import type { SubscriptionMeter } from "../metrics.ts";
import { type Tracer, traceSettle } from "../traces.ts";
import { Alarm } from "./alarm.ts";
import { type Consumer, type ConsumerName, Consumers, nobody } from "./consumers.ts";
import type { Cursor, Settlement } from "./cursor.ts";
import { type DeadLetterQueue, DeadLetters } from "./dead-letters.ts";
import { type Delivery, Leased, type Nack, type Received } from "./delivered.ts";
import { type Entry, type Fate, newLease, recordOf } from "./entry.ts";
import type { SubscriptionView } from "./explain.ts";
import { type CompiledFilter, compileFilter } from "./filter.ts";
import { fill, type Lane, load, pass, type Taken } from "./lane.ts";
import { Lanes, type LanesOptions, replayPartition } from "./lanes.ts";
import { backoffMs, type SubscriptionPolicy } from "./policy.ts";
import { chooseWaiter, type Routing } from "./routing.ts";
import { Waiters } from "./waiters.ts";

/** A fence is epoch · 2^32 + count: 2^21 starts of four thousand million leases each fit a double. */
const fencesPerEpoch = 2 ** 32;

export interface SubscriptionOptions extends Omit<LanesOptions, "onAppend"> {
  topic: { readonly name: string; readonly number: number };
  name: string;
  number: number;
  /** Of the topic; may change. */
  routing: () => Routing;
  ackDeadlineMs: number;
  policy: SubscriptionPolicy;
  /** Undefined when the topic is a dead-letter queue itself: nothing of it expires or is given up. */
  openDeadLetters: (() => Promise<DeadLetterQueue>) | undefined;
  /** The strongest that the log keeps. */
  replayDurability: Durability;
  /** Messages of a partition that may be outstanding; beyond it the partition waits for settlements. */
  outstandingMax: number;
  meter: SubscriptionMeter;
  /** Without it nothing is traced. */
  tracer?: Tracer | undefined;
  clock: Clock;
  /** Told of what cannot be answered to anybody, such as a journal that cannot be written when a lease expires. */
  onError(error: unknown): void;
}

const nothingTaken = { taken: [], fence: 0, deadline: 0 };

interface Change {
  lane: Lane;
  done?: number[];
  retries?: Entry[];
  early?: number[];
}

export class LiveSubscription {
  readonly counters = {
    delivered: 0,
    acked: 0,
    redelivered: 0,
    nacked: 0,
    expired: 0,
    deadLettered: 0,
    outdated: 0,
    filtered: 0,
  };
  readonly consumers: Consumers;
  readonly #options: SubscriptionOptions;
  readonly #lanes: Lanes;
  readonly #epoch: number;
  #begun: Promise<void> | undefined;
  #adding = Promise.resolve();
  #fenceCount = 0;
  #turn = 0;
  readonly #waiters: Waiters;
  readonly #alarm: Alarm;
  #policy: SubscriptionPolicy;
  #filter: CompiledFilter | undefined;
  #ackDeadlineMs: number;
  /** Made with the first message that is given up. */
  #deadLetters: DeadLetters | undefined;
  #closed: HotSwapError | undefined;

  private constructor(options: SubscriptionOptions, epoch: number, cursors: Map<number, Cursor>) {
    this.#options = options;
    this.#epoch = epoch;
    this.#lanes = new Lanes({ ...options, onAppend: () => this.#waiters.wake() }, cursors);
    this.#policy = options.policy;
    this.#filter = options.policy.filter && compileFilter(options.policy.filter);
    this.#ackDeadlineMs = options.ackDeadlineMs;
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
    await this.#lanes.add((lane) => this.#bury(lane, lane.cursor.doomed()));
    this.#arm();
    this.#waiters.wake();
  }

  /** Ends the wait of all receivers with the reason. */
  close(reason = new HotSwapError("shutting_down")): void {
    this.#closed = reason;
    this.#alarm.off();
    this.#deadLetters?.close();
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
      const { taken, fence, deadline } = isServed ? this.#take(limit, consumer) : nothingTaken;
      if (taken.length > 0) {
        if (this.#waiters.size > 0) this.#waiters.wake(); // there may be more for the next in line
        const received = await this.#deliver(taken, fence, deadline, consumer);
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
    return this.#traced("ack", receipts, () => this.#ack(receipts));
  }

  async #ack(receipts: readonly Receipt[]): Promise<Settlement[]> {
    const done = new Map<Lane, number[]>();
    const outcomes = receipts.map((receipt): Settlement => {
      const lane = this.#lanes.of(receipt.partition);
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
    await this.#settle([...done].map(([lane, offsets]) => ({ lane, done: offsets })));
    return outcomes;
  }

  /** Gives messages back, each to its fate. */
  nack(items: readonly Nack[]): Promise<Settlement[]> {
    const receipts = items.map(({ receipt }) => receipt);
    return this.#traced("nack", receipts, () => this.#nack(items));
  }

  #traced<Result>(name: "ack" | "nack", receipts: readonly Receipt[], settle: () => Result): Result {
    const { tracer, topic, name: subscription } = this.#options;
    if (!tracer?.enabled) return settle();
    const receives = receipts.map(
      ({ partition, offset }) => this.#lanes.of(partition)?.cursor.entry(offset)?.lease?.trace,
    );
    return traceSettle(tracer, { topic: topic.name, subscription, name, receives }, settle);
  }

  async #nack(items: readonly Nack[]): Promise<Settlement[]> {
    const returned = new Map<Lane, Entry[]>();
    let failed = 0;
    const outcomes = items.map((item): Settlement => {
      const lane = this.#lanes.of(item.receipt.partition);
      if (!lane) return "never";
      const entry = lane.cursor.entry(item.receipt.offset);
      const outcome = this.#giveBack(lane.cursor, entry, item);
      if (outcome !== "ok" || !entry) return outcome;
      if (!item.release) failed += 1;
      const entries = returned.get(lane);
      if (entries) entries.push(entry);
      else returned.set(lane, [entry]);
      return outcome;
    });
    this.counters.nacked += failed;
    if (failed > 0) this.#options.meter.failed.inc(failed);
    await this.#settle([...returned].map(([lane, retries]) => ({ lane, retries })));
    return outcomes;
  }

  #giveBack(cursor: Cursor, entry: Entry | undefined, item: Nack): Settlement {
    const { offset, fence } = item.receipt;
    if (item.release) return cursor.giveBack(offset, fence);
    const { clock } = this.#options;
    const now = clock.monotonic();
    const fate =
      item.deadLetter && this.#options.openDeadLetters
        ? "dead"
        : this.#fateOf(entry?.attempt ?? 0, now, item.delayMs);
    return cursor.nack(offset, fence, fate, now, clock.now(), item.reason);
  }

  #fateOf(attempt: number, now: number, delayMs?: number): Fate {
    const { maxAttempts, backoff } = this.#policy;
    if (maxAttempts > 0 && attempt >= maxAttempts && this.#options.openDeadLetters) return "dead";
    return now + (delayMs ?? backoffMs(backoff, attempt));
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
    await this.#settle([{ lane, retries: [entry] }], "fsync");
    return true;
  }

  /** Lets the key of a parked message go on without it. Resolves to whether it was parked. */
  async discard(partition: number, offset: number): Promise<boolean> {
    const lane = this.#lanes.of(partition);
    if (lane?.cursor.entry(offset)?.state !== "parked") return false;
    lane.cursor.bury(offset);
    await this.#settle([{ lane, done: [offset] }], "fsync");
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
    if (isDone) await this.#settle([{ lane, done, early }], "fsync");
    else this.#waiters.wake();
  }

  /** Moves the deadlines to `forMs` from now. */
  extend(receipts: readonly Receipt[], forMs: number): Settlement[] {
    const deadline = this.#options.clock.monotonic() + forMs;
    const outcomes = receipts.map(
      ({ partition, offset, fence }) =>
        this.#lanes.of(partition)?.cursor.extend(offset, fence, deadline) ?? "never",
    );
    this.#arm();
    return outcomes;
  }

  /** From now on; what is delayed already stays so. */
  setPolicy(policy: SubscriptionPolicy, ackDeadlineMs: number): void {
    this.#policy = policy;
    this.#filter = policy.filter && compileFilter(policy.filter);
    this.#ackDeadlineMs = ackDeadlineMs;
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
    this.#deadLetters?.close();
    this.#deadLetters = undefined;
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
    const lanes = this.#lanes;
    const [policy, filter, consumers] = [this.#policy, this.#filter, this.consumers];
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

  #take(limit: number, consumer: Consumer): { taken: Taken[]; fence: number; deadline: number } {
    const deadline = this.#options.clock.monotonic() + this.#ackDeadlineMs;
    const fence = this.#epoch * fencesPerEpoch + this.#fenceCount + 1;
    const taken: Taken[] = [];
    const { all } = this.#lanes;
    if (this.#options.routing().strategy === "priority")
      this.#takeByPriority(fence, deadline, limit, consumer, taken);
    else {
      for (let i = 0; i < all.length && taken.length < limit; i++) {
        this.#takeFrom(all[(this.#turn + i) % all.length]!, fence, deadline, limit, consumer, taken);
      }
    }
    if (taken.length > 0) {
      this.#turn = (this.#turn + 1) % all.length;
      this.#fenceCount += 1;
      this.#arm();
    }
    return { taken, fence, deadline };
  }

  /** From the most important level down. What a level has on the disk only is read before a lower one has its turn. */
  #takeByPriority(fence: number, deadline: number, limit: number, consumer: Consumer, taken: Taken[]): void {
    for (const level of this.#lanes.levels) {
      for (let i = 0; i < level.length && taken.length < limit; i++) {
        this.#takeFrom(level[(this.#turn + i) % level.length]!, fence, deadline, limit, consumer, taken);
      }
      if (taken.length >= limit || level.some((lane) => this.#wantsMore(lane))) return;
    }
  }

  #takeFrom(
    lane: Lane,
    fence: number,
    deadline: number,
    limit: number,
    consumer: Consumer,
    taken: Taken[],
  ): void {
    const { cursor } = lane;
    const { outstandingMax } = this.#options;
    const lease = newLease(fence, deadline, consumer);
    cursor.leaseReady(lease, limit - taken.length);
    for (const entry of lease.entries) taken.push({ lane, entry, body: undefined, isFresh: false });
    const now = this.#options.clock.now();
    const doomed: Entry[] = [];
    while (taken.length < limit && lane.aheadAt < lane.ahead.length && cursor.outstanding < outstandingMax) {
      const { body } = lane.ahead[lane.aheadAt]!;
      lane.aheadAt += 1;
      if (this.#passes(lane, body, now, doomed)) continue;
      if (cursor.leaseNext(lease, keyOf(body)))
        taken.push({ lane, entry: lease.entries.at(-1)!, body, isFresh: true });
    }
    cursor.begin(lease);
    this.#giveUp(lane, doomed);
  }

  /** Whether the message at the cursor's frontier was passed over or given up, as nobody wants it. */
  #passes(lane: Lane, body: Buffer, now: number, doomed: Entry[]): boolean {
    const why = this.#whyUnwanted(body, now);
    if (why === undefined) return false;
    if (why === "filtered" || !this.#buriesExpired) pass(lane);
    else {
      const entry = lane.cursor.outdateNext(keyOf(body), now);
      if (entry) doomed.push(entry);
    }
    return true;
  }

  /** Journals that these are on their way to the dead-letter queue, and sends them. */
  #giveUp(lane: Lane, doomed: Entry[]): void {
    // Not awaited: what a crash takes of it has expired in the next life as well.
    if (doomed.length > 0) this.#settle([{ lane, retries: doomed }]).catch(this.#options.onError);
  }

  get #buriesExpired(): boolean {
    return this.#policy.deadLetterExpired && this.#options.openDeadLetters !== undefined;
  }

  /** Gives up what has expired at the head of each partition, where nobody receives that would find it. */
  async expire(): Promise<void> {
    if (!this.#buriesExpired) return;
    await this.#begin();
    do {
      const now = this.#options.clock.now();
      for (const lane of this.#lanes.all) this.#expireHead(lane, now);
    } while (!this.#closed && (await this.#fill()));
  }

  #expireHead(lane: Lane, now: number): void {
    const { outstandingMax } = this.#options;
    const doomed: Entry[] = [];
    for (; lane.aheadAt < lane.ahead.length && lane.cursor.outstanding < outstandingMax; lane.aheadAt++) {
      if (!this.#passes(lane, lane.ahead[lane.aheadAt]!.body, now, doomed)) break;
    }
    this.#giveUp(lane, doomed);
  }

  async #deliver(taken: Taken[], fence: number, deadline: number, consumer: Consumer): Promise<Received> {
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
      const why = one.isFresh ? undefined : this.#whyUnwanted(body, now);
      if (why === "expired" && this.#buriesExpired) {
        lane.cursor.outdate(entry, now);
        this.#giveUp(lane, [entry]);
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
    if (unwanted.length > 0) this.#finish(unwanted, "os").catch(this.#options.onError);
    if (this.#policy.ackMode === "at-most-once") await this.#finish(handedOut, "fsync");
    this.#countDelivered(deliveries, consumer);
    return { deliveries, expiresAt: clock.now() + deadline - clock.monotonic() };
  }

  /** A dead letter waits for as long as it takes, also when it is replayed. What the filter refuses never expires. */
  #whyUnwanted(body: Buffer, now: number): "expired" | "filtered" | undefined {
    if (isDeadLetter(body)) return undefined;
    if (this.#filter?.mismatch(body) !== undefined) {
      this.counters.filtered += 1;
      return "filtered";
    }
    const expiresAt = expiresAtOf(body);
    if (expiresAt === undefined || expiresAt > now) return undefined;
    this.counters.outdated += 1;
    return "expired";
  }

  /** Settles in the receiver's place. Until that is durable their keys wait; when it fails they are as before. */
  async #finish(taken: readonly Taken[], durability: "os" | "fsync"): Promise<void> {
    const changes: Change[] = [];
    for (const [lane, own] of Map.groupBy(taken, ({ lane }) => lane)) {
      for (const { entry } of own) lane.cursor.beginSettling(entry);
      changes.push({ lane, done: own.map(({ entry }) => entry.offset) });
    }
    let isDone = false;
    try {
      await this.#settle(changes, durability);
      isDone = true;
    } finally {
      for (const { lane, entry } of taken) lane.cursor.endSettling(entry, isDone);
      this.#waiters.wake();
    }
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

  #wantsMore({ cursor, ahead, aheadAt, log }: Lane): boolean {
    return (
      aheadAt >= ahead.length && cursor.next < log.end && cursor.outstanding < this.#options.outstandingMax
    );
  }

  /** Reads ahead where receivers have caught up. Resolves to whether anything new is there to take. */
  async #fill(): Promise<boolean> {
    const wanting = this.#lanes.all.filter((lane) => this.#wantsMore(lane));
    if (wanting.length === 0) return false;
    const outcomes = await Promise.allSettled(wanting.map(fill));
    // A topic that is being deleted cannot be read; the next round says so.
    if (this.#closed) return true;
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    // A lane that cannot be read is reported when the others have nothing either.
    if (failed && outcomes.every(({ status }) => status === "rejected")) throw failed.reason;
    return true;
  }

  async #settle(changes: Change[], durability: "os" | "fsync" = "os"): Promise<void> {
    const { journal } = this.#options;
    // Of a lane that a seek has replaced nothing counts any more.
    const current = changes.filter(({ lane }) => this.#lanes.of(lane.partition) === lane);
    const written = current.map(({ lane, done = [], retries = [], early = [] }) => {
      const { passed } = lane;
      lane.passed = undefined;
      const settled = { done, passed, retries: retries.map(recordOf), early };
      return journal.settle(lane.partition, settled, durability);
    });
    this.#arm();
    this.#waiters.wake();
    for (const { lane, retries = [] } of current) this.#bury(lane, retries);
    await Promise.all(written);
    if (!journal.needsSnapshot) return;
    // What is settled is in the journal already, so nobody waits; a snapshot that fails only leaves it longer.
    journal.snapshot(this.#epoch, this.#lanes.cursors).catch(this.#options.onError);
  }

  /** Hands those that were given up to the one who moves them. */
  #bury(lane: Lane, entries: Iterable<Entry>): void {
    const doomed = Array.from(entries).filter(({ state }) => state === "doomed");
    const { topic, name, number, journal, clock, openDeadLetters, onError } = this.#options;
    if (doomed.length === 0 || !openDeadLetters) return;
    this.#deadLetters ??= new DeadLetters({
      topic,
      subscription: { name, number },
      journal,
      clock,
      open: openDeadLetters,
      policy: () => this.#policy,
      isWanted: (body) => isDeadLetter(body) || this.#filter?.mismatch(body) === undefined,
      onMoved: (count) => this.#onMoved(count),
      onError,
    });
    this.#deadLetters.add(lane, doomed);
  }

  #onMoved(count: number): void {
    this.counters.deadLettered += count;
    if (count > 0) this.#options.meter.deadLettered.inc(count);
    this.#waiters.wake(); // their keys go on
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
      const retries = lane.cursor.advance(now, clock.now(), (attempt) => this.#fateOf(attempt, now));
      if (retries.length === 0) continue;
      this.counters.expired += retries.length;
      this.#settle([{ lane, retries }]).catch(onError);
    }
    this.#arm();
    this.#waiters.wake();
  }
}
