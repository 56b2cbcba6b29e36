/**
 * A live topic: the partitions of the log it consists of, its live subscriptions, and the way into it. No SQL.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import type { LogPartition, LogStore } from "../../stores/log/port.ts";
import { decodeMessage, type NewMessage } from "../message.ts";
import type { MessagingMetrics } from "../metrics.ts";
import type { Tenure } from "../nodes/tenancy.ts";
import { TenuredLog } from "../nodes/tenured-log.ts";
import { type Tracer, tracePublish } from "../traces.ts";
import type { DeadLetterQueue } from "./dead-letters.ts";
import { DelayLog, delayLogName } from "./delay-log.ts";
import { Journal } from "./journal.ts";
import { placeOf, type Where } from "./places.ts";
import type { SubscriptionPolicy } from "./policy.ts";
import { type Placement, Publisher } from "./publisher.ts";
import { limitOf } from "./retention-limit.ts";
import type { TopicSpec } from "./spec.ts";
import { LiveSubscription } from "./subscription.ts";

export interface SubscriptionSpec {
  id: string;
  name: string;
  number: number;
  ackDeadlineSeconds: number;
  policy: SubscriptionPolicy;
  /** Where it begins, by partition; 0 where nothing is said. */
  startOffsets: readonly number[];
}

/** Of a subscription that was removed between the look and the answer. */
const noSubscriptionStats = {
  depth: 0,
  inFlight: 0,
  lag: 0,
  delayed: 0,
  oldestUnackedAgeMs: null,
  deliveredTotal: 0,
  ackedTotal: 0,
  redeliveredTotal: 0,
  deadLetteredTotal: 0,
};

/** Who may serve a topic, where several nodes share the log. */
export interface Serving {
  /** Throws `topic_moved` when it is another node. */
  tenureOf(topic: { tenant: string; name: string }): Tenure;
  holds(tenure: Tenure): boolean;
}

/** Why each message is refused before it is appended; undefined when none is. */
export type Inspect = (
  spec: TopicSpec,
  messages: readonly NewMessage[],
) => Refusals | undefined | Promise<Refusals | undefined>;
type Refusals = readonly (HotSwapError | undefined)[];

export interface TopicParts {
  /** Asked when the topic names a schema. */
  inspect?: Inspect | undefined;
  /** Undefined on a single node, which serves everything. */
  serving?: Serving | undefined;
  log: LogStore;
  clock: Clock;
  metrics: MessagingMetrics;
  /** Without it nothing is traced, and messages carry what their publisher gave them. */
  tracer?: Tracer | undefined;
  /** Of one partition of a subscription; see LiveSubscription. */
  outstandingMax: number;
  /** Idempotency keys that one topic remembers. */
  dedupKeysMax: number;
  /** Messages of one topic that may wait for their time. */
  scheduledMax: number;
  /** Records of a subscription's journal between two snapshots; the journal knows a good number. */
  snapshotEvery?: number;
  /** The queue for what a topic gives up; made when there is none. */
  openDeadLetters: (of: TopicSpec) => Promise<DeadLetterQueue>;
  /** How often a delay log notes where it is, and trims; it knows good numbers. */
  delayPace?: { noteEvery: number; trimEvery: number };
  onError: (error: unknown) => void;
}

/** A subscription of this topic, opened at first use. */
interface Member {
  spec: SubscriptionSpec;
  opening: Promise<LiveSubscription> | undefined;
  live: LiveSubscription | undefined;
}

export const partitionName = (topic: number, partition: number) => `t${topic}-${partition}`;
/** All that a subscription has in the log. */
export const subscriptionPartitions = (subscription: number) => [
  journalName(subscription),
  replayName(subscription),
];
export const replayName = (subscription: number) => `r${subscription}`;
export const journalName = (subscription: number) => `s${subscription}`;

export class LiveTopic {
  spec: TopicSpec;
  readonly #parts: TopicParts;
  readonly #publisher: Publisher;
  readonly #partitions: LogPartition[] = [];
  readonly #subscriptions = new Map<string, Member>();
  readonly #tenured: TenuredLog | undefined;
  #tenure: Tenure | undefined;
  #opening: Promise<readonly LogPartition[]> | undefined;
  #growing = Promise.resolve();
  #isReady = false;
  /** Whether there is a delay log from an earlier life. */
  hasDelays = false;
  /** Why it takes no more, once it is closed. */
  #closed: HotSwapError | undefined;

