/**
 * What one subscription knows of one partition: a pure state machine. It does no I/O and reads no clock; time
 * comes in as monotonic milliseconds, messages come in as offset and key.
 *
 *      offset:  0 ……… floor ……………………… next ……………… end of the log
 *               done │ done or outstanding │ never looked at
 *
 * Invariants
 * - Every offset below `next` is either done or in `#outstanding`, never both; done is never undone.
 * - `#outstanding` is in order of offset (entries are only ever added at `next`), so its first key is the floor.
 * - A message is leased to one receiver at a time. Each lease has a fence, larger than all before it; only who
 *   shows the fence of the current lease may settle the message.
 * - Of one key, a message is leased only when every earlier one of that key is done or in the same lease, so
 *   messages of a key are seen in order while other keys go on in parallel.
 */
import { Heap } from "../../core/heap.ts";
import {
  type Entry,
  type Fate,
  type Lease,
  newEntry,
  newLease,
  noteFailure,
  noteOutdated,
  type OutstandingRecord,
  recordOf,
} from "./entry.ts";

/**
 * ok: recorded. stale: the fence is not that of the current lease. done: the message was settled before.
 * never: it was not delivered in this life, or since a seek; unless it was before, the receipt is made up.
 */
export type Settlement = "ok" | "stale" | "done" | "never";

/** Of a message whose consumer did not come back to it. */
export const expiredReason = "lease expired";

export class Cursor {
  #next: number;
  readonly #outstanding = new Map<number, Entry>();
  readonly #byKey = new Map<string, Entry[]>();
  readonly #ready = new Heap<Entry>();
  readonly #delayed = new Heap<Entry>();
  readonly #leases = new Heap<Lease>();
  /** Beyond `next`: what was claimed or settled before anybody looked at it. Most cursors never have one. */
  #early: Map<number, "claimed" | "done"> | undefined;
  #leased = 0;
  #delayedCount = 0;

  constructor(next: number) {
    this.#next = next;
  }

  /** The first offset never looked at. */
  get next(): number {
    return this.#next;
  }

