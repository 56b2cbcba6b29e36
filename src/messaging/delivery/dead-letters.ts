/**
 * Moves what a subscription gives up to the dead-letter queue of its topic. A message is in one place or the
 * other after any crash, and never twice in the queue:
 *
 *   1. the journal notes, synced, that the message is doomed and where the queue ended: its mark
 *   2. its copy is appended to the queue, synced
 *   3. the journal notes that it is done here (or that its key waits for what becomes of it)
 *
 * Whoever finds a message doomed and marked looks for its copy behind the mark first. A copy can lie nowhere
 * else: offsets of the queue only grow, and no copy is appended before its mark is durable.
 *
 * What cannot be moved now (no disk space, no database to create the queue in) stays doomed and is tried again.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import type { LogPartition } from "../../stores/log/port.ts";
import { formatMessageId } from "../ids.ts";
import { isDeadLetter, type Origin, originOf, publishedAtOf, withOrigin, withoutOrigin } from "../message.ts";
import { type Entry, recordOf } from "./entry.ts";
import type { Journal } from "./journal.ts";
import { type Lane, readOne } from "./lane.ts";
import type { SubscriptionPolicy } from "./policy.ts";

/** Messages of one move; their bodies are in memory together. */
const batchMax = 64;
const retryMs = 5_000;

export interface DeadLetterQueue {
  /** Where dead letters lie, and nothing else that has an origin. */
  readonly log: LogPartition;
  /** Resolves when the bodies survive power loss. */
  append(bodies: Buffer[]): Promise<void>;
}

export interface DeadLetterOptions {
  topic: { readonly name: string; readonly number: number };
  subscription: { readonly name: string; readonly number: number };
  journal: Journal;
  clock: Clock;
  /** Creates the queue when there is none. */
  open(): Promise<DeadLetterQueue>;
  policy(): SubscriptionPolicy;
  /** Whether the filter lets it through: one that a slow disk kept from being looked at is no dead letter. */
  isWanted(body: Buffer): boolean;
  /** Told of each move, after which the messages of its keys may go on. */
  onMoved(count: number): void;
  onError(error: unknown): void;
}

interface Doomed {
  lane: Lane;
  entry: Entry;
}

