import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Cursor } from "./cursor.ts";
import { type Fate, type Lease, newLease } from "./entry.ts";

interface Message {
  key: string | undefined;
  isPassed: boolean;
}

/** Leases up to `limit` messages of a log, as a live subscription does. */
function receive(
  cursor: Cursor,
  log: readonly (string | undefined | Message)[],
  fence: number,
  deadline: number,
  limit: number,
) {
  const lease = newLease(fence, deadline);
  cursor.leaseReady(lease, limit);
  while (lease.entries.length < limit && cursor.next < log.length) {
    const message = log[cursor.next];
    if (typeof message !== "object") cursor.leaseNext(lease, message);
    else if (message.isPassed) cursor.pass();
    else cursor.leaseNext(lease, message.key);
  }
  cursor.begin(lease);
  return lease;
}

const atOnce = (_attempt: number, now: number): Fate => now;
/** Expires what is due, to be tried again at once; wall time plays no part. */
const expire = (cursor: Cursor, now: number) => cursor.advance(now, 0, atOnce);

const offsetsOf = (lease: Lease) => lease.entries.map(({ offset }) => offset);

describe("cursor", () => {
  it("leases in order and moves the floor past what is acknowledged", () => {
    const cursor = new Cursor(0);
    const keys = [undefined, undefined, undefined, undefined];
    const lease = receive(cursor, keys, 1, 1000, 3);
    assert.deepEqual(offsetsOf(lease), [0, 1, 2]);
    assert.equal(cursor.ack(1, 1), "ok");
    assert.equal(cursor.floor, 0);
    assert.equal(cursor.ack(0, 1), "ok");
    assert.equal(cursor.floor, 2);
    assert.equal(cursor.leased, 1);
  });

  it("refuses the fence of a lease that has ended, and knows what is done or never was", () => {
    const cursor = new Cursor(0);
    const keys = [undefined];
    receive(cursor, keys, 1, 1000, 1);
    assert.deepEqual(
      expire(cursor, 1000).map(({ offset }) => offset),
      [0],
    );
    assert.equal(cursor.ack(0, 1), "stale");
    receive(cursor, keys, 2, 2000, 1);
    assert.equal(cursor.ack(0, 1), "stale");
    assert.equal(cursor.ack(0, 2), "ok");
    assert.equal(cursor.ack(0, 2), "done");
    assert.equal(cursor.ack(7, 2), "never");
  });

  it("holds back later messages of a key until the earlier one is done, while other keys go on", () => {
    const cursor = new Cursor(0);
    const keys = ["a", "a", "b", "a"];
    assert.deepEqual(offsetsOf(receive(cursor, keys, 1, 1000, 1)), [0]);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), [2]);
    assert.equal(cursor.ack(0, 1), "ok");
    assert.deepEqual(offsetsOf(receive(cursor, keys, 3, 1000, 10)), [1, 3]);
  });

  it("delays what is given back, and its key with it", () => {
    const cursor = new Cursor(0);
    const keys = ["a", "a"];
    receive(cursor, keys, 1, 1000, 1);
    assert.equal(cursor.nack(0, 1, 500, 0, 0), "ok");
    assert.equal(cursor.delayed, 1);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), []);
    expire(cursor, 499);
    assert.equal(cursor.hasReady, false);
    expire(cursor, 500);
    const again = receive(cursor, keys, 3, 1000, 10);
    assert.deepEqual(offsetsOf(again), [0, 1]);
    assert.deepEqual(
      again.entries.map(({ attempt }) => attempt),
      [2, 1],
    );
  });

  it("keeps an extended message when the rest of its lease expires", () => {
    const cursor = new Cursor(0);
    receive(cursor, [undefined, undefined], 1, 1000, 2);
    assert.equal(cursor.extend(1, 1, 5000), "ok");
    assert.deepEqual(
      expire(cursor, 1000).map(({ offset }) => offset),
      [0],
    );
    assert.equal(cursor.ack(1, 1), "ok");
    assert.equal(cursor.nextDeadline, undefined);
  });

  it("passes over what the log has given up", () => {
    const cursor = new Cursor(0);
    receive(cursor, ["a", "a", "a"], 1, 1000, 1);
    cursor.skipTo(2);
    assert.equal(cursor.floor, 2);
    assert.equal(cursor.ack(0, 1), "done");
    assert.deepEqual(offsetsOf(receive(cursor, ["a", "a", "a"], 2, 1000, 10)), [2]);
  });

  it("dooms what is given up, and its key waits until it is buried", () => {
    const cursor = new Cursor(0);
    const keys = ["a", "a", "b"];
    receive(cursor, keys, 1, 1000, 1);
    assert.equal(cursor.nack(0, 1, "dead", 0, 77, "never"), "ok");
    const [doomed] = cursor.doomed();
    assert.deepEqual(doomed?.failure, { reason: "never", first: 77, last: 77 });
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), [2]);
    cursor.bury(0);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 3, 1000, 10)), [1]);
    assert.equal(cursor.isDone(0), true);
  });

  it("keeps a key back behind a parked message until that is tried again", () => {
    const cursor = new Cursor(0);
    const keys = ["a", "a"];
    receive(cursor, keys, 1, 1000, 1);
    cursor.nack(0, 1, "dead", 0, 0);
    cursor.park(0);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), []);
    assert.equal(cursor.revive(0)?.attempt, 0);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 3, 1000, 10)), [0, 1]);
  });

  it("does not count a delivery that was given back untried", () => {
    const cursor = new Cursor(0);
    receive(cursor, ["a"], 1, 1000, 1);
    assert.equal(cursor.giveBack(0, 1), "ok");
    assert.equal(cursor.giveBack(0, 1), "stale");
    assert.equal(receive(cursor, ["a"], 2, 1000, 1).entries[0]?.attempt, 1);
  });

  it("lets messages be settled ahead of all that nobody has looked at", () => {
    const cursor = new Cursor(0);
    const keys = Array.from({ length: 6 }, () => undefined);
    assert.equal(cursor.claim(4), "ok");
    assert.equal(cursor.claim(4), "stale");
    cursor.endClaim(4, true);
    assert.equal(cursor.claim(4), "done");
    assert.equal(cursor.claim(1), "ok");
    assert.deepEqual([...cursor.earlyDone()], [4]);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 1, 1000, 10)), [0, 2, 3, 5]);
    assert.equal(cursor.claim(2), "stale");
    cursor.endClaim(1, false);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), [1]);
    assert.equal(cursor.early, 0);
  });

  it("forgets what was settled ahead when the log was cut behind it", () => {
    const cursor = new Cursor(0);
    cursor.claim(4);
    cursor.endClaim(4, true);
    assert.equal(cursor.rewind(5), false);
    assert.equal(cursor.rewind(4), true);
    assert.equal(cursor.isDone(4), false);
  });
});