  /** Everything below is done. */
  get floor(): number {
    for (const offset of this.#outstanding.keys()) return offset;
    return this.#next;
  }

  get outstanding(): number {
    return this.#outstanding.size;
  }

  /** Beyond `next` and done. */
  get early(): number {
    return this.#early?.size ?? 0;
  }

  get leased(): number {
    return this.#leased;
  }

  get delayed(): number {
    return this.#delayedCount;
  }

  entry(offset: number): Entry | undefined {
    return this.#outstanding.get(offset);
  }

  /** Whether something that was delivered or held back before can be leased now. */
  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  /**
   * Adds up to `limit` messages that wait for another delivery to the lease, oldest first. Call `begin` when
   * the lease has all it takes.
   */
  leaseReady(lease: Lease, limit: number): void {
    for (let left = limit; left > 0; ) {
      const entry = this.#ready.pop();
      if (!entry) break;
      // A heap cannot drop from its middle, so an entry that was settled meanwhile is met and passed over here.
      if (entry.state !== "ready" || this.#outstanding.get(entry.offset) !== entry) continue;
      if (!this.#mayLease(entry, lease)) {
        entry.state = "blocked";
        continue;
      }
      this.#hold(entry, lease);
      this.#wakeFollower(entry);
      left -= 1;
    }
  }

  /**
   * Looks at the message at `next` and adds it to the lease, or keeps it back when its key is busy. Returns
   * whether it was added. Call `begin` when the lease has all it takes.
   */
  leaseNext(lease: Lease, key: string | undefined): boolean {
    const early = this.#early === undefined ? undefined : this.#takeEarly();
    if (early === "done") {
      this.#next += 1;
      return false;
    }
    const entry = newEntry(this.#next, key);
    this.#next += 1;
    this.#outstanding.set(entry.offset, entry);
    if (early === "claimed") entry.state = "claimed";
    if (key !== undefined) this.#remember(key, entry);
    if (early !== undefined || !this.#mayLease(entry, lease)) return false;
    this.#hold(entry, lease);
    return true;
  }

  /**
   * Looks at the message at `next`, which has expired, and gives it up. Returns its entry, unless somebody had claimed
   * or settled it before. `at` is wall time.
   */
  outdateNext(key: string | undefined, at: number): Entry | undefined {
    const early = this.#early === undefined ? undefined : this.#takeEarly();
    const entry = newEntry(this.#next, key);
    this.#next += 1;
    if (early === "done") return undefined;
    this.#outstanding.set(entry.offset, entry);
    if (key !== undefined) this.#remember(key, entry);
    if (early) entry.state = early;
    else noteOutdated(entry, at);
    return early ? undefined : entry;
  }

  /** Gives up a leased message that has expired before anybody has seen it under this lease. `at` is wall time. */
  outdate(entry: Entry, at: number): void {
    this.#release(entry);
    entry.attempt -= 1;
    noteOutdated(entry, at);
  }

  /** Passes over the message at `next`: nobody needs to see it, and it counts as done. */
  pass(): void {
    if (this.#early !== undefined) this.#takeEarly();
    this.#next += 1;
  }

  /** From now on the lease can expire. */
  begin(lease: Lease): void {
    if (lease.held === 0) return;
    this.#leases.push(lease.deadline, lease);
    // Settled and extended leases stay inside until their deadline; a consumer that extends often leaves many.
    if (this.#leases.size > 2 * this.#leased + 64) this.#leases.keep(({ held }) => held > 0);
  }

  /** Passes over offsets that the log no longer has; they count as done. */
  skipTo(offset: number): void {
    for (const entry of this.#outstanding.values()) {
      if (entry.offset >= offset) break;
      this.#finish(entry);
    }
    if (offset <= this.#next) return;
    this.#next = offset;
    this.#dropEarly((early) => early < offset);
  }

  ack(offset: number, fence: number): Settlement {
    const entry = this.#outstanding.get(offset);
    if (!entry) return offset < this.#next ? "done" : "never";
    const { lease } = entry;
    if (lease?.fence !== fence) return "stale";
    lease.holder.acked += 1;
    lease.holder.expired = 0;
    this.#finish(entry);
    return "ok";
  }

  /** Gives the message back as failed. `failedAt` is wall time. */
  nack(
    offset: number,
    fence: number,
    fate: Fate,
    now: number,
    failedAt: number,
    reason?: string,
  ): Settlement {
    const entry = this.#outstanding.get(offset);
    if (!entry) return offset < this.#next ? "done" : "never";
    if (entry.lease?.fence !== fence) return "stale";
    this.#release(entry);
    noteFailure(entry, failedAt, reason);
    this.#meet(entry, fate, now);
    return "ok";
  }

  /** Gives the message back untried: it is ready, and the delivery does not count. */
  giveBack(offset: number, fence: number): Settlement {
    const entry = this.#outstanding.get(offset);
    if (!entry) return offset < this.#next ? "done" : "never";
    if (entry.lease?.fence !== fence) return "stale";
    this.#release(entry);
    entry.attempt -= 1;
    this.#makeReady(entry);
    return "ok";
  }

  /** Moves the message to a lease with another deadline under the same fence. */
  extend(offset: number, fence: number, deadline: number): Settlement {
    const entry = this.#outstanding.get(offset);
    if (!entry) return offset < this.#next ? "done" : "never";
    if (entry.lease?.fence !== fence) return "stale";
    const lease = newLease(fence, deadline, entry.lease.holder);
    lease.trace = entry.lease.trace;
    this.#release(entry);
    this.#hold(entry, lease);
    entry.attempt -= 1; // the same delivery goes on
    this.begin(lease);
    return "ok";
  }

  /**
   * Takes back what is past its deadline, wakes what is no longer delayed; returns the entries whose lease ended.
   * `failedAt` is wall time; `fateOf` is asked with the attempt that failed.
   */
  advance(now: number, failedAt: number, fateOf: (attempt: number, now: number) => Fate): Entry[] {
    const expired: Entry[] = [];
    for (let top = this.#leases.peek(); top && top.deadline <= now; top = this.#leases.peek()) {
      this.#leases.pop();
      for (const entry of top.entries) {
        if (entry.lease !== top) continue; // settled, or extended
        this.#release(entry);
        top.holder.expired += 1;
        noteFailure(entry, failedAt, expiredReason);
        this.#meet(entry, fateOf(entry.attempt, now), now);
        expired.push(entry);
      }
    }
    for (
      let due = this.#delayed.peekRank();
      due !== undefined && due <= now;
      due = this.#delayed.peekRank()
    ) {
      const entry = this.#delayed.pop()!;
      // Passed over: settled meanwhile, or delayed anew to another time.
      if (entry.state !== "delayed" || entry.dueAt !== due) continue;
      if (this.#outstanding.get(entry.offset) !== entry) continue;
      this.#delayedCount -= 1;
      this.#makeReady(entry);
    }
    return expired;
  }

  /** Monotonic milliseconds at which `advance` has something to do; undefined when nothing waits for time. */
  get nextDeadline(): number | undefined {
    for (let top = this.#leases.peek(); top?.held === 0; top = this.#leases.peek()) this.#leases.pop();
    const lease = this.#leases.peekRank();
    const delay = this.#delayed.peekRank();
    if (lease === undefined || delay === undefined) return lease ?? delay;
    return Math.min(lease, delay);
  }

  /** The doomed message is in the dead-letter queue, or gone: it is done here. */
  bury(offset: number): void {
    const entry = this.#outstanding.get(offset);
    if (entry?.state === "doomed" || entry?.state === "parked") this.#finish(entry);
  }

  /** The doomed message is in the dead-letter queue, and its key waits for what becomes of it. */
  park(offset: number): void {
    const entry = this.#outstanding.get(offset);
    if (entry?.state === "doomed") entry.state = "parked";
  }

  /** A parked message is tried again, as if for the first time. Returns its entry. */
  revive(offset: number): Entry | undefined {
    const entry = this.#outstanding.get(offset);
    if (entry?.state !== "parked") return undefined;
    entry.attempt = 0;
    entry.failure = undefined;
    this.#makeReady(entry);
    return entry;
  }

  /** The message of the same key that this one waits for. */
  before(entry: Entry): Entry | undefined {
    if (entry.key === undefined) return undefined;
    const queue = this.#byKey.get(entry.key)!;
    return queue[queue.indexOf(entry) - 1];
  }

  isDone(offset: number): boolean {
    if (offset >= this.#next) return this.#early?.get(offset) === "done";
    return !this.#outstanding.has(offset);
  }

  /** Takes a message out of the hands of receivers, whatever its turn is. `stale`: a receiver or another has it. */
  claim(offset: number): "ok" | "stale" | "done" {
    if (this.isDone(offset)) return "done";
    const entry = this.#outstanding.get(offset);
    if (!entry) {
      if (this.#early?.has(offset)) return "stale";
      this.#setEarly(offset, "claimed");
      return "ok";
    }
    if (entry.state !== "ready" && entry.state !== "blocked" && entry.state !== "delayed") return "stale";
    if (entry.state === "delayed") this.#delayedCount -= 1;
    entry.state = "claimed";
    return "ok";
  }

  /** Ends a claim, with the message done or as it was. */
  endClaim(offset: number, isDone: boolean): void {
    const entry = this.#outstanding.get(offset);
    if (entry && entry.state !== "claimed") return;
    if (entry) {
      if (isDone) this.#finish(entry);
      else this.#makeReady(entry);
    } else if (this.#early?.get(offset) === "claimed") {
      if (isDone) this.#early.set(offset, "done");
      else this.#early.delete(offset);
    }
  }

  /** The leased message is done as soon as the journal has it. Its key waits, and a snapshot takes it for done. */
  beginSettling(entry: Entry): void {
    this.#release(entry);
    entry.state = "settling";
  }

  endSettling(entry: Entry, isDone: boolean): void {
    if (this.#outstanding.get(entry.offset) !== entry) return; // the log has given it up meanwhile
    if (isDone) this.#finish(entry);
    else {
      entry.attempt -= 1;
      this.#makeReady(entry);
    }
  }

  /** Applies a `done` range of the journal, both ends included; what is skipped below it is outstanding. */
  replayDone(from: number, to: number): void {
    for (let offset = from; offset <= to && offset < this.#next; offset++) {
      const entry = this.#outstanding.get(offset);
      if (entry) this.#finish(entry);
    }
    if (to < this.#next) return;
    for (; this.#next < from; this.#next++) this.#addReplayed(this.#next);
    this.#next = to + 1;
    this.#dropEarly((early) => early <= to);
  }

  /** Applies a retry of the journal: how often the message was delivered, and until when it is held back. */
  replayRetry(record: OutstandingRecord, now: number): void {
    for (; this.#next <= record.offset; this.#next++) this.#addReplayed(this.#next);
    const entry = this.#outstanding.get(record.offset);
    if (!entry) return;
    entry.attempt = record.attempt;
    entry.failure = record.failure;
    if (entry.state === "delayed") this.#delayedCount -= 1;
    if (record.end !== undefined) entry.state = record.end;
    else this.#meet(entry, record.dueAt, now);
  }

  /** Applies a range of the journal that was settled ahead of the rest; both ends included. */
  replayEarly(from: number, to: number): void {
    for (let offset = from; offset <= to; offset++) {
      if (offset < this.#next) this.replayDone(offset, offset);
      else this.#setEarly(offset, "done");
    }
  }

  /**
   * Forgets everything from `end` on, for a log that lost its newest records in a crash: their offsets will be
   * those of other messages. Returns whether there was anything to forget.
   */
  rewind(end: number): boolean {
    const forgotten = this.#dropEarly((early) => early >= end);
    if (this.#next <= end) return forgotten;
    for (const entry of this.#outstanding.values()) if (entry.offset >= end) this.#finish(entry);
    this.#next = end;
    return true;
  }

  /** Gives replayed entries their keys, which the journal does not hold. Call once, before the first lease. */
  restoreKeys(keyOf: (offset: number) => string | undefined): void {
    for (const [offset, entry] of this.#outstanding) {
      const key = keyOf(offset);
      if (key === undefined) continue;
      const keyed: Entry = { ...entry, key };
      this.#outstanding.set(offset, keyed);
      this.#remember(key, keyed);
      if (keyed.state === "ready") this.#ready.push(keyed.offset, keyed);
      if (keyed.state === "delayed") this.#delayed.push(keyed.dueAt, keyed);
    }
  }

  entries(): Iterable<Entry> {
    return this.#outstanding.values();
  }

  /** All outstanding messages, in order of offset. */
  *records(): Generator<OutstandingRecord> {
    for (const entry of this.#outstanding.values()) if (entry.state !== "settling") yield recordOf(entry);
  }

  /** What lies beyond `next` and is done. */
  *earlyDone(): Generator<number> {
    for (const [offset, what] of this.#early ?? []) if (what === "done") yield offset;
  }

  /** Whatever is doomed and not yet moved. */
  *doomed(): Generator<Entry> {
    for (const entry of this.#outstanding.values()) if (entry.state === "doomed") yield entry;
  }

  *parked(): Generator<Entry> {
    for (const entry of this.#outstanding.values()) if (entry.state === "parked") yield entry;
  }

  #addReplayed(offset: number): void {
    if (this.#early?.get(offset) === "done") {
      this.#early.delete(offset);
      return;
    }
    const entry = newEntry(offset, undefined);
    this.#outstanding.set(offset, entry);
    this.#makeReady(entry);
  }

  #mayLease(entry: Entry, lease: Lease): boolean {
    if (entry.key === undefined) return true;
    for (const earlier of this.#byKey.get(entry.key)!) {
      if (earlier === entry) return true;
      if (earlier.lease?.fence !== lease.fence) return false;
    }
    return true;
  }

  /** The next of this key may come along in the same lease; whether it does is looked at when it is popped. */
  #wakeFollower(entry: Entry): void {
    if (entry.key === undefined) return;
    const queue = this.#byKey.get(entry.key)!;
    const follower = queue[queue.indexOf(entry) + 1];
    if (follower?.state === "blocked") this.#makeReady(follower);
  }

  #hold(entry: Entry, lease: Lease): void {
    entry.state = "leased";
    entry.lease = lease;
    entry.attempt += 1;
    lease.entries.push(entry);
    lease.held += 1;
    lease.holder.inFlight += 1;
    this.#leased += 1;
  }

  #release(entry: Entry): void {
    const { lease } = entry;
    if (!lease) return;
    lease.held -= 1;
    lease.holder.inFlight -= 1;
    if (lease.held === 0) lease.entries = [];
    entry.lease = undefined;
    this.#leased -= 1;
  }

  #meet(entry: Entry, fate: Fate, now: number): void {
    if (fate === "dead") entry.state = "doomed";
    else if (fate > now) this.#delay(entry, fate);
    else this.#makeReady(entry);
  }

  #setEarly(offset: number, what: "claimed" | "done"): void {
    this.#early ??= new Map();
    this.#early.set(offset, what);
  }

  #dropEarly(isDropped: (offset: number) => boolean): boolean {
    let dropped = false;
    for (const offset of this.#early?.keys() ?? []) {
      if (isDropped(offset)) dropped = this.#early!.delete(offset) || dropped;
    }
    return dropped;
  }

  #takeEarly(): "claimed" | "done" | undefined {
    const what = this.#early?.get(this.#next);
    if (what !== undefined) this.#early!.delete(this.#next);
    if (this.#early?.size === 0) this.#early = undefined;
    return what;
  }

  #makeReady(entry: Entry): void {
    entry.state = "ready";
    this.#ready.push(entry.offset, entry);
  }

  #delay(entry: Entry, dueAt: number): void {
    entry.state = "delayed";
    entry.dueAt = dueAt;
    this.#delayed.push(dueAt, entry);
    this.#delayedCount += 1;
  }

  #remember(key: string, entry: Entry): void {
    const queue = this.#byKey.get(key);
    if (queue) queue.push(entry);
    else this.#byKey.set(key, [entry]);
  }

  #finish(entry: Entry): void {
    if (entry.state === "delayed") this.#delayedCount -= 1;
    this.#release(entry);
    this.#outstanding.delete(entry.offset);
    if (entry.key === undefined) return;
    const queue = this.#byKey.get(entry.key)!;
    if (queue[0] === entry) queue.shift();
    else queue.splice(queue.indexOf(entry), 1);
    const head = queue[0];
    if (!head) this.#byKey.delete(entry.key);
    else if (head.state === "blocked") this.#makeReady(head);
  }
}
