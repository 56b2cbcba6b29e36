/**
 * Messages of one topic that wait for their time. Each is a record of a partition of the log of its own from the
 * moment of its receipt; memory holds (due, id) only, where the id is the offset there. What is due is appended to the
 * topic's partitions, a batch at a time, and then marked in the same partition:
 *
 *     message …                         a body as any, with a schedule
 *     {"done": [[3, 9]], "ends": [7]}   a mark: these ids went or were cancelled; how far the topic's partitions were
 *
 * Invariants
 * - An id waits exactly when its message is stored and no mark behind it names it. A mark stands behind what it names,
 *   so trimming never takes a mark whose message stays.
 * - What was appended to the topic and not marked lies at or behind `ends` of the last mark. So after any crash the
 *   topic's partitions from there on say what went already: each such message carries its id. Nothing goes twice, and
 *   nothing is lost, because a mark follows the append and never precedes it.
 * - Batches go one after the other, ordered by due time and then by id: so does each key.
 *
 * Wall time decides, as for `deliverAt`: a clock that is set is noticed within a second. README.md has the crash table.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { type Durability, keeps, type LogPartition } from "../../stores/log/port.ts";
import { idempotencyKeyOf, scheduleOf, withSchedule } from "../message.ts";
import { Alarm } from "./alarm.ts";
import { DelayIndex, type Due } from "./delay-index.ts";
import { readDue } from "./delay-read.ts";
import { KeyFloor } from "./key-floor.ts";
import type { Place } from "./key-table.ts";
import { toRanges } from "./ranges.ts";
import { scan } from "./scan.ts";

/** Stands for the delay log where a message id names a partition: topics have fewer. */
export const delayPartition = 256;
export const delayLogName = (topic: number) => `d${topic}`;

const batchMax = 1000;
const batchBytes = 8 << 20;
/** Wall time may be set while a timer runs on the other clock. */
const lookAgainMs = 1000;
const retryMs = 1000;
/** Messages of the topic after which a mark says anew how far it is: what comes after a crash is read again. */
const usualNoteEvery = 100_000;
/** Messages that went between two trims. */
const usualTrimEvery = 4096;

interface Mark {
  done?: [from: number, to: number][];
  ends?: readonly number[];
}

export interface DelayLogOptions {
  log: LogPartition;
  clock: Clock;
  durability: () => Durability;
  /** What the log can keep: a mark asks for it also where the topic asks for less. */
  strongest: Durability;
  /** The topic's partitions. */
  partitions: () => readonly LogPartition[];
  /** Appends bodies to them, one append a partition; never rejects. */
  append: (bodies: readonly Buffer[]) => Promise<(Place | Error)[]>;
  pendingMax: number;
  /** For how long the topic knows idempotency keys; 0: not at all. */
  keyWindowMs: () => number;
  /** For a simulation, in which all of it must happen. */
  noteEvery?: number | undefined;
  trimEvery?: number | undefined;
  onError: (error: unknown) => void;
}

export class DelayLog {
  readonly #options: DelayLogOptions;
  readonly #index: DelayIndex;
  readonly #alarm: Alarm;
  readonly #moving = new Set<number>();
  readonly #keyed = new KeyFloor();
  /** Went to the topic, and no mark says so yet. */
  #unmarked: number[] = [];
  #isRunning = false;
  /** Messages are on their way into the topic, and nobody knows yet which of them are there. */
  #isAppending = false;
  /** The outcome of an append is unknown: what it has brought into the topic is looked for before the next one. */
  #isInDoubt = false;
  /** Monotonic milliseconds before which nothing goes: the last try has failed. */
  #restsUntil = 0;
  /** Messages of the topic until the next mark, and messages that go until the next trim. */
  #noteIn: number;
  #trimIn: number;
  #lastMark: number | undefined;
  /** What the last mark says of the topic's partitions. */
  #ends: readonly number[] = [];
  #marking = Promise.resolve();
  #closed = false;

  private constructor(options: DelayLogOptions) {
    this.#options = options;
    this.#index = new DelayIndex(options.log.start);
    this.#noteIn = this.#noteEvery;
    this.#trimIn = this.#trimEvery;
    this.#alarm = new Alarm(options.clock, () => this.#run());
    const { log, clock, keyWindowMs } = options;
    if (log.end > log.start) this.#keyed.add(log.start, clock.monotonic(), keyWindowMs()); // of an earlier life
  }

  static async open(options: DelayLogOptions): Promise<DelayLog> {
    const delays = new DelayLog(options);
    await delays.#recover();
    delays.#arm();
    return delays;
  }