/** One step of a random history; numbers are folded onto what exists at that moment. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("receive" as const), limit: fc.integer({ min: 1, max: 6 }) }),
  fc.record({
    kind: fc.constantFrom("ack" as const, "extend" as const, "giveBack" as const, "doom" as const),
    pick: fc.nat(),
  }),
  fc.record({ kind: fc.constant("nack" as const), pick: fc.nat(), delay: fc.integer({ min: 0, max: 30 }) }),
  fc.record({
    kind: fc.constantFrom("bury" as const, "park" as const, "revive" as const, "claim" as const),
    pick: fc.nat(),
  }),
  fc.record({ kind: fc.constant("endClaim" as const), pick: fc.nat(), isDone: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 40 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe("cursor, over random histories", () => {
  it("gives out exactly what may be given, never twice, and never breaks the order of a key", () => {
    const message = fc.record({ key: fc.constantFrom(undefined, "a", "b", "c"), passed: fc.nat(5) });
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 30 }),
        fc.array(step, { maxLength: 80 }),
        (log, steps) => {
          const model = new Model(log.map(({ key, passed }) => ({ key, isPassed: passed === 0 })));
          for (const action of steps) model.run(action);
          model.drain();
        },
      ),
      { numRuns: 2000 },
    );
  });
});

interface Held {
  fence: number;
  until: number;
}

/**
 * Keeps its own books of each message, in the plainest way, and holds the cursor to them. A message is done or:
 * waiting (from a time on), held under a lease, doomed, parked, or claimed.
 */
