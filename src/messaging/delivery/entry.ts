/** What a cursor holds of a message that is not done, and of the lease that it is under. */
import type { TraceContext } from "../../platform/telemetry/index.ts";

/** Who holds leases: counted here, as an entry knows its lease only. */
export interface Holder {
  readonly name: string;
  inFlight: number;
  acked: number;
  /** Messages whose lease ran out since it settled something. */
  expired: number;
}

/** What one receive took of one partition, under one fence and deadline. */
export interface Lease {
  readonly fence: number;
  readonly holder: Holder;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  /** All that it took; emptied when nothing is held any more, so that a settled lease pins no memory. */
  entries: Entry[];
  /** Messages still held by it. */
  held: number;
  /** The span in which its messages were received, if there was one. */
  trace?: TraceContext | undefined;
}

export function newLease(
  fence: number,
  deadline: number,
  holder: Holder = { name: "", inFlight: 0, acked: 0, expired: 0 },
): Lease {
  return { fence, holder, deadline, entries: [], held: 0 };
}

/** Of a message that was not done when its time to live ended. */
const outdatedReason = "expired";

/** Why and since when a message fails. Most messages never have one. */
export interface Failure {
  /** What the last consumer said, or that its lease expired. */
  reason: string | undefined;
  /** Wall-clock milliseconds. */
  first: number;
  last: number;
  /** Once its move to the dead-letter queue has begun: where that queue ended. A copy lies behind it or nowhere. */
  mark?: number;
  /** It has expired, and that is why it is given up. */
  isOutdated?: true;
}

export interface Entry {
  readonly offset: number;
  readonly key: string | undefined;
  /** Deliveries so far. */
  attempt: number;
  /**
   * doomed: given up, on its way to the dead-letter queue. parked: it is there, and its key waits for what becomes
   * of it. claimed: somebody who manages the queue is working on it; only who claimed it settles it. settling: done
   * as soon as the journal has it.
   */
  state: "leased" | "delayed" | "blocked" | "ready" | "doomed" | "parked" | "claimed" | "settling";
  lease: Lease | undefined;
  /** While delayed: monotonic milliseconds at which it becomes ready. */
  dueAt: number;
  failure: Failure | undefined;
}

export function newEntry(offset: number, key: string | undefined): Entry {
  return { offset, key, attempt: 0, state: "blocked", lease: undefined, dueAt: 0, failure: undefined };
}

/** What becomes of a failed message: monotonic milliseconds at which it is tried again (past: at once), or the end. */
export type Fate = number | "dead";

/** An outstanding message as the journal keeps it. */
export interface OutstandingRecord {
  offset: number;
  attempt: number;
  /** Monotonic milliseconds; 0 when it is not delayed. */
  dueAt: number;
  failure: Failure | undefined;
  end: "doomed" | "parked" | undefined;
}

/** An entry as the journal keeps it. A delivery that is under way does not count: it may never have arrived. */
export function recordOf({ offset, attempt, state, dueAt, failure }: Entry): OutstandingRecord {
  const end = state === "doomed" || state === "parked" ? state : undefined;
  const ended = state === "leased" ? attempt - 1 : attempt;
  return { offset, attempt: ended, dueAt: state === "delayed" ? dueAt : 0, failure, end };
}

/** Gives up what has expired. `at` is wall time. */
export function noteOutdated(entry: Entry, at: number): void {
  noteFailure(entry, at, outdatedReason);
  entry.failure!.isOutdated = true;
  entry.state = "doomed";
}

/** `at` is wall time. */
export function noteFailure(entry: Entry, at: number, reason: string | undefined): void {
  const { failure } = entry;
  if (!failure) entry.failure = { reason, first: at, last: at };
  else entry.failure = { reason, first: failure.first, last: at };
}
