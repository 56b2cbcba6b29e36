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
import type { LogPartition } from "../../stores/log/port.ts";
import { Cursor } from "./cursor.ts";

/** Records after which a snapshot is worth its bytes. */
const snapshotEvery = 4096;

/** Ranges include both ends. A retry is [offset, attempt, due], due in wall-clock ms and 0 for at once. */
type Retry = [offset: number, attempt: number, due: number];
interface Change {
  p: number;
  done?: [from: number, to: number][];
  retry?: Retry[];
}
interface Snapshot {
  epoch: number;
  cursors: { p: number; next: number; outstanding: Retry[] }[];
}
type JournalRecord = { epoch: number } | { changes: Change[] } | { snapshot: Snapshot };

export interface Recovered {
  epoch: number;
  cursors: Map<number, Cursor>;
}

export class Journal {
  readonly #log: LogPartition;
  readonly #clock: Clock;
  #sinceSnapshot = 0;

  constructor(log: LogPartition, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Rebuilds the cursors. `startOf` gives the offset at which the subscription begins in a partition of which
   * the journal says nothing.
   */
  async recover(startOf: (partition: number) => number): Promise<Recovered> {
    const { snapshot, later } = await this.#readState();
    const state: Recovered = snapshot ? this.#load(snapshot) : { epoch: 0, cursors: new Map() };
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

  /** The newest snapshot and the records behind it. Older records say nothing on their own and are not replayed. */
  async #readState(): Promise<{ snapshot: Snapshot | undefined; later: JournalRecord[] }> {
    let snapshot: Snapshot | undefined;
    let later: JournalRecord[] = [];
    for (let offset = this.#log.start; offset < this.#log.end; ) {
      const records = await this.#log.read(offset, { records: 1024, bytes: 4 << 20 });
      for (const record of records.map(({ body }) => parseRecord(body))) {
        if ("snapshot" in record) {
          snapshot = record.snapshot;
          later = [];
        } else later.push(record);
      }
      offset += records.length;
    }
    return { snapshot, later };
  }

  /** Starts a new epoch: durable before it returns. */
  async beginEpoch(epoch: number): Promise<void> {
    await this.#append({ epoch }, "fsync");
  }

  /** Records settlements of one partition. Resolves when they survive the death of the process. */
  async settle(
    partition: number,
    done: number[],
    retries: { offset: number; attempt: number; dueAt: number }[],
  ) {
    const change: Change = { p: partition };
    if (done.length > 0) change.done = toRanges(done);
    if (retries.length > 0) {
      change.retry = retries.map(({ offset, attempt, dueAt }) => [offset, attempt, this.#toWall(dueAt)]);
    }
    await this.#append({ changes: [change] }, "os");
  }

  get needsSnapshot(): boolean {
    return this.#sinceSnapshot >= snapshotEvery;
  }

  /**
   * Writes the whole state and trims what it replaces. The cursors are read before anything is awaited, so a
   * settlement that happens meanwhile lands behind the snapshot.
   */
  async snapshot(epoch: number, cursors: ReadonlyMap<number, Cursor>): Promise<void> {
    this.#sinceSnapshot = 0;
    const parts = [...cursors].map(([p, cursor]) => ({
      p,
      next: cursor.next,
      outstanding: [...cursor.records()].map(
        ({ offset, attempt, dueAt }): Retry => [offset, attempt, this.#toWall(dueAt)],
      ),
    }));
    const at = await this.#append({ snapshot: { epoch, cursors: parts } }, "fsync");
    await this.#log.trim(at);
  }

  #append(record: JournalRecord, durability: "os" | "fsync"): Promise<number> {
    this.#sinceSnapshot += 1;
    return this.#log.append([Buffer.from(JSON.stringify(record))], durability);
  }

  #load(snapshot: Snapshot): Recovered {
    const cursors = new Map<number, Cursor>();
    for (const { p, next, outstanding } of snapshot.cursors) {
      const cursor = new Cursor(outstanding[0]?.[0] ?? next);
      this.#replay({ p, retry: outstanding }, cursor);
      // What lies between two outstanding ones is done, and so is all from the last of them to `next`.
      let expected = outstanding[0]?.[0] ?? next;
      for (const [offset] of outstanding) {
        if (offset > expected) cursor.replayDone(expected, offset - 1);
        expected = offset + 1;
      }
      if (next > expected) cursor.replayDone(expected, next - 1);
      cursors.set(p, cursor);
    }
    return { epoch: snapshot.epoch, cursors };
  }

  #replay(change: Change, cursor: Cursor): void {
    for (const [from, to] of change.done ?? []) cursor.replayDone(from, to);
    const now = this.#clock.monotonic();
    for (const [offset, attempt, due] of change.retry ?? []) {
      cursor.replayRetry({ offset, attempt, dueAt: due === 0 ? 0 : now + (due - this.#clock.now()) }, now);
    }
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

function toRanges(offsets: number[]): [number, number][] {
  const sorted = offsets.toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const offset of sorted) {
    const last = ranges.at(-1);
    if (last && offset === last[1] + 1) last[1] = offset;
    else ranges.push([offset, offset]);
  }
  return ranges;
}
