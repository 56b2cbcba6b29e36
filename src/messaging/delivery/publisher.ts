/**
 * How messages get into a topic: which partition takes which, one append per partition and call, and one message per
 * idempotency key. This is the hot path of publishing: no SQL, and nothing is looked at that a message does not have.
 */
import { crc32 } from "node:zlib";
import type { Clock } from "../../core/clock.ts";
import { type HotSwapError, hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { encodeMessage, type NewMessage } from "../message.ts";
import type { TopicMeter } from "../metrics.ts";
import { type Claim, Deduplication } from "./deduplication.ts";
import type { Place } from "./key-table.ts";
import type { TopicSpec } from "./spec.ts";

export interface Placement extends Place {
  /** The message was published before, under the same idempotency key. */
  duplicate?: boolean;
}

export interface PublisherOptions {
  clock: Clock;
  meter: TopicMeter;
  /** Idempotency keys that one topic remembers. */
  dedupKeysMax: number;
  spec: () => TopicSpec;
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
    const once = this.#spec.dedupWindowMs > 0 && messages.some(({ idempotencyKey }) => idempotencyKey);
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

  get #spec(): TopicSpec {
    return this.#options.spec();
  }

  /** Appends those whose key is new; the others get the place of the first one. */
  async #publishOnce(messages: readonly NewMessage[], partitions: readonly LogPartition[]) {
    const dedup = await this.#readyDedup(partitions);
    const placements = new Array<Placement | Error>(messages.length);
    const own: Claimed[] = [];
    const others: { index: number; pending: Promise<Place | Error> }[] = [];
    for (const [index, message] of messages.entries()) {
      const known = message.idempotencyKey ? dedup.look(message.idempotencyKey) : unclaimed;
      if ("claim" in known) own.push({ index, message, claim: known.claim });
      else if ("pending" in known) others.push({ index, pending: known.pending });
      else placements[index] = "refused" in known ? known.refused : this.#duplicate(known.place);
    }
    const outcomes = await this.#appendClaimed(own, partitions);
    for (const [i, { index }] of own.entries()) placements[index] = outcomes[i]!;
    for (const { index, pending } of others) {
      const outcome = await pending;
      // When the first one failed the key is free, and this one publishes itself.
      placements[index] =
        outcome instanceof Error
          ? (await this.#publishOnce([messages[index]!], partitions))[0]!
          : this.#duplicate(outcome);
    }
    return placements;
  }

  async #appendClaimed(own: readonly Claimed[], partitions: readonly LogPartition[]) {
    if (own.length === 0) return [];
    const appending = this.#append(
      own.map(({ message }) => message),
      partitions,
    );
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
    await this.#dedup.ready(partitions.map((log, number) => ({ number, log })));
    return this.#dedup;
  }

  #duplicate({ partition, offset }: Place): Placement {
    this.#options.meter.deduplicated.inc();
    return { partition, offset, duplicate: true };
  }

  #append(
    messages: readonly NewMessage[],
    partitions: readonly LogPartition[],
  ): Promise<(Placement | Error)[]> {
    return partitions.length === 1
      ? this.#appendToOne(messages, partitions[0]!)
      : this.#appendSpread(messages, partitions);
  }

  async #appendToOne(messages: readonly NewMessage[], log: LogPartition): Promise<(Placement | Error)[]> {
    const now = this.#options.clock.now();
    const bodies = messages.map((message) => this.#encode(message, now));
    const outcome = await this.#appendBodies(log, bodies);
    if (outcome instanceof Error) return messages.map(() => outcome);
    return messages.map((_, i) => ({ partition: 0, offset: outcome + i }));
  }

  async #appendSpread(messages: readonly NewMessage[], partitions: readonly LogPartition[]) {
    const now = this.#options.clock.now();
    this.#turn = (this.#turn + 1) % partitions.length;
    const groups = new Map<number, { indexes: number[]; bodies: Buffer[] }>();
    messages.forEach((message, index) => {
      const partition = this.#partitionOf(message, partitions.length);
      const group = groups.get(partition) ?? { indexes: [], bodies: [] };
      groups.set(partition, group);
      group.indexes.push(index);
      group.bodies.push(this.#encode(message, now));
    });
    const placements = new Array<Placement | Error>(messages.length);
    const appends = [...groups].map(async ([partition, { indexes, bodies }]) => {
      const outcome = await this.#appendBodies(partitions[partition]!, bodies);
      indexes.forEach((index, i) => {
        placements[index] = outcome instanceof Error ? outcome : { partition, offset: outcome + i };
      });
    });
    await Promise.all(appends);
    return placements;
  }

  /** An idempotency key leads to one partition too: see the invariants of Deduplication. */
  #partitionOf({ key, idempotencyKey }: NewMessage, count: number): number {
    const line = key ?? idempotencyKey;
    return line === undefined ? this.#turn : crc32(line) % count;
  }

  #encode(message: NewMessage, now: number): Buffer {
    const { messageTtlMs } = this.#spec;
    if (messageTtlMs === undefined || message.ttlMs !== undefined) return encodeMessage(message, now);
    return encodeMessage({ ...message, ttlMs: messageTtlMs }, now);
  }

  async #appendBodies(log: LogPartition, bodies: Buffer[]): Promise<number | Error> {
    try {
      const offset = await log.append(bodies, this.#spec.durability);
      this.publishedTotal += bodies.length;
      this.#options.meter.published.inc(bodies.length);
      return offset;
    } catch (error) {
      const closed = this.#options.closed();
      if (closed && hasCode(error, "not_found")) return closed;
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
