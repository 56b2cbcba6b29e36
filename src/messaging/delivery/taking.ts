/**
 * Choosing and leasing, over records that were read ahead. Taking is synchronous, so two receivers can never be given
 * the same message; only reading ahead waits for the disk.
 */
import type { Clock } from "../../core/clock.ts";
import { keyOf } from "../message.ts";
import type { Consumer } from "./consumers.ts";
import { type Entry, newLease } from "./entry.ts";
import { fill, type Lane, pass, type Taken } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { Routing } from "./routing.ts";
import type { Counters } from "./subscription.options.ts";
import type { Terms, Unwanted } from "./terms.ts";

export interface TakingParts {
  clock: Clock;
  lanes: Lanes;
  terms: Terms;
  counters: Counters;
  routing: () => Routing;
  /** Messages of a partition that may be outstanding; beyond it the partition waits for settlements. */
  outstandingMax: number;
  /** Those entries are doomed, which somebody has to journal and to move. */
  giveUp(lane: Lane, doomed: Entry[]): void;
}

/** Who takes, and the lease that it gets. */
export interface Claim {
  readonly consumer: Consumer;
  readonly fence: number;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly limit: number;
}

export class Taking {
  readonly #parts: TakingParts;
  /** The lane that the next receive begins with, so that none starves. */
  #turn = 0;

  constructor(parts: TakingParts) {
    this.#parts = parts;
  }

  /** Leases up to `limit` messages; none when nothing is at hand. */
  take(claim: Claim): Taken[] {
    const { lanes, routing } = this.#parts;
    const taken: Taken[] = [];
    const { all } = lanes;
    if (routing().strategy === "priority") this.#takeByPriority(claim, taken);
    else this.#takeInTurns(all, claim, taken);
    if (taken.length > 0) this.#turn = (this.#turn + 1) % all.length;
    return taken;
  }

  #takeInTurns(lanes: readonly Lane[], claim: Claim, taken: Taken[]): void {
    for (let i = 0; i < lanes.length && taken.length < claim.limit; i++) {
      this.#takeFrom(lanes[(this.#turn + i) % lanes.length]!, claim, taken);
    }
  }

  /** From the most important level down. What a level has on the disk only is read before a lower one has its turn. */
  #takeByPriority(claim: Claim, taken: Taken[]): void {
    for (const level of this.#parts.lanes.levels) {
      this.#takeInTurns(level, claim, taken);
      if (taken.length >= claim.limit || level.some((lane) => this.#wantsMore(lane))) return;
    }
  }

  #takeFrom(lane: Lane, { consumer, fence, deadline, limit }: Claim, taken: Taken[]): void {
    const { cursor, ahead } = lane;
    const { outstandingMax, clock, giveUp } = this.#parts;
    const lease = newLease(fence, deadline, consumer);
    cursor.leaseReady(lease, limit - taken.length);
    for (const entry of lease.entries) taken.push({ lane, entry, body: undefined, isFresh: false });
    const now = clock.now();
    const doomed: Entry[] = [];
    while (taken.length < limit && lane.aheadAt < ahead.length && cursor.outstanding < outstandingMax) {
      const { body } = ahead[lane.aheadAt]!;
      lane.aheadAt += 1;
      if (this.#passes(lane, body, now, doomed)) continue;
      if (cursor.leaseNext(lease, keyOf(body)))
        taken.push({ lane, entry: lease.entries.at(-1)!, body, isFresh: true });
    }
    cursor.begin(lease);
    giveUp(lane, doomed);
  }

  /** Whether the message at the cursor's frontier was passed over or given up, as nobody wants it. */
  #passes(lane: Lane, body: Buffer, now: number, doomed: Entry[]): boolean {
    const why = this.whyUnwanted(body, now);
    if (why === undefined) return false;
    if (why === "filtered" || !this.#parts.terms.buriesExpired) pass(lane);
    else {
      const entry = lane.cursor.outdateNext(keyOf(body), now);
      if (entry) doomed.push(entry);
    }
    return true;
  }

  /** Counts what is not wanted, too. */
  whyUnwanted(body: Buffer, now: number): Unwanted | undefined {
    const why = this.#parts.terms.whyUnwanted(body, now);
    if (why === "filtered") this.#parts.counters.filtered += 1;
    else if (why === "expired") this.#parts.counters.outdated += 1;
    return why;
  }

  /** Gives up what has expired at the head of a partition. */
  expireHead(lane: Lane, now: number): void {
    const { outstandingMax, giveUp } = this.#parts;
    const doomed: Entry[] = [];
    for (; lane.aheadAt < lane.ahead.length && lane.cursor.outstanding < outstandingMax; lane.aheadAt++) {
      if (!this.#passes(lane, lane.ahead[lane.aheadAt]!.body, now, doomed)) break;
    }
    giveUp(lane, doomed);
  }

  #wantsMore({ cursor, ahead, aheadAt, log }: Lane): boolean {
    return (
      aheadAt >= ahead.length && cursor.next < log.end && cursor.outstanding < this.#parts.outstandingMax
    );
  }

  /** Reads ahead where receivers have caught up. Resolves to whether anything new is there to take. */
  async fill(): Promise<boolean> {
    const wanting = this.#parts.lanes.all.filter((lane) => this.#wantsMore(lane));
    if (wanting.length === 0) return false;
    const outcomes = await Promise.allSettled(wanting.map(fill));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    // A lane that cannot be read is reported when the others have nothing either.
    if (failed && outcomes.every(({ status }) => status === "rejected")) throw failed.reason;
    return true;
  }
}