  constructor(spec: TopicSpec, parts: TopicParts) {
    this.spec = spec;
    this.#tenured = parts.serving && new TenuredLog(parts.log);
    this.#parts = this.#tenured ? { ...parts, log: this.#tenured } : parts;
    const { clock, dedupKeysMax } = parts;
    this.#publisher = new Publisher({
      clock,
      dedupKeysMax,
      meter: parts.metrics.topic(spec),
      spec: () => this.spec,
      closed: () => this.#closed,
      hasDelays: () => this.hasDelays,
      openDelays: () => this.#openDelays(),
    });
  }

  /**
   * The partitions, opened at first use: thousands of idle topics cost nothing at start. The subscriptions are
   * opened with them, as a journal may have to forget what the log has lost before new messages take the place.
   */
  partitions(): readonly LogPartition[] | Promise<readonly LogPartition[]> {
    if (this.#closed) throw this.#closed; // opening would make anew what a deletion has removed
    if (this.#tenured) this.#admit();
    if (this.#isReady && this.#partitions.length === this.spec.partitions) return this.#partitions;
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Which messages the topic's schema refuses; undefined when none. */
  inspect(messages: readonly NewMessage[]): ReturnType<Inspect> {
    return this.spec.schema && this.#parts.inspect?.(this.spec, messages);
  }

  /**
   * Resolves to where each message is, or why it is not; see Publisher. What the topic's schema refuses does not
   * stop the others.
   */
  async publish(messages: readonly NewMessage[]): Promise<(Placement | Error)[]> {
    const inspected = this.inspect(messages);
    const refusals = inspected instanceof Promise ? await inspected : inspected;
    if (!refusals) return this.append(messages);
    const accepted = messages.filter((_, i) => !refusals[i]);
    const placements = accepted.length > 0 ? await this.append(accepted) : [];
    return refusals.map((refusal) => refusal ?? placements.shift()!);
  }

  /** As `publish`, of what has been inspected. Throws, or rejects, when the topic takes nothing. */
  append(messages: readonly NewMessage[]): Promise<(Placement | Error)[]> {
    const opening = this.partitions();
    return opening instanceof Promise
      ? opening.then((partitions) => this.#appendTo(partitions, messages))
      : this.#appendTo(opening, messages);
  }

  #appendTo(partitions: readonly LogPartition[], messages: readonly NewMessage[]) {
    const append = () => this.#publisher.publish(messages, partitions);
    const { tracer } = this.#parts;
    return tracer ? tracePublish(tracer, this.spec.name, messages, append) : append();
  }

  /** What waits for its time; undefined when nothing ever did. Throws what opening it met. */
  async delays(): Promise<DelayLog | undefined> {
    if (this.#closed) throw this.#closed;
    return this.hasDelays ? this.#publisher.openDelays() : undefined;
  }

  async #openDelays(): Promise<DelayLog> {
    const { log, clock, scheduledMax, delayPace, onError } = this.#parts;
    await this.partitions();
    const name = delayLogName(this.spec.number);
    const delays = await DelayLog.open({
      log: await log.partition(name),
      clock,
      pendingMax: scheduledMax,
      keyWindowMs: () => this.spec.dedupWindowMs,
      durability: () => this.spec.durability,
      strongest: log.durability,
      partitions: () => this.#partitions,
      ...delayPace,
      append: (bodies) => this.#publisher.appendDue(bodies, this.#partitions),
      onError,
    });
    this.hasDelays = true;
    if (this.#closed) delays.close();
    return delays;
  }

  /** Whether this node serves it now; always, on a single node. */
  get isServed(): boolean {
    try {
      if (this.#tenured) this.#admit();
      return true;
    } catch {
      return false;
    }
  }

  /** Throws `topic_moved` when another node serves the topic. */
  #admit(): void {
    const { serving } = this.#parts;
    if (!this.#tenured || !serving || (this.#tenure && serving.holds(this.#tenure))) return;
    this.#tenure = serving.tenureOf(this.spec);
    this.#tenured.epoch = this.#tenure.epoch;
  }

  /**
   * Closes what is open, once the appends under way have ended, and opens it again at the next use by whoever may
   * serve it then. Whoever waits for messages is told the reason.
   */
  async suspend(reason: HotSwapError): Promise<void> {
    await this.#opening?.catch(() => {}); // has been told to who waited for it
    this.#isReady = false;
    this.#partitions.length = 0;
    await this.#publisher.forget();
    for (const member of this.#subscriptions.values()) {
      const live = await member.opening?.catch(() => undefined);
      member.opening = undefined;
      member.live = undefined;
      live?.close(reason);
    }
    await this.#tenured?.letAllGo();
  }

  /** Gives up what retention does not keep. Nothing to do for a topic that nobody has used since the start. */
  async trim(): Promise<void> {
    const { retentionMs, retentionBytes, retain } = this.spec;
    if (!this.#isReady || this.#closed || (retentionMs ?? retentionBytes) === undefined) return;
    for (const [partition, log] of [...this.#partitions.entries()]) {
      if (log.start === log.end) continue;
      const limit = await limitOf(log, this.spec, this.#parts.clock.now(), 1 / this.spec.partitions);
      const needed = retain === "limits" ? Number.POSITIVE_INFINITY : this.#neededFrom(partition);
      const before = Math.min(limit, needed, this.#publisher.neededFrom(partition));
      if (before > log.start) await log.trim(before);
    }
  }

  /** Gives up what has expired, for subscriptions that want that; they may have no consumer who would find it. */
  async expire(): Promise<void> {
    for (const { spec } of [...this.#subscriptions.values()]) {
      if (!spec.policy.deadLetterExpired || this.#closed || !this.isServed) continue;
      await (await this.subscription(spec.name))?.expire();
    }
  }

  /** The first offset that a subscription has not finished. Of one that cannot be opened nothing is known. */
  #neededFrom(partition: number): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { live } of this.#subscriptions.values()) {
      first = Math.min(first, live?.floors().find((one) => one.partition === partition)?.floor ?? 0);
    }
    return first;
  }

  /** The offset of a place in each partition. */
  async placesOf(where: (partition: number) => Where): Promise<number[]> {
    const partitions = await this.partitions();
    return Promise.all(partitions.map((log, partition) => placeOf(log, where(partition))));
  }

  /** How many messages wait for their time; undefined when none did since the start. */
  get waiting(): number | undefined {
    return this.#publisher.waiting;
  }

  get publishedTotal(): number {
    return this.#publisher.publishedTotal;
  }

  /** As the queue of another topic's dead letters: all of them lie in the first partition, in the order of moves. */
  async deadLetterQueue(): Promise<DeadLetterQueue> {
    const log = (await this.partitions())[0]!;
    return { log, append: (bodies) => this.#publisher.appendDeadLetters(bodies, log) };
  }

  /** Adds a subscription that exists in SQL. It is opened at first use. */
  addSubscription(spec: SubscriptionSpec): void {
    const known = this.#subscriptions.get(spec.name)?.spec.number === spec.number;
    if (known)
      this.changeSubscription(spec); // another node has
    else this.#subscriptions.set(spec.name, { spec, opening: undefined, live: undefined });
  }

  /** Settings of a subscription have changed. */
  changeSubscription(spec: SubscriptionSpec): void {
    const member = this.#subscriptions.get(spec.name);
    if (!member) return; // removed at the same moment
    member.spec = spec;
    const apply = (live: LiveSubscription) => live.setPolicy(spec.policy, spec.ackDeadlineSeconds * 1000);
    if (member.live) apply(member.live);
    else member.opening?.then(apply, () => {}); // one that is being opened has the old ones
  }

  /** Whoever waits for its messages is told the reason; by default that the server stops. */
  async removeSubscription(name: string, reason?: HotSwapError): Promise<void> {
    const entry = this.#subscriptions.get(name);
    this.#subscriptions.delete(name);
    (await entry?.opening?.catch(() => undefined))?.close(reason); // one that never opened needs no closing
  }

  get subscriptions(): SubscriptionSpec[] {
    return [...this.#subscriptions.values()].map(({ spec }) => spec);
  }

  async subscription(name: string): Promise<LiveSubscription | undefined> {
    const member = this.#subscriptions.get(name);
    if (this.#tenured) this.#admit();
    if (!member || member.live) return member?.live;
    await this.partitions();
    return this.#openMember(member);
  }

  *openSubscriptions(): Generator<{ name: string; live: LiveSubscription }> {
    for (const { spec, live } of this.#subscriptions.values()) if (live) yield { name: spec.name, live };
  }

  /** How far a subscription is. Opens it, as its state is in its journal. */
  async subscriptionStats({ id, name }: SubscriptionSpec) {
    const live = await this.subscription(name);
    if (!live) return { id, name, ...noSubscriptionStats };
    const { delivered, acked, redelivered, deadLettered } = live.counters;
    return {
      id,
      name,
      ...live.state,
      lag: live.state.depth - live.state.inFlight,
      oldestUnackedAgeMs: await this.#oldestAge(live),
      deliveredTotal: delivered,
      ackedTotal: acked,
      redeliveredTotal: redelivered,
      deadLetteredTotal: deadLettered,
    };
  }

  async #oldestAge(live: LiveSubscription): Promise<number | null> {
    const now = this.#parts.clock.now();
    const ages = live.floors().map(async ({ partition, floor }) => {
      const log = this.#partitions[partition]!;
      if (floor >= log.end) return null;
      const [record] = await log.read(Math.max(floor, log.start), { records: 1, bytes: 1 });
      return record ? Math.max(0, now - decodeMessage(record.body).publishedAt) : null;
    });
    const known = (await Promise.all(ages)).filter((age) => age !== null);
    return known.length > 0 ? Math.max(...known) : null;
  }

  /** Takes up new partitions after the spec has grown. */
  grow(spec: TopicSpec): Promise<void> {
    this.#growing = this.#growing.catch(() => {}).then(() => this.#grow(spec));
    return this.#growing;
  }

  async #grow(spec: TopicSpec): Promise<void> {
    if (spec.version < this.spec.version) return; // a later change has overtaken this one
    if (this.isServed) await this.partitions();
    this.spec = spec;
    if (!this.isServed) return;
    await this.partitions();
    for (const { live } of this.#subscriptions.values()) await live?.addPartitions();
  }

  async close(reason = new HotSwapError("shutting_down")): Promise<void> {
    this.#closed = reason;
    this.#publisher.close();
    await this.#opening?.catch(() => {}); // has been told to who waited for it
    for (const name of [...this.#subscriptions.keys()]) await this.removeSubscription(name, reason);
  }

  async #open(): Promise<readonly LogPartition[]> {
    try {
      for (let i = this.#partitions.length; i < this.spec.partitions; i++) {
        this.#partitions.push(await this.#parts.log.partition(partitionName(this.spec.number, i)));
      }
      for (const member of this.#subscriptions.values()) {
        await this.#openMember(member).catch((error) => {
          // A damaged journal stops its own consumers, who are told, and not the publishers.
          if (!hasCode(error, "log_corrupt")) throw error;
          this.#parts.onError(error);
        });
      }
      this.#isReady = true;
      return this.#partitions;
    } finally {
      this.#opening = undefined;
    }
  }

  #openMember(member: Member): Promise<LiveSubscription> {
    member.opening ??= this.#openSubscription(member.spec).then(
      (live) => {
        member.live = live;
        return live;
      },
      (error) => {
        member.opening = undefined; // tried again at the next use
        throw error;
      },
    );
    return member.opening;
  }

  async #openSubscription(spec: SubscriptionSpec): Promise<LiveSubscription> {
    const { log, clock, metrics, outstandingMax, snapshotEvery, openDeadLetters, onError } = this.#parts;
    const partitions = this.#partitions;
    return LiveSubscription.open({
      topic: this.spec,
      name: spec.name,
      number: spec.number,
      routing: () => this.spec.routing,
      ackDeadlineMs: spec.ackDeadlineSeconds * 1000,
      policy: spec.policy,
      openDeadLetters: this.spec.deadLettersOf === undefined ? () => openDeadLetters(this.spec) : undefined,
      outstandingMax,
      meter: metrics.subscription(this.spec, spec.name),
      tracer: this.#parts.tracer,
      clock,
      journal: new Journal(
        await log.partition(journalName(spec.number)),
        clock,
        snapshotEvery,
        log.durability,
      ),
      partitions,
      openReplays: () => log.partition(replayName(spec.number)),
      replayDurability: log.durability,
      startOf: (partition) => Math.max(spec.startOffsets[partition] ?? 0, partitions[partition]?.start ?? 0),
      onError,
    });
  }
}