export class DeadLetters {
  readonly #options: DeadLetterOptions;
  #waiting: Doomed[] = [];
  #isMoving = false;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(options: DeadLetterOptions) {
    this.#options = options;
  }

  /** Takes charge of doomed entries. */
  add(lane: Lane, entries: Iterable<Entry>): void {
    for (const entry of entries) this.#waiting.push({ lane, entry });
    if (this.#waiting.length > 0 && !this.#retry) void this.#work();
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
  }

  async #work(): Promise<void> {
    if (this.#isMoving) return;
    this.#isMoving = true;
    const failed: Doomed[] = [];
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const batch = this.#waiting.splice(0, batchMax).filter(({ entry }) => entry.state === "doomed");
      try {
        failed.push(...(await this.#move(batch)));
      } catch (error) {
        failed.push(...batch);
        this.#options.onError(error);
        break; // the next batch would fare no better
      }
    }
    this.#isMoving = false;
    this.#waiting.unshift(...failed);
    if (this.#waiting.length === 0 || this.#isClosed) return;
    this.#retry = this.#options.clock.after(retryMs, () => {
      this.#retry = undefined;
      void this.#work();
    });
  }

  /** Moves the batch; resolves to those that cannot be read, which stay where they are. */
  async #move(batch: readonly Doomed[]): Promise<Doomed[]> {
    const queue = await this.#options.open();
    const there = await this.#findCopies(queue.log, batch);
    const missing = batch.filter((doomed) => !there.has(this.#idOf(doomed)));
    const damaged: Doomed[] = [];
    const copies: Buffer[] = [];
    const moved: Doomed[] = [];
    for (const doomed of missing) {
      try {
        const body = await readOne(doomed.lane.log, doomed.entry.offset);
        // Retention has removed it meanwhile, or nobody ever wanted it: it is done without a copy.
        if (!body || !this.#options.isWanted(body)) continue;
        copies.push(this.#copyOf(doomed, body));
        moved.push(doomed);
      } catch (error) {
        if (!hasCode(error, "log_corrupt")) throw error;
        damaged.push(doomed);
        this.#options.onError(error);
      }
    }
    if (copies.length > 0) {
      const mark = queue.log.end;
      for (const { entry } of moved) entry.failure = { ...entry.failure!, mark };
      await this.#note(moved, "fsync");
      await queue.append(copies);
    }
    const settled = batch.filter((doomed) => !damaged.includes(doomed));
    const { blockKeyOnDeadLetter } = this.#options.policy();
    for (const { lane, entry } of settled) {
      // One that has expired would expire again, so its key does not wait for it.
      const isParked = blockKeyOnDeadLetter && entry.key !== undefined && !entry.failure?.isOutdated;
      if (isParked) lane.cursor.park(entry.offset);
      else lane.cursor.bury(entry.offset);
    }
    await this.#note(settled, "os");
    this.#options.onMoved(moved.length);
    return damaged;
  }

  /** Journals what the entries have become; at once, so that no snapshot comes in between. */
  async #note(entries: readonly Doomed[], durability: "os" | "fsync"): Promise<void> {
    const byLane = Map.groupBy(entries, ({ lane }) => lane);
    const written = [...byLane].map(([{ partition, cursor }, own]) => {
      const isDone = ({ entry }: Doomed) => cursor.isDone(entry.offset);
      const done = own.filter(isDone).map(({ entry }) => entry.offset);
      const retries = own.filter((doomed) => !isDone(doomed)).map(({ entry }) => recordOf(entry));
      return this.#options.journal.settle(partition, { done, retries }, durability);
    });
    await Promise.all(written);
  }

  /** Ids of those whose copy an earlier attempt has appended. */
  async #findCopies(log: LogPartition, batch: readonly Doomed[]): Promise<Set<string>> {
    const found = new Set<string>();
    const marks = batch.flatMap(({ entry }) => entry.failure?.mark ?? []);
    if (marks.length === 0) return found;
    await log.certain(); // a copy whose append was in doubt shows only then
    for (let at = Math.max(log.start, Math.min(...marks)); at < log.end; ) {
      const records = await log.read(at, { records: 256, bytes: 4 << 20 });
      for (const { body } of records) {
        const origin = originOf(body);
        if (origin !== undefined) found.add((JSON.parse(origin) as Origin).deadLetterId);
      }
      at += records.length;
    }
    return found;
  }

  #idOf({ lane, entry }: Doomed): string {
    return deadLetterId(this.#options.subscription.number, lane.partition, entry.offset);
  }

  #copyOf(doomed: Doomed, body: Buffer): Buffer {
    const { clock } = this.#options;
    const { entry } = doomed;
    const failure = entry.failure!;
    const { maxAttempts } = this.#options.policy();
    const isTired = maxAttempts > 0 && entry.attempt >= maxAttempts;
    const origin: Origin = {
      ...this.#sourceOf(doomed, body),
      deadLetterId: this.#idOf(doomed),
      cause: failure.isOutdated ? "expired" : isTired ? "attempts" : "rejected",
      reason: failure.reason ?? "no reason given",
      attempts: entry.attempt,
      lastFailedAt: timeText(failure.last),
      deadLetteredAt: timeText(clock.now()),
    };
    return withOrigin(isDeadLetter(body) ? withoutOrigin(body, 0) : body, origin, clock.now());
  }

  /** Where it was published; one that was replayed and fails again comes from where it came from the first time. */
  #sourceOf({ lane, entry }: Doomed, body: Buffer) {
    const { topic, subscription } = this.#options;
    const earlier = originOf(body);
    if (earlier !== undefined) return JSON.parse(earlier) as Origin;
    return {
      messageId: formatMessageId(topic.number, lane.partition, entry.offset),
      topic: topic.name,
      partition: lane.partition,
      offset: entry.offset,
      subscription: subscription.name,
      publishedAt: timeText(publishedAtOf(body)),
      firstFailedAt: timeText(entry.failure!.first),
    };
  }
}

/** The same for every attempt to move a message of a subscription. */
export const deadLetterId = (subscription: number, partition: number, offset: number): string =>
  formatMessageId(subscription, partition, offset);

const timeText = (ms: number): string => new Date(ms).toISOString();
