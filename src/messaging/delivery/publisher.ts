/**
 * How messages get into a topic: which partition takes which, one append per partition and call, and one message per
 * idempotency key. This is the hot path of publishing: no SQL, and nothing is looked at that a message does not have.
 */
import { crc32 } from "node:zlib";
import type { Clock } from "../../core/clock.ts";
import { type HotSwapError, hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { encodeMessage, idempotencyKeyOf, keyOf, type NewMessage, priorityOf } from "../message.ts";
import type { TopicMeter } from "../metrics.ts";
import { type Claim, Deduplication } from "./deduplication.ts";
import { type DelayLog, delayPartition } from "./delay-log.ts";
import type { Place } from "./key-table.ts";
import { lanesPerPartition } from "./routing.ts";
import type { TopicSpec } from "./spec.ts";

export interface Placement extends Place {
  /** Wall-clock milliseconds before which it is not delivered; then the place is in the delay log. */
  scheduledFor?: number;
  /** The message was published before, under the same idempotency key. */
  duplicate?: boolean;
}

export interface PublisherOptions {
  clock: Clock;
  meter: TopicMeter;
  /** Idempotency keys that one topic remembers. */
  dedupKeysMax: number;
  spec: () => TopicSpec;
  /** Whether an earlier life has left messages that wait. */
  hasDelays: () => boolean;
  /** Called once, at the first message that waits. */
  openDelays: () => Promise<DelayLog>;
  /** Why the topic takes no more, once it is closed. */
  closed: () => HotSwapError | undefined;
}

/** A message that this call publishes. */
interface Claimed {
  index: number;
  message: NewMessage;
  claim: Claim;
}

/** Of a message without an idempotency key. */
const unclaimed = { claim: { settle() {} } };

export class Publisher {
  publishedTotal = 0;
  readonly #options: PublisherOptions;
  #dedup: Deduplication | undefined;
  #delays: DelayLog | undefined;
  #openingDelays: Promise<DelayLog> | undefined;
  #turn = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Appends the messages and resolves to where each one is, in the order given. Messages of one key go to one
   * partition; those without take turns, a whole call at a time. When one partition refuses, the others may
   * have accepted: then the outcome of each message differs.
   */
  async publish(
    messages: readonly NewMessage[],
    partitions: readonly LogPartition[],
  ): Promise<(Placement | Error)[]> {
    const { clock, meter } = this.#options;
    const started = clock.monotonic();
    const once = this.#spec.dedupWindowMs > 0 && messages.some(hasIdempotencyKey);
    const placements = await (once
      ? this.#publishOnce(messages, partitions)
      : this.#append(messages, partitions));
    meter.publishSeconds.observe((clock.monotonic() - started) / 1000);
    return placements;
  }

  /** Appends bodies as they are. */
  async appendDeadLetters(bodies: Buffer[], log: LogPartition): Promise<void> {
    const outcome = await this.#appendBodies(log, bodies);
    if (outcome instanceof Error) throw outcome;
  }

  /** What it remembers is read from the log again at the next use: another node may write meanwhile. */
  async forget(): Promise<void> {
    const delays = await this.#openingDelays?.catch(() => undefined); // has been told to who waited for it
    delays?.close();
    this.#dedup = undefined;
    this.#openingDelays = undefined;
    this.#delays = undefined;
  }

  get #spec(): TopicSpec {
    return this.#options.spec();
  }

  /** Appends those whose key is new; the others get the place of the first one. */
  async #publishOnce(messages: readonly NewMessage[], partitions: readonly LogPartition[]) {
    const dedup = await this.#readyDedup(partitions);
    const placements = new Array<Placement | Error>(messages.length);
    const own: Claimed[] = [];
    const others: { index: number; first: Place | Promise<Place | Error> }[] = [];
    for (const [index, message] of messages.entries()) {
      const known = message.idempotencyKey ? dedup.look(message.idempotencyKey) : unclaimed;
      if ("claim" in known) own.push({ index, message, claim: known.claim });
      else if ("refused" in known) placements[index] = known.refused;
      else others.push({ index, first: "pending" in known ? known.pending : known.place });
    }
    const outcomes = await this.#appendClaimed(own, partitions);
    for (const [i, { index }] of own.entries()) placements[index] = outcomes[i]!;
    for (const { index, first } of others) {
      const outcome = await first;
      // When the first one failed the key is free, and this one publishes itself.
      placements[index] =
        outcome instanceof Error
          ? (await this.#publishOnce([messages[index]!], partitions))[0]!
          : await this.#duplicate(outcome);
    }
    return placements;
  }

  async #appendClaimed(own: readonly Claimed[], partitions: readonly LogPartition[]) {
    if (own.length === 0) return [];
    const messages = own.map(({ message }) => message);
    const appending = Promise.try(() => this.#append(messages, partitions));
    // Whatever happens, nobody may wait for a claim for ever.
    const outcomes = await appending.catch((error: Error) => own.map(() => error));
    for (const [i, { claim }] of own.entries()) claim.settle(outcomes[i]!);
    return outcomes;
  }

  async #readyDedup(partitions: readonly LogPartition[]): Promise<Deduplication> {
    const { clock, dedupKeysMax } = this.#options;
    const { dedupWindowMs } = this.#spec;
    this.#dedup ??= new Deduplication(clock, dedupWindowMs, dedupKeysMax);
    this.#dedup.resize(dedupWindowMs);
    const logs = partitions.map((log, number) => ({ number, log }));
    if (this.#options.hasDelays()) await this.openDelays();
    if (this.#delays) logs.push({ number: delayPartition, log: this.#delays.log });
    await this.#dedup.ready(logs);
    return this.#dedup;
  }

  async #duplicate({ partition, offset }: Place): Promise<Placement> {
    this.#options.meter.deduplicated.inc();
    const scheduledFor = partition === delayPartition ? await this.#delays?.dueOf(offset) : undefined;
    return { partition, offset, duplicate: true, ...(scheduledFor !== undefined && { scheduledFor }) };
  }

  #append(
    messages: readonly NewMessage[],
    partitions: readonly LogPartition[],
  ): Promise<(Placement | Error)[]> {
    if (messages.some(isDelayed)) return this.#appendOrDelay(messages, partitions);
    return partitions.length === 1
      ? this.#appendToOne(messages, partitions[0]!)
      : this.#appendSpread(messages, partitions);
  }

  /** Those whose time has come are appended, the others wait. */
  async #appendOrDelay(messages: readonly NewMessage[], partitions: readonly LogPartition[]) {
    const now = this.#options.clock.now();
    const timed = messages.map((message) => withTime(message, now));
    const nowGoing = timed.filter(({ deliverAt }) => deliverAt === undefined);
    const waiting = timed.filter(({ deliverAt }) => deliverAt !== undefined);
    const [appended, delayed] = await Promise.all([
      nowGoing.length > 0 ? this.#append(nowGoing, partitions) : [],
      waiting.length > 0 ? this.#delay(waiting, now) : [],
    ]);
    let appendedAt = 0;
    let delayedAt = 0;
    return timed.map(({ deliverAt }) =>
      deliverAt === undefined ? appended[appendedAt++]! : delayed[delayedAt++]!,
    );
  }

  async #delay(messages: readonly NewMessage[], now: number): Promise<(Placement | Error)[]> {
    try {
      const delays = await this.openDelays();
      delays.admit(messages.length);
      const first = await delays.add(messages.map((message) => this.#encode(message, now)));
      this.#options.meter.scheduled.inc(messages.length);
      return messages.map(({ deliverAt }, i) => ({
        partition: delayPartition,
        offset: first + i,
        scheduledFor: deliverAt!,
      }));
    } catch (error) {
      const reason = this.#reasonOf(error);
      return messages.map(() => reason);
    }
  }

  openDelays(): Promise<DelayLog> {
    this.#openingDelays ??= this.#options.openDelays().then(
      (delays) => {
        this.#delays = delays;
        return delays;
      },
      (error) => {
        this.#openingDelays = undefined; // tried again at the next use
        throw error;
      },
    );
    return this.#openingDelays;
  }

  get waiting(): number | undefined {
    return this.#delays?.size;
  }

  /** The first offset that may say after a crash which of the messages that waited went. */
  neededFrom(partition: number): number {
    return this.#delays?.neededFrom(partition) ?? Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#openingDelays?.then(
      (delays) => delays.close(),
      () => {}, // has been told to who waited for it
    );
  }

  /** Appends messages that waited. */
  appendDue(bodies: readonly Buffer[], partitions: readonly LogPartition[]): Promise<(Place | Error)[]> {
    this.#turn = (this.#turn + 1) % partitions.length;
    const lineOf = (body: Buffer) => keyOf(body) ?? idempotencyKeyOf(body);
    return this.#appendGroups(
      bodies.map((body) => ({
        body,
        partition: this.#partitionOf(lineOf(body), priorityOf(body), partitions.length),
      })),
      partitions,
    );
  }

  /** What most topics do with most messages: it is the shortest way there is. */
  #appendToOne(messages: readonly NewMessage[], log: LogPartition): Promise<(Placement | Error)[]> {
    const now = this.#options.clock.now();
    const bodies = messages.map((message) => this.#encode(message, now));
    return this.#appendBodies(log, bodies).then((outcome) =>
      outcome instanceof Error
        ? messages.map(() => outcome)
        : messages.map((_, i) => ({ partition: 0, offset: outcome + i })),
    );
  }

  #appendSpread(messages: readonly NewMessage[], partitions: readonly LogPartition[]) {
    const now = this.#options.clock.now();
    this.#turn = (this.#turn + 1) % partitions.length;
    const bodies = messages.map((message) => ({
      body: this.#encode(message, now),
      partition: this.#partitionOf(
        message.key ?? message.idempotencyKey,
        message.priority ?? 0,
        partitions.length,
      ),
    }));
    return this.#appendGroups(bodies, partitions);
  }

  async #appendGroups(
    messages: readonly { body: Buffer; partition: number }[],
    partitions: readonly LogPartition[],
  ): Promise<(Place | Error)[]> {
    const groups = new Map<number, { indexes: number[]; bodies: Buffer[] }>();
    messages.forEach(({ body, partition }, index) => {
      const group = groups.get(partition) ?? { indexes: [], bodies: [] };
      groups.set(partition, group);
      group.indexes.push(index);
      group.bodies.push(body);
    });
    const placements = new Array<Place | Error>(messages.length);
    const appends = [...groups].map(async ([partition, { indexes, bodies }]) => {
      const outcome = await this.#appendBodies(partitions[partition]!, bodies);
      indexes.forEach((index, i) => {
        placements[index] = outcome instanceof Error ? outcome : { partition, offset: outcome + i };
      });
    });
    await Promise.all(appends);
    return placements;
  }

  /** An idempotency key leads to one partition as a key does: see the invariants of Deduplication. */
  #partitionOf(line: string | undefined, priority: number, count: number): number {
    const lanes = lanesPerPartition(this.#spec.routing.strategy);
    if (lanes === 1) return line === undefined ? this.#turn : crc32(line) % count;
    const partitions = count / lanes;
    const partition = line === undefined ? this.#turn % partitions : crc32(line) % partitions;
    return partition * lanes + priority;
  }

  #encode(message: NewMessage, now: number): Buffer {
    const { messageTtlMs } = this.#spec;
    if (messageTtlMs === undefined || message.ttlMs !== undefined) return encodeMessage(message, now);
    return encodeMessage({ ...message, ttlMs: messageTtlMs }, now);
  }

  #appendBodies(log: LogPartition, bodies: Buffer[]): Promise<number | Error> {
    const onAppended = (offset: number) => {
      this.publishedTotal += bodies.length;
      this.#options.meter.published.inc(bodies.length);
      this.#delays?.published(bodies.length);
      return offset;
    };
    return Promise.try(() => log.append(bodies, this.#spec.durability)).then(onAppended, (error) =>
      this.#reasonOf(error),
    );
  }

  #reasonOf(error: unknown): Error {
    const closed = this.#options.closed();
    if (closed && hasCode(error, "not_found")) return closed;
    return error instanceof Error ? error : new Error(String(error));
  }
}

const hasIdempotencyKey = ({ idempotencyKey }: NewMessage) => idempotencyKey !== undefined;
const isDelayed = ({ deliverAt, delayMs }: NewMessage) => deliverAt !== undefined || delayMs !== undefined;

/** With `deliverAt` when it has to wait, and without when not. */
function withTime(message: NewMessage, now: number): NewMessage {
  const deliverAt = message.deliverAt ?? now + (message.delayMs ?? 0);
  return { ...message, delayMs: undefined, deliverAt: deliverAt > now ? deliverAt : undefined };
}
