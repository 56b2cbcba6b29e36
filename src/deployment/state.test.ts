import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SPAN } from "../core/cohort.ts";
import type { Step } from "./plan.ts";
import { type Event, elapsedOf, fold, holdReasons, initial, isEnded, type State, statuses } from "./state.ts";

const plan: Step[] = [
  { kind: "expose", share: 0.1, timeoutMs: 1_000 },
  { kind: "bake", minMs: 1_000, maxMs: 2_000, checks: "judge" },
  { kind: "smoke", smoke: { path: "/", requests: 1 } },
  { kind: "gate", gate: "manual" },
  { kind: "switch", timeoutMs: 1_000 },
  { kind: "retire", delayMs: 1_000 },
];

const reason = fc.constantFrom(...holdReasons);
const version = fc.constantFrom("from", "to");
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.constant<Event>({ type: "created" }),
  reason.map((reason): Event => ({ type: "held", reason })),
  reason.map((reason): Event => ({ type: "released", reason })),
  fc.constant<Event>({ type: "started", plan }),
  fc.integer({ min: -1, max: 8 }).map((index): Event => ({ type: "step", index })),
  fc
    .record({ bound: fc.constantFrom(0, 1, SPAN / 2, SPAN), generation: fc.nat(5) })
    .map((exposure): Event => ({ type: "exposed", ...exposure })),
  fc.nat(5).map((generation): Event => ({ type: "applied", generation })),
  fc
    .constantFrom([], [{ unit: "u", reason: "503" }])
    .map((failures): Event => ({ type: "smoked", failures })),
  fc.boolean().map((full): Event => ({ type: "promoted", by: "somebody", full })),
  fc.constant<Event>({ type: "rollback", cause: "manual", reason: "it is bad" }),
  version.map((version): Event => ({ type: "settling", version })),
  fc
    .constantFrom("succeeded", "rolled_back", "cancelled", "failed")
    .map((status): Event => ({ type: "ended", status })),
);

/** Whatever was written, at times that never go back. */
const anyPast = fc.array(fc.tuple(anyEvent, fc.nat(500)), { maxLength: 40 }).map((entries) => {
  let at = 0;
  return entries.map(([event, later]) => {
    at += later;
    return { event, at };
  });
});

const stateOf = (past: readonly { event: Event; at: number }[], from: State = initial) =>
  past.reduce((state, { event, at }) => fold(state, event, at), from);

const check = (property: (state: State, event: Event, now: number) => void) =>
  fc.assert(
    fc.property(anyPast, anyEvent, (past, event) =>
      property(stateOf(past), event, (past.at(-1)?.at ?? 0) + 100),
    ),
    { numRuns: 500 },
  );

describe("the fold of events", () => {
  test("is total: every event on every state gives a state", () =>
    check((state, event, now) => {
      const after = fold(state, event, now);
      assert.ok(statuses.includes(after.status));
      assert.equal(after.status === "held", after.holds.length > 0);
      assert.ok(after.step < plan.length && after.bound >= 0 && after.bound <= SPAN);
      assert.ok(after.startedAt !== undefined || after.step === -1);
    }));

  test("changes nothing the second time, but the time of what is left", () =>
    check((state, event, now) => {
      if (event.type === "created") return;
      const once = fold(state, event, now);
      assert.deepEqual(fold(once, event, now), once);
    }));

  test("leaves what has ended as it is", () =>
    check((state, event, now) => {
      if (isEnded(state)) assert.equal(fold(state, event, now), state);
    }));

  test("goes on from `settling` to its own end only", () =>
    check((state, event, now) => {
      if (!state.settling || isEnded(state)) return;
      const after = fold(state, event, now);
      const ends: readonly string[] = [state.settling === "to" ? "succeeded" : "rolled_back", "failed"];
      if (after !== state) assert.ok(ends.includes(after.status) && after.settling === state.settling);
    }));

  test("lets a rollback win over promotions, freezes, pauses and steps, before and after it", () =>
    check((state, event, now) => {
      if (isEnded(state) || state.settling) return;
      const back = fold(state, { type: "rollback", cause: "manual", reason: "now" }, now);
      assert.equal(back.status, "rolling_back");
      assert.deepEqual(back.holds, []);
      const after = fold(back, event, now);
      assert.ok(["rolling_back", "rolled_back", "cancelled", "failed"].includes(after.status));
      assert.equal(after.step, back.step);
      assert.ok(after.bound === back.bound || after.bound === 0);
      assert.ok(after.settling !== "to");
    }));

  test("never takes a step back, exposes fewer but by a rollback, or reuses a generation", () =>
    check((state, event, now) => {
      const after = fold(state, event, now);
      assert.ok(after.step >= state.step);
      assert.ok(after.generation >= state.generation);
      if (after.bound < state.bound) assert.ok(after.rollback && after.bound === 0);
      if (after.bound !== state.bound) assert.ok(after.generation > state.generation);
    }));

  test("succeeds only when the new version is settled, and is rolled back only when the old one is", () =>
    check((state) => {
      if (state.status === "succeeded") assert.equal(state.settling, "to");
      if (state.status === "rolled_back") assert.equal(state.settling, "from");
      if (state.status === "cancelled") assert.equal(state.generation, 0);
    }));

  test("a promotion to the next step is used up by it, a full one is not", () => {
    const running = stateOf([
      { event: { type: "started", plan }, at: 0 },
      { event: { type: "step", index: 1 }, at: 0 },
    ]);
    for (const full of [true, false]) {
      const promoted = fold(running, { type: "promoted", by: "somebody", full }, 1);
      const later = fold(promoted, { type: "step", index: 2 }, 2);
      assert.equal(later.promotion, full ? "full" : undefined);
    }
  });
});

test("the clock of a step stands still from the first hold to the last release", () => {
  const anyChange = fc.tuple(fc.boolean(), reason, fc.integer({ min: 1, max: 100 }));
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 30 }), (changes) => {
      let state = stateOf([
        { event: { type: "started", plan }, at: 0 },
        { event: { type: "step", index: 0 }, at: 0 },
      ]);
      let now = 0;
      let expected = 0;
      for (const [isHeld, reason, later] of changes) {
        now += later;
        if (state.holds.length === 0) expected += later;
        assert.equal(elapsedOf(state, now), expected);
        state = fold(state, isHeld ? { type: "held", reason } : { type: "released", reason }, now);
        assert.equal(elapsedOf(state, now), expected);
      }
    }),
  );
});
