/**
 * The durable memory of a subscription: what is done, how often the rest was tried, and the epoch of its
 * fences. A partition of the log of its own holds JSON records; the newest snapshot and what follows it are
 * the state, and what is older is trimmed.
 *
 * Settlements are written before they are answered, so they survive the death of the process. They are not
 * synced: after a power cut some of the last ones may be forgotten, and their messages come again, which
 * at-least-once allows. The epoch is synced before the first lease is given, because a fence may never repeat.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { type Durability, keeps, type LogPartition } from "../../stores/log/port.ts";
import { Cursor } from "./cursor.ts";
import type { Failure, OutstandingRecord } from "./entry.ts";
import { toRanges } from "./ranges.ts";

/** Records after which a snapshot is worth its bytes, unless the journal is told another number. */
const usualSnapshotEvery = 4096;

/** Times are wall-clock ms; `due` is 0 for at once. What follows `due` is there for what has failed. */
type Retry = [
  offset: number,
  attempt: number,
  due: number,
  reason?: string | null,
  firstFailed?: number,
  lastFailed?: number,
  end?: End,
  mark?: number,
];
/**
 * 1: on its way to the dead-letter queue, whose end was at the mark. 2: it is there, and its key waits. 3: as 1, as it
 * has expired.
 */
type End = 0 | 1 | 2 | 3;
/** Ranges include both ends. `early` lies beyond what was looked at, and leaves what it passes over alone. */
interface Change {
  p: number;
  done?: [from: number, to: number][];
  retry?: Retry[];
  early?: [from: number, to: number][];
}
interface CursorState {
  p: number;
  next: number;
  outstanding: Retry[];
  early?: [from: number, to: number][];
}

/** What happened to messages of one partition. */
export interface Settled {
  done?: number[];
  /** Ranges that no receiver needs to see, both ends included. */
  passed?: [from: number, to: number][] | undefined;
  retries?: OutstandingRecord[];
  early?: number[];
}

/**
 * A snapshot is written one record per cursor, as one record has a largest size. It counts only when all its
 * parts are there; records between its parts came after its state was taken, so they count on top of it.
 */
interface SnapshotPart {
  epoch: number;
  part: number;
  parts: number;
  cursor?: CursorState;
}
type JournalRecord = { epoch: number } | { changes: Change[] } | { snapshot: SnapshotPart };

interface State {
  parts: SnapshotPart[];
  later: JournalRecord[];
}

export interface Recovered {
  epoch: number;
  cursors: Map<number, Cursor>;
}

export class Journal {
  readonly #log: LogPartition;
  readonly #clock: Clock;
  readonly #snapshotEvery: number;
  /** The log may keep less than a journal asks for; topics that need more were refused. */
  readonly #strongest: Durability;
  #sinceSnapshot = 0;
  #isSnapshotting = false;
  #snapshot = Promise.resolve();

  constructor(
    log: LogPartition,
    clock: Clock,
    snapshotEvery = usualSnapshotEvery,
    strongest: Durability = "fsync",
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#snapshotEvery = snapshotEvery;
    this.#strongest = strongest;
  }

  /**
   * Rebuilds the cursors. `startOf` gives the offset at which the subscription begins in a partition of which
   * the journal says nothing.
   */
  async recover(startOf: (partition: number) => number): Promise<Recovered> {
    const { parts, later } = await this.#readState();
    const state: Recovered = { epoch: parts[0]?.epoch ?? 0, cursors: new Map() };
    for (const { cursor } of parts) if (cursor) state.cursors.set(cursor.p, this.#load(cursor));
    for (const record of later) {
      if ("epoch" in record) state.epoch = record.epoch;
      if (!("changes" in record)) continue;
      for (const change of record.changes) {
        const cursor = state.cursors.get(change.p) ?? new Cursor(startOf(change.p));
        state.cursors.set(change.p, cursor);
        this.#replay(change, cursor);
      }
    }
    this.#sinceSnapshot = later.length;
    return state;
  }

  /** The newest whole snapshot and the records behind it. Older records say nothing on their own. */
  async #readState(): Promise<State> {
    let whole: State = { parts: [], later: [] };
    let begun: State | undefined;
    for (let offset = this.#log.start; offset < this.#log.end; ) {
      const records = await this.#log.read(offset, { records: 1024, bytes: 4 << 20 });
      for (const record of records.map(({ body }) => parseRecord(body))) {
        if (!("snapshot" in record)) {
          whole.later.push(record);
          begun?.later.push(record);
          continue;
        }
        const { snapshot } = record;
        if (snapshot.part === 0) begun = { parts: [], later: [] };
        begun?.parts.push(snapshot);
        if (begun?.parts.length !== snapshot.parts) continue;
        whole = begun;
        begun = undefined;
      }
      offset += records.length;
    }
    return whole;
  }

  /** Starts a new epoch: durable before it returns. */
  async beginEpoch(epoch: number): Promise<void> {
    await this.#append({ epoch }, "fsync");
  }