class Model {
  readonly #cursor = new Cursor(0);
  readonly #log: readonly Message[];
  readonly #held = new Map<number, Held>();
  readonly #waitsUntil = new Map<number, number>();
  readonly #away = new Map<number, "doomed" | "parked" | "claimed">();
  readonly #done = new Set<number>();
  #now = 0;
  #fence = 0;

  constructor(log: readonly Message[]) {
    this.#log = log;
  }

  run(action: Step): void {
    if (action.kind === "receive") this.#receive(action.limit);
    else if (action.kind === "wait") this.#wait(action.ms);
    else if (action.kind === "claim") this.#claim(action.pick % this.#log.length);
    else if (action.kind === "bury" || action.kind === "park") this.#end(action.kind, action.pick);
    else if (action.kind === "revive") this.#revive(action.pick);
    else if (action.kind === "endClaim") this.#endClaim(action.pick, action.isDone);
    else this.#settle(action);
    this.#compare();
  }

  /** With everybody acknowledging, everything is delivered within bounded rounds. */
  drain(): void {
    for (let round = 0; this.#done.size < this.#log.length || this.#cursor.next < this.#log.length; round++) {
      assert.ok(round < 10 * this.#log.length + 10, "the cursor does not give out what is left");
      for (const [offset, state] of this.#away) {
        if (state === "claimed") this.#endClaim(offset, false);
        else if (state === "doomed") this.#end("bury", offset);
        else this.#revive(offset);
      }
      this.#wait(60);
      this.#receive(3);
      for (const [offset, { fence }] of [...this.#held]) {
        assert.equal(this.#cursor.ack(offset, fence), "ok");
        this.#held.delete(offset);
        this.#done.add(offset);
      }
    }
    assert.equal(this.#cursor.floor, this.#log.length);
    assert.equal(this.#cursor.outstanding, 0);
    assert.equal(this.#cursor.leased, 0);
    assert.equal(this.#cursor.delayed, 0);
    assert.equal(this.#cursor.early, 0);
  }

  #settle(action: Step & { pick: number; delay?: number }): void {
    const holders = [...this.#held];
    const chosen = holders[action.pick % Math.max(1, holders.length)];
    if (!chosen) return;
    const [offset, { fence }] = chosen;
    if (action.kind === "extend") {
      assert.equal(this.#cursor.extend(offset, fence, this.#now + 50), "ok");
      this.#held.set(offset, { fence, until: this.#now + 50 });
      return;
    }
    this.#held.delete(offset);
    if (action.kind === "ack") {
      assert.equal(this.#cursor.ack(offset, fence + 1_000_000), "stale");
      assert.equal(this.#cursor.ack(offset, fence), "ok");
      this.#done.add(offset);
    } else if (action.kind === "nack") {
      const dueAt = this.#now + action.delay!;
      assert.equal(this.#cursor.nack(offset, fence, dueAt, this.#now, 0), "ok");
      this.#waitsUntil.set(offset, dueAt);
    } else if (action.kind === "doom") {
      assert.equal(this.#cursor.nack(offset, fence, "dead", this.#now, 0), "ok");
      this.#away.set(offset, "doomed");
    } else {
      assert.equal(this.#cursor.giveBack(offset, fence), "ok");
    }
    assert.ok(this.#cursor.ack(offset, fence) !== "ok", "a lease counted after its end");
  }

  #end(how: "bury" | "park", pick: number): void {
    const doomed = [...this.#away].filter(([, state]) => state === "doomed").map(([offset]) => offset);
    const offset = doomed.includes(pick) ? pick : doomed[pick % Math.max(1, doomed.length)];
    if (offset === undefined) return;
    this.#cursor[how](offset);
    if (how === "park") this.#away.set(offset, "parked");
    else this.#away.delete(offset);
    if (how === "bury") this.#done.add(offset);
  }

  #revive(pick: number): void {
    const offset = pick % this.#log.length;
    const isParked = this.#away.get(offset) === "parked";
    assert.equal(this.#cursor.revive(offset)?.offset, isParked ? offset : undefined);
    if (isParked) this.#away.delete(offset);
  }

  #claim(offset: number): void {
    const expected = this.#done.has(offset)
      ? "done"
      : this.#held.has(offset) || this.#away.has(offset)
        ? "stale"
        : "ok";
    assert.equal(this.#cursor.claim(offset), expected);
    if (expected !== "ok") return;
    this.#waitsUntil.delete(offset);
    this.#away.set(offset, "claimed");
  }

  #endClaim(pick: number, isDone: boolean): void {
    const offset = pick % this.#log.length;
    this.#cursor.endClaim(offset, isDone); // without a claim it changes nothing
    if (this.#away.get(offset) !== "claimed") return;
    this.#away.delete(offset);
    if (isDone) this.#done.add(offset);
  }

  /** What a receive may take, oldest first: first what was looked at before, then what comes at the frontier. */
  #expected(limit: number): number[] {
    const taken: number[] = [];
    const mayTake = (offset: number) => {
      const { key } = this.#log[offset]!;
      if (this.#done.has(offset) || this.#held.has(offset) || this.#away.has(offset)) return false;
      if ((this.#waitsUntil.get(offset) ?? 0) > this.#now) return false;
      for (let earlier = 0; key !== undefined && earlier < offset; earlier++) {
        if (this.#log[earlier]!.key !== key) continue;
        if (!this.#done.has(earlier) && !taken.includes(earlier)) return false;
      }
      return true;
    };
    for (let offset = 0; offset < this.#cursor.next && taken.length < limit; offset++) {
      if (mayTake(offset)) taken.push(offset);
    }
    for (let offset = this.#cursor.next; offset < this.#log.length && taken.length < limit; offset++) {
      if (this.#log[offset]!.isPassed) this.#passed(offset);
      else if (mayTake(offset)) taken.push(offset);
    }
    return taken;
  }

  #passed(offset: number): void {
    this.#away.delete(offset);
    this.#done.add(offset);
  }

  #receive(limit: number): void {
    this.#fence += 1;
    const expected = this.#expected(limit);
    const lease = receive(this.#cursor, this.#log, this.#fence, this.#now + 20, limit);
    assert.deepEqual(
      offsetsOf(lease).toSorted((a, b) => a - b),
      expected.toSorted((a, b) => a - b),
    );
    for (const offset of expected) {
      this.#waitsUntil.delete(offset);
      this.#held.set(offset, { fence: this.#fence, until: this.#now + 20 });
    }
  }

  #wait(ms: number): void {
    this.#now += ms;
    const expected = [...this.#held].filter(([, { until }]) => until <= this.#now).map(([offset]) => offset);
    const expired = expire(this.#cursor, this.#now).map(({ offset }) => offset);
    assert.deepEqual(
      expired.toSorted((a, b) => a - b),
      expected.toSorted((a, b) => a - b),
    );
    for (const offset of expired) this.#held.delete(offset);
  }

  #compare(): void {
    assert.equal(this.#cursor.leased, this.#held.size);
    const missing = this.#log.findIndex((_, offset) => !this.#done.has(offset));
    const floor = missing === -1 ? this.#cursor.next : Math.min(missing, this.#cursor.next);
    assert.equal(this.#cursor.floor, floor);
    for (const [offset] of this.#log.entries()) {
      assert.equal(this.#cursor.isDone(offset), this.#done.has(offset), `${offset}`);
    }
    const deadlines = [...this.#held.values()].map(({ until }) => until);
    const next = this.#cursor.nextDeadline ?? Number.POSITIVE_INFINITY;
    if (deadlines.length > 0) assert.ok(next <= Math.min(...deadlines), "a lease would expire unnoticed");
  }
}