  get #noteEvery(): number {
    return this.#options.noteEvery ?? usualNoteEvery;
  }

  get #trimEvery(): number {
    return this.#options.trimEvery ?? usualTrimEvery;
  }

  get log(): LogPartition {
    return this.#options.log;
  }

  /** Messages that wait, those under way included. */
  get size(): number {
    return this.#index.size + this.#moving.size;
  }

  /** Room for so many more; throws `schedule_full`. */
  admit(count: number): void {
    const { pendingMax } = this.#options;
    if (this.size + count <= pendingMax) return;
    throw new HotSwapError("schedule_full", `${this.size} messages of this topic wait for their time.`);
  }

  /** Stores bodies with a schedule; resolves to the id of the first one when all are durable. */
  async add(bodies: readonly Buffer[]): Promise<number> {
    const { log, durability, clock, keyWindowMs } = this.#options;
    const first = await log.append(bodies, durability());
    if (bodies.some((body) => idempotencyKeyOf(body) !== undefined)) {
      this.#keyed.add(first, clock.monotonic(), keyWindowMs());
    }
    bodies.forEach((body, i) => {
      this.#index.add({ id: first + i, due: dueOf(body) });
    });
    this.#arm();
    this.published(0);
    return first;
  }

  /** The message as it was stored; undefined when it does not wait. */
  async get(id: number): Promise<Buffer | undefined> {
    if (!this.#index.has(id)) return undefined;
    return (await readDue(this.#options.log, [id])).get(id);
  }

  /** Also of one that went, as long as it is stored here. */
  async dueOf(id: number): Promise<number | undefined> {
    if (id < this.log.start || id >= this.log.end) return undefined;
    const body = (await readDue(this.log, [id])).get(id);
    return body && scheduleOf(body)?.deliverAt;
  }

  /** Resolves when it is durable that the message will not be delivered; undefined when it does not wait. */
  async cancel(id: number): Promise<Buffer | undefined> {
    const { log, durability } = this.#options;
    const body = await this.get(id);
    if (!body || !this.#index.remove(id)) return undefined;
    try {
      await log.append([encodeMark({ done: [[id, id]] })], durability());
    } catch (error) {
      this.#index.add({ id, due: dueOf(body) }); // nothing was promised to anybody
      this.#arm();
      throw error;
    }
    return body;
  }

  /** Up to `limit` of those that wait, in order of id, from `first` on. */
  async list(first: number, limit: number): Promise<{ id: number; body: Buffer }[]> {
    const ids: number[] = [];
    for (const id of this.#index.from(first)) if (ids.push(id) >= limit) break;
    const bodies = await readDue(this.#options.log, ids);
    return ids.flatMap((id) => {
      const body = bodies.get(id);
      return body ? [{ id, body }] : [];
    });
  }

  /** The topic has grown by so many messages. */
  published(count: number): void {
    this.#noteIn -= count;
    // While a batch is under way the ends are behind messages that no mark names.
    if (this.#noteIn > 0 || this.#isRunning || this.#index.size === 0) return;
    this.#noteIn = this.#noteEvery;
    this.#mark("os").catch(this.#options.onError);
  }

  /** The first offset of the topic's partition that a recovery would look at; Infinity when nothing waits. */
  neededFrom(partition: number): number {
    if (this.size === 0 && this.#unmarked.length === 0) return Number.POSITIVE_INFINITY;
    return this.#ends[partition] ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#alarm.off();
  }

  async #recover(): Promise<void> {
    const { log } = this.#options;
    for await (const records of scan(log, log.start, log.end)) {
      for (const { offset, body } of records) {
        const mark = decodeMark(body);
        if (!mark) this.#index.add({ id: offset, due: dueOf(body) });
        for (const [from, to] of mark?.done ?? []) {
          for (let id = Math.max(from, log.start); id <= to; id++) this.#index.remove(id);
        }
        if (!mark?.ends) continue;
        this.#ends = mark.ends;
        this.#lastMark = offset;
      }
    }
    if (this.#index.size > 0) await this.#findGone();
    // Synced, as what goes from now on has to lie behind the ends of the last mark, and nothing else: below `fsync`
    // the topic may have lost what they name, and this log the end of its own, whose ids come again.
    if (this.#unmarked.length > 0 || !this.#endsAreNow) await this.#mark("fsync");
  }

  /** What went to the topic before the end of an earlier life and was not marked. */
  async #findGone(): Promise<void> {
    for (const [partition, log] of this.#options.partitions().entries()) {
      for await (const records of scan(log, this.#ends[partition] ?? 0, log.end)) {
        for (const { body } of records) {
          const schedule = scheduleOf(body);
          if (schedule && schedule.source >= 0 && this.#index.remove(schedule.source)) {
            this.#unmarked.push(schedule.source);
          }
        }
      }
    }
  }

  /** Whether there is a mark, and the topic's partitions are where it says. */
  get #endsAreNow(): boolean {
    const partitions = this.#options.partitions();
    const isThere = partitions.every(({ end }, partition) => end === this.#ends[partition]);
    return this.#lastMark !== undefined && isThere;
  }

  #arm(): void {
    const { clock } = this.#options;
    const due = this.#index.nextDue;
    if (due === undefined || this.#closed || this.#isRunning) return;
    const wait = Math.min(Math.max(0, due - clock.now()), lookAgainMs);
    this.#alarm.set(Math.max(clock.monotonic() + wait, this.#restsUntil));
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#closed) return;
    this.#isRunning = true;
    try {
      if (this.#isInDoubt) await this.#resolveDoubt();
      for (;;) {
        const batch = this.#index.take(this.#options.clock.now(), this.#batchMax);
        if (batch.length === 0 || this.#closed) break;
        if (!(await this.#move(batch))) break;
      }
    } catch (error) {
      if (!this.#closed) this.#options.onError(error);
      this.#rest();
    } finally {
      this.#isRunning = false;
    }
    this.#arm();
  }

  #rest(): void {
    this.#restsUntil = this.#options.clock.monotonic() + retryMs;
  }

  async #resolveDoubt(): Promise<void> {
    for (const log of this.#options.partitions()) await log.certain();
    await this.#findGone();
    this.#isInDoubt = false;
    await this.#mark("os");
  }

  /** By the mean size of a record, as a batch is in memory as a whole. */
  get #batchMax(): number {
    const { start, end, bytes } = this.#options.log;
    const mean = bytes / Math.max(1, end - start);
    return Math.max(1, Math.min(batchMax, Math.floor(batchBytes / mean)));
  }

  /** Resolves to whether all went well; what did not go waits on. */
  async #move(batch: readonly Due[]): Promise<boolean> {
    const { log, clock, append, onError } = this.#options;
    for (const { id } of batch) this.#moving.add(id);
    let failed: readonly Due[] = batch;
    try {
      const bodies = await readDue(
        log,
        batch.map(({ id }) => id),
        onError,
      );
      const going = batch.filter(({ id }) => bodies.has(id));
      const now = clock.now();
      this.#isAppending = true;
      // The clock may have been set back since it said that they are due.
      const outcomes = await append(
        going.map(({ id, due }) => withSchedule(bodies.get(id)!, Math.max(now, due), id)),
      );
      failed = going.filter((_, i) => outcomes[i] instanceof Error);
      this.#isInDoubt = outcomes.some((outcome) => hasCode(outcome, "log_outcome_unknown"));
      this.#unmarked.push(...going.filter((due) => !failed.includes(due)).map(({ id }) => id));
      this.#isAppending = false;
      for (const outcome of outcomes) if (outcome instanceof Error) throw outcome;
      await this.#mark("os");
      return true;
    } catch (error) {
      if (!this.#closed) onError(error);
      this.#rest();
      return false;
    } finally {
      this.#isAppending = false;
      this.#moving.clear();
      for (const due of failed) this.#index.add(due);
    }
  }

  /** Says what went. Until it succeeds, every later mark says it too. */
  #mark(durability: "os" | "fsync"): Promise<void> {
    // One after the other: each takes away from what is unmarked what it has said.
    const next = this.#marking.catch(() => {}).then(() => this.#markNow(durability));
    this.#marking = next;
    return next;
  }

  async #markNow(durability: "os" | "fsync"): Promise<void> {
    const { log, partitions } = this.#options;
    const ids = this.#unmarked.slice();
    // Some of a batch under way may be in the topic and not among those that went: they must stay behind the ends.
    const ends = this.#isAppending || this.#isInDoubt ? this.#ends : partitions().map(({ end }) => end);
    const mark = { ...(ids.length > 0 && { done: toRanges(ids) }), ends };
    const { strongest } = this.#options;
    this.#lastMark = await log.append(
      [encodeMark(mark)],
      keeps(strongest, durability) ? durability : strongest,
    );
    this.#ends = ends;
    this.#noteIn = this.#noteEvery;
    this.#unmarked = this.#unmarked.slice(ids.length);
    this.#trimIn -= ids.length + 1;
    if (this.#trimIn <= 0) await this.#trim();
  }

  /** Up to what waits, the last mark, which says where to look after a crash, and the keys that are still known. */
  async #trim(): Promise<void> {
    this.#trimIn = this.#trimEvery;
    const { log, clock, keyWindowMs } = this.#options;
    const floor = Math.min(this.#index.floor ?? log.end, this.#lastMark ?? 0, ...this.#moving);
    this.#index.forgetBelow(floor);
    await log.trim(Math.min(floor, this.#keyed.at(clock.monotonic(), keyWindowMs())));
  }
}

function dueOf(body: Buffer): number {
  const schedule = scheduleOf(body);
  if (!schedule) throw new HotSwapError("log_corrupt", "A delayed message does not say when it is due.");
  return schedule.deliverAt;
}

const brace = 0x7b;

const encodeMark = (mark: Mark): Buffer => Buffer.from(JSON.stringify(mark));

/** Undefined for a message: those begin with the version of their format. */
function decodeMark(body: Buffer): Mark | undefined {
  return body[0] === brace ? (JSON.parse(body.toString()) as Mark) : undefined;
}