  /** Records settlements of one partition. Resolves when they are as durable as asked for. */
  async settle(partition: number, settled: Settled, durability: "os" | "fsync" = "os"): Promise<void> {
    const { done = [], passed, retries = [], early = [] } = settled;
    const change: Change = { p: partition };
    if (done.length > 0) change.done = toRanges(done);
    // What was passed over lies before all that was delivered after it.
    if (passed) change.done = [...passed, ...(change.done ?? [])];
    if (retries.length > 0) change.retry = retries.map((retry) => this.#toRetry(retry));
    if (early.length > 0) change.early = toRanges(early);
    await this.#append({ changes: [change] }, durability);
  }

  get needsSnapshot(): boolean {
    return this.#sinceSnapshot >= this.#snapshotEvery && !this.#isSnapshotting;
  }

  /**
   * Writes the whole state and trims what it replaces. The cursors are read before anything is awaited, so a
   * settlement that happens meanwhile lands behind the snapshot.
   */
  snapshot(epoch: number, cursors: ReadonlyMap<number, Cursor>): Promise<void> {
    this.#sinceSnapshot = 0;
    this.#isSnapshotting = true; // the parts of two would mix
    this.#snapshot = this.#writeSnapshot(epoch, cursors).finally(() => {
      this.#isSnapshotting = false;
    });
    return this.#snapshot;
  }

  /** Resolves when no snapshot is under way: then another may be written at once. */
  async idle(): Promise<void> {
    while (this.#isSnapshotting) await this.#snapshot.catch(() => {}); // has been told to who began it
  }

  async #writeSnapshot(epoch: number, cursors: ReadonlyMap<number, Cursor>): Promise<void> {
    const states = [...cursors].map(([p, cursor]): CursorState => {
      const outstanding = Array.from(cursor.records(), (record) => this.#toRetry(record));
      const early = toRanges([...cursor.earlyDone()]);
      return { p, next: cursor.next, outstanding, ...(early.length > 0 && { early }) };
    });
    const parts = Math.max(1, states.length);
    let first: number | undefined;
    for (let part = 0; part < parts; part++) {
      const cursor = states[part];
      const at = await this.#append({ snapshot: { epoch, part, parts, ...(cursor && { cursor }) } }, "fsync");
      first ??= at;
    }
    await this.#log.trim(first!);
  }

  #toRetry({ offset, attempt, dueAt, failure, end }: OutstandingRecord): Retry {
    const due = this.#toWall(dueAt);
    if (!failure) return [offset, attempt, due];
    const { reason = null, first, last, mark } = failure;
    if (!end) return [offset, attempt, due, reason, first, last];
    const code = end === "parked" ? 2 : failure.isOutdated ? 3 : 1;
    const retry: Retry = [offset, attempt, due, reason, first, last, code];
    if (mark !== undefined) retry.push(mark);
    return retry;
  }

  #append(record: JournalRecord, durability: "os" | "fsync"): Promise<number> {
    this.#sinceSnapshot += 1;
    const kept = keeps(this.#strongest, durability) ? durability : this.#strongest;
    return this.#log.append([Buffer.from(JSON.stringify(record))], kept);
  }

  #load({ p, next, outstanding, early = [] }: CursorState): Cursor {
    let expected = outstanding[0]?.[0] ?? next;
    const cursor = new Cursor(expected);
    this.#replay({ p, retry: outstanding }, cursor);
    // What lies between two outstanding ones is done, and so is all from the last of them to `next`.
    for (const [offset] of outstanding) {
      if (offset > expected) cursor.replayDone(expected, offset - 1);
      expected = offset + 1;
    }
    if (next > expected) cursor.replayDone(expected, next - 1);
    for (const [from, to] of early) cursor.replayEarly(from, to);
    return cursor;
  }

  #replay(change: Change, cursor: Cursor): void {
    for (const [from, to] of change.done ?? []) cursor.replayDone(from, to);
    const now = this.#clock.monotonic();
    for (const retry of change.retry ?? []) {
      const [offset, attempt, due] = retry;
      const dueAt = due === 0 ? 0 : now + (due - this.#clock.now());
      cursor.replayRetry({ offset, attempt, dueAt, ...failureOf(retry) }, now);
    }
    for (const [from, to] of change.early ?? []) cursor.replayEarly(from, to);
  }

  /** Delays outlive the process, so they are kept in wall time. */
  #toWall(dueAt: number): number {
    const left = dueAt - this.#clock.monotonic();
    return left <= 0 ? 0 : Math.ceil(this.#clock.now() + left);
  }
}

function parseRecord(body: Buffer): JournalRecord {
  try {
    return JSON.parse(body.toString()) as JournalRecord;
  } catch (cause) {
    throw new HotSwapError("log_corrupt", "A record of a subscription's journal cannot be read.", { cause });
  }
}

function failureOf([, , , reason, first, last, code, mark]: Retry): Pick<
  OutstandingRecord,
  "failure" | "end"
> {
  const end = code === 2 ? "parked" : code ? "doomed" : undefined;
  if (first === undefined || last === undefined) {
    // As it was written before failures had times.
    const failure = typeof reason === "string" ? { reason, first: 0, last: 0 } : undefined;
    return { failure, end };
  }
  const failure: Failure = { reason: reason ?? undefined, first, last };
  if (mark !== undefined) failure.mark = mark;
  if (code === 3) failure.isOutdated = true;
  return { failure, end };
}
