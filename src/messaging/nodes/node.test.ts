import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type BrokerNode, complaintsOf, isHealthy, statusOf, takesUnits } from "./node.ts";

const limits = { eventLoopDelayMs: 500, memoryBytes: 2 ** 30, queueDepth: 1000 };
const well: BrokerNode = {
  id: "a",
  name: "node-a",
  address: "http://127.0.0.1:7070",
  state: "started",
  leaseMs: 3000,
  startedAt: new Date(0),
  heartbeatAt: new Date(0),
  silentMs: 100,
  aliveMs: 10_000,
  health: {
    queueDepth: 5,
    consumers: 1,
    topics: 2,
    cpuShare: 0.1,
    memoryBytes: 2 ** 27,
    eventLoopDelayMs: 3,
  },
};
const withHealth = (health: Partial<BrokerNode["health"]>) => ({
  ...well,
  health: { ...well.health, ...health },
});

suite("a broker node", () => {
  test("is what it says while its heartbeats come", () => {
    assert.equal(statusOf(well), "started");
    assert.equal(statusOf({ ...well, state: "draining" }), "draining");
    assert.equal(isHealthy(well, limits), true);
  });

  test("is suspect after half of its lease, and dead after all of it", () => {
    assert.equal(statusOf({ ...well, silentMs: 1499 }), "started");
    assert.equal(statusOf({ ...well, silentMs: 1500 }), "suspect");
    assert.equal(statusOf({ ...well, silentMs: 2999 }), "suspect");
    assert.equal(statusOf({ ...well, silentMs: 3000 }), "dead");
    assert.equal(statusOf({ ...well, state: "draining", silentMs: 3000 }), "dead");
  });

  test("that was marked dead or has stopped stays so, whatever comes", () => {
    assert.equal(statusOf({ ...well, state: "dead", silentMs: 0 }), "dead");
    assert.equal(statusOf({ ...well, state: "stopped", silentMs: 0 }), "stopped");
  });

  test("takes units only when it is started and heard", () => {
    assert.equal(takesUnits(well), true);
    assert.equal(takesUnits({ ...well, state: "draining" }), false);
    assert.equal(takesUnits({ ...well, silentMs: 1500 }), false);
  });

  test("is unhealthy when it is silent, slow, large, or behind, and says in words why", () => {
    const cases: [BrokerNode, RegExp][] = [
      [{ ...well, silentMs: 2000 }, /no heartbeat for 2 s/],
      [withHealth({ eventLoopDelayMs: 700 }), /late by 700 ms/],
      [withHealth({ memoryBytes: 2 ** 31 }), /2048 MiB/],
      [withHealth({ queueDepth: 1001 }), /1001 messages wait/],
    ];
    for (const [node, why] of cases) {
      assert.equal(isHealthy(node, limits), false);
      assert.match(complaintsOf(node, limits).join(), why);
    }
    const all = withHealth({ eventLoopDelayMs: 700, queueDepth: 1001 });
    assert.equal(complaintsOf(all, limits).length, 2);
  });

  test("that is gone is only said to be gone", () => {
    const gone = { ...withHealth({ queueDepth: 1001 }), state: "dead" as const, silentMs: 60_000 };
    assert.deepEqual(complaintsOf(gone, limits), ["no heartbeat for 60 s"]);
  });

  test("that drains is not healthy, and nothing is wrong with it", () => {
    const draining = { ...well, state: "draining" as const };
    assert.deepEqual([isHealthy(draining, limits), complaintsOf(draining, limits)], [false, []]);
  });
});
