import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { Consumer, Consumers, consumerGraceMs } from "./consumers.ts";
import { chooseWaiter, type Routing, type Strategy } from "./routing.ts";

const consumer = (name: string, values: Partial<Consumer> = {}) =>
  Object.assign(new Consumer({ name, via: "pull" }, 0), values);
const chosen = (routing: Partial<Routing>, line: Consumer[], active?: Consumer) =>
  line[chooseWaiter({ strategy: "load-balanced", balancing: "round-robin", ...routing }, line, () => active)]
    ?.name;

describe("who of those who wait is served", () => {
  const line = [
    consumer("a", { inFlight: 5, priority: 1 }),
    consumer("b", { inFlight: 2, priority: 3 }),
    consumer("c", { inFlight: 2, priority: 3 }),
  ];

  it("is the one that waits longest, when they take turns", () => {
    for (const strategy of ["load-balanced", "fan-out", "content-based"] satisfies Strategy[]) {
      assert.equal(chosen({ strategy }, line), "a");
    }
    assert.equal(chosen({}, []), undefined);
  });

  it("is the one that holds least; of several the one that waits longest", () => {
    assert.equal(chosen({ balancing: "least-loaded" }, line), "b");
  });

  it("is the most important one with priorities", () => {
    assert.equal(chosen({ strategy: "priority" }, line), "b");
  });

  it("is the active one only when one consumer gets all", () => {
    assert.equal(chosen({ strategy: "direct" }, line, line[2]), "c");
    assert.equal(chosen({ strategy: "direct" }, line, consumer("elsewhere")), undefined);
  });
});

describe("consumers", () => {
  it("are active in the order of their coming, until they are gone", () => {
    const clock = new ManualClock();
    const consumers = new Consumers(clock);
    const a = consumers.see({ name: "a", via: "pull" });
    const b = consumers.see({ name: "b", via: "pull" });
    assert.equal(consumers.active(), a);
    clock.advance(consumerGraceMs - 1);
    consumers.touch(b);
    assert.equal(consumers.active(), a);
    clock.advance(1);
    assert.equal(consumers.active(), b);
    assert.equal(consumers.see({ name: "a", via: "pull" }), a);
    assert.equal(consumers.active(), a);
    assert.equal(consumers.see({ name: "c", via: "push", priority: 9 }), consumers.active());
  });

  it("stay while they hold something, and are forgotten some time later", () => {
    const clock = new ManualClock();
    const consumers = new Consumers(clock);
    const a = consumers.see({ name: "a", via: "pull" });
    a.inFlight = 1;
    clock.advance(10_000_000);
    assert.deepEqual([consumers.present, consumers.all.length], [1, 1]);
    a.inFlight = 0;
    assert.deepEqual([consumers.present, consumers.all.length], [0, 0]);
  });
});
