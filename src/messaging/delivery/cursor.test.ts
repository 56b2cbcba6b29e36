import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Cursor, type Lease, newLease } from "./cursor.ts";

/** Leases up to `limit` messages of a log whose keys are given, as a live subscription does. */
function receive(
  cursor: Cursor,
  keys: readonly (string | undefined)[],
  fence: number,
  deadline: number,
  limit: number,
) {
  const lease = newLease(fence, deadline);
  cursor.leaseReady(lease, limit);
  while (lease.entries.length < limit && cursor.next < keys.length)
    cursor.leaseNext(lease, keys[cursor.next]);
  cursor.begin(lease);
  return lease;
}

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
      cursor.advance(1000).map(({ offset }) => offset),
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
    assert.equal(cursor.nack(0, 1, 500, 0), "ok");
    assert.equal(cursor.delayed, 1);
    assert.deepEqual(offsetsOf(receive(cursor, keys, 2, 1000, 10)), []);
    cursor.advance(499);
    assert.equal(cursor.hasReady, false);
    cursor.advance(500);
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
      cursor.advance(1000).map(({ offset }) => offset),
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
});

/** One step of a random history; numbers are folded onto what exists at that moment. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("receive" as const), limit: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant("ack" as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant("nack" as const), pick: fc.nat(), delay: fc.integer({ min: 0, max: 30 }) }),
  fc.record({ kind: fc.constant("extend" as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 40 }) }),
);

describe("cursor, over random histories", () => {
  it("never leases twice, never breaks the order of a key, never loses a message", () => {
    const keys = fc.array(fc.constantFrom(undefined, "a", "b", "c"), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(keys, fc.array(step, { maxLength: 80 }), (log, steps) => {
        const model = new Model(log);
        for (const action of steps) model.run(action);
        model.drain();
      }),
      { numRuns: 2000 },
    );
  });
});

/** Keeps its own books of who holds what, in the plainest way, and holds the cursor to them. */
class Model {
  readonly #cursor = new Cursor(0);
  readonly #log: readonly (string | undefined)[];
  readonly #held = new Map<number, { fence: number; until: number }>();
  readonly #done = new Set<number>();
  #now = 0;
  #fence = 0;

  constructor(log: readonly (string | undefined)[]) {
    this.#log = log;
  }

  run(action: { kind: string; limit?: number; pick?: number; delay?: number; ms?: number }): void {
    const holders = [...this.#held];
    const chosen = holders[(action.pick ?? 0) % Math.max(1, holders.length)];
    if (action.kind === "receive") this.#receive(action.limit!);
    if (action.kind === "wait") this.#wait(action.ms!);
    if (!chosen) return;
    const [offset, { fence }] = chosen;
    if (action.kind === "ack") {
      assert.equal(this.#cursor.ack(offset, fence + 1_000_000), "stale");
      assert.equal(this.#cursor.ack(offset, fence), "ok");
      this.#held.delete(offset);
      this.#done.add(offset);
    }
    if (action.kind === "nack") {
      assert.equal(this.#cursor.nack(offset, fence, this.#now + action.delay!, this.#now), "ok");
      this.#held.delete(offset);
    }
    if (action.kind === "extend") {
      assert.equal(this.#cursor.extend(offset, fence, this.#now + 50), "ok");
      this.#held.set(offset, { fence, until: this.#now + 50 });
    }
    this.#compare();
  }

  /** With everybody acknowledging, everything is delivered within bounded rounds. */
  drain(): void {
    for (let round = 0; this.#done.size < this.#log.length; round++) {
      assert.ok(round < 10 * this.#log.length + 10, "the cursor does not give out what is left");
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
  }

  #receive(limit: number): void {
    this.#fence += 1;
    const lease = receive(this.#cursor, this.#log, this.#fence, this.#now + 20, limit);
    const taken = new Set(offsetsOf(lease));
    assert.equal(taken.size, lease.entries.length);
    for (const offset of taken) {
      assert.ok(!this.#held.has(offset) && !this.#done.has(offset), `${offset} was given out twice`);
      const key = this.#log[offset];
      for (let earlier = 0; key !== undefined && earlier < offset; earlier++) {
        if (this.#log[earlier] !== key) continue;
        assert.ok(
          this.#done.has(earlier) || taken.has(earlier),
          `${offset} overtook ${earlier} of key ${key}`,
        );
      }
    }
    for (const offset of taken) this.#held.set(offset, { fence: this.#fence, until: this.#now + 20 });
    this.#compare();
  }

  #wait(ms: number): void {
    this.#now += ms;
    const expected = [...this.#held].filter(([, { until }]) => until <= this.#now).map(([offset]) => offset);
    const expired = this.#cursor.advance(this.#now).map(({ offset }) => offset);
    assert.deepEqual(
      expired.toSorted((a, b) => a - b),
      expected.toSorted((a, b) => a - b),
    );
    for (const offset of expired) this.#held.delete(offset);
    this.#compare();
  }

  #compare(): void {
    assert.equal(this.#cursor.leased, this.#held.size);
    const missing = this.#log.findIndex((_, offset) => !this.#done.has(offset));
    const floor = missing === -1 ? this.#log.length : Math.min(missing, this.#cursor.next);
    assert.equal(this.#cursor.floor, floor);
    const deadlines = [...this.#held.values()].map(({ until }) => until);
    const next = this.#cursor.nextDeadline ?? Number.POSITIVE_INFINITY;
    if (deadlines.length > 0) assert.ok(next <= Math.min(...deadlines), "a lease would expire unnoticed");
  }
}
