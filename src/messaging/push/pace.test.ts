import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { after, freshPace, type Outcome, type Pace, pausedBy, probe } from "./pace.ts";

const patience = { failuresMax: 3, firstPauseMs: 1_000 };
const failed: Outcome = { kind: "failed", reason: "no" };
const outcome = fc.constantFrom<Outcome | "time">({ kind: "ok" }, { kind: "gone" }, failed, "time");

const step = (pace: Pace, event: Outcome | "time", now: number) =>
  event === "time" ? probe(pace) : after(pace, event, now, patience);

describe("the pace of a webhook", () => {
  test("pauses after so many failures in a row, longer each time, and starts anew when one succeeds", () => {
    let pace = freshPace;
    for (let count = 1; count <= 3; count++) pace = after(pace, failed, 0, patience);
    assert.deepEqual([pace.status, pace.resumesAt], ["paused", 1_000]);
    pace = after(probe(pace), failed, 5_000, patience);
    assert.deepEqual([pace.status, pace.resumesAt], ["paused", 7_000]);
    assert.deepEqual(after(probe(pace), { kind: "ok" }, 0, patience), freshPace);
  });

  test("stays paused by a person, whatever a request that was under way comes to", () => {
    const pace = pausedBy("ann");
    assert.deepEqual([pace.status, pace.resumesAt, pace.reason], ["paused", null, "paused by ann"]);
    for (const event of [{ kind: "ok" }, { kind: "gone" }, failed] as const)
      assert.equal(after(pace, event, 0, patience), pace);
  });

  test("holds, whatever happens: a pause has an end and a reason, disabled is for good, a success clears all", () => {
    const property = fc.property(fc.array(outcome), (events) => {
      let pace = freshPace;
      events.forEach((event, now) => {
        const before = pace;
        pace = step(pace, event, now);
        assert.equal(pace.status === "paused", pace.resumesAt !== null);
        if (pace.status !== "active") assert.ok(pace.reason);
        if (pace.status === "active") assert.ok(pace.failures < patience.failuresMax);
        if (before.status === "disabled") assert.equal(pace, before);
        if (pace.resumesAt !== null) assert.ok(pace.resumesAt - now <= 3_600_000);
      });
    });
    fc.assert(property, { numRuns: 500 });
  });
});
