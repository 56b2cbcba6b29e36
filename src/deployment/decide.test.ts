/**
 * Properties of the decision over a small model of a target: units take what they should run by the next look, refuse
 * it, end when they read it, or say nothing. Crashes and several nodes are the simulation's (simulation.ts).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SPAN } from "../core/cohort.ts";
import { type Behaviour, Model, type ModelOptions, open } from "./decide.testing.ts";
import { decide, type Gates, type Verdict } from "./decide.ts";
import { anySpec } from "./plan.testing.ts";
import type { StrategySpec } from "./plan.ts";
import { type Event, elapsedOf, fold, isEnded, type State } from "./state.ts";

const pass: Verdict = { outcome: "pass", reasons: [], winner: "canary" };
const anyUnits = fc.constantFrom(0, 1, 2, 3, 10, 40);
const automatic = anySpec.map((spec): StrategySpec => ({ ...spec, isManual: false }));
const anyBehaviour: fc.Arbitrary<(unit: string) => Behaviour> = fc.func(
  fc.constantFrom<Behaviour>("applies", "applies", "applies", "refuses", "crashes", "silent"),
);
const anyCommand: fc.Arbitrary<Event> = fc.constantFrom<Event>(
  { type: "held", reason: "manual" },
  { type: "released", reason: "manual", by: "somebody" },
  { type: "promoted", by: "somebody", full: false },
  { type: "promoted", by: "somebody", full: true },
  { type: "rollback", cause: "manual", reason: "somebody", by: "somebody" },
);

/** A deployment somewhere on its way. */
const anyModel = fc
  .record({
    ...{ spec: anySpec, units: anyUnits, behaviour: anyBehaviour, looks: fc.nat(60) },
    commands: fc.array(fc.tuple(fc.nat(60), anyCommand), { maxLength: 3 }),
    rules: fc.record({ failureBudget: fc.constantFrom(0, 0.3, 1) }),
    isJudged: fc.boolean(),
  })
  .map(({ looks, commands, isJudged, ...options }) => {
    const model = new Model({ ...options, ...(isJudged && { verdict: pass }) });
    for (let look = 0; look < looks && !isEnded(model.state); look++) {
      for (const [at, command] of commands) if (at === look) model.tell(command);
      model.look();
    }
    return model;
  });

const check = (property: (model: Model) => void) =>
  fc.assert(fc.property(anyModel, property), { numRuns: 200 });

describe("a decision", () => {
  test("is the same for the same state and facts, and says when to look again until the end", () =>
    check((model) => {
      const { facts } = model;
      const decision = decide(model.state, facts);
      assert.deepEqual(decide(model.state, facts), decision);
      const after = decision.events.reduce((state, event) => fold(state, event, facts.now), model.state);
      assert.equal(decision.wakeAt === undefined, isEnded(after));
      if (isEnded(model.state)) assert.deepEqual(decision, { events: [] });
    }));

  test("writes only what changes something", () =>
    check((model) => {
      let { state } = model;
      for (const event of decide(state, model.facts).events) {
        const after = fold(state, event, model.now);
        assert.notDeepEqual(after, state, event.type);
        state = after;
      }
    }));

  test("leads to an end from everywhere, in a bounded number of events, once people do what is asked of them", () =>
    check((model) => {
      const before = model.events.length;
      for (let look = 0; look < 20_000 && !isEnded(model.state); look++) {
        model.look();
        if (model.state.status === "held") model.tell({ type: "promoted", by: "somebody", full: false });
      }
      assert.ok(isEnded(model.state), model.state.status);
      const { plan } = model.state;
      assert.ok(model.events.length - before < 50 + 8 * plan.length + 4 * 40);
    }));

  test("takes a deployment back from everywhere, frozen, paused or promoted, and touches nothing when nothing ran", () =>
    check((model) => {
      if (model.state.settling || isEnded(model.state)) return;
      model.gates = {
        ...open,
        freeze: "It is Friday.",
        approval: "open",
        schedule: "later",
        queue: "another",
      };
      model.tell({ type: "held", reason: "manual" });
      model.tell({ type: "promoted", by: "somebody", full: true });
      model.tell({ type: "rollback", cause: "manual", reason: "somebody" });
      const { generation } = model.state;
      const effects = model.effects.length;
      model.run(1_000);
      assert.equal(model.state.status, generation === 0 ? "cancelled" : "rolled_back");
      if (generation === 0) assert.equal(model.effects.length, effects);
      assert.deepEqual(model.exposed, []);
    }));

  test("does nothing once it has ended, whatever is asked", () =>
    check((model) => {
      model.run(500);
      if (!isEnded(model.state)) return;
      model.tell({ type: "rollback", cause: "manual", reason: "too late" });
      assert.deepEqual(decide(model.state, model.facts), { events: [] });
    }));

  test("does not go on while it is paused, nor while it is frozen before more are exposed", () =>
    check((model) => {
      const { state } = model;
      if (state.rollback || state.settling || isEnded(state) || state.startedAt === undefined) return;
      const isPaused = state.holds.some(({ reason }) => reason === "manual");
      if (!isPaused) model.gates = { ...open, freeze: "It is Friday." };
      const exposed = model.exposed.length;
      for (let look = 0; look < 50; look++) model.look();
      if (isPaused && !model.state.rollback) assert.equal(model.state.step, state.step);
      assert.ok(model.exposed.length <= exposed);
    }));
});

describe("every strategy", () => {
  for (const units of [0, 1, 10])
    test(`brings the new version to all of ${units} units that take it`, () =>
      fc.assert(
        fc.property(automatic, (spec) => {
          const model = new Model({ spec, units, verdict: pass }).run();
          assert.equal(model.state.status, "succeeded");
          assert.equal(model.state.bound, SPAN);
          assert.equal(model.exposed.length, units);
        }),
      ));

  test("takes a version back that fails, paused or not", () =>
    fc.assert(
      fc.property(automatic, anyUnits, fc.boolean(), fc.nat(5), (spec, units, isPaused, step) => {
        const model = new Model({ spec, units, verdict: pass }).runTo((state) => state.step >= step);
        if (isEnded(model.state) || model.state.settling || model.state.generation === 0) return;
        if (isPaused) model.tell({ type: "held", reason: "manual" });
        model.verdict = { outcome: "fail", reasons: ["too many errors"] };
        model.run(100);
        assert.equal(model.state.status, "rolled_back");
        assert.equal(model.state.rollback?.cause, "judge");
      }),
    ));

  test("lets one unit at most end that a version ends, whatever the budget", () =>
    fc.assert(
      fc.property(
        automatic,
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (spec, units, failureBudget) => {
          const model = new Model({
            spec,
            units,
            behaviour: () => "crashes",
            rules: { failureBudget },
          }).run();
          assert.equal(model.state.status, "rolled_back");
          assert.equal(model.ended.size, 1);
        },
      ),
    ));

  test("lets another unit try when the first one is gone before its time is over", () =>
    fc.assert(
      fc.property(automatic, fc.integer({ min: 2, max: 20 }), (spec, units) => {
        const model = new Model({ spec, units, verdict: pass }).runTo(stepOf("bake"));
        const [first] = model.exposed;
        model.leave(first!);
        model.runTo(({ step }) => step === 2);
        const [second, ...others] = model.exposed;
        assert.ok(second !== undefined && second !== first && others.length === 0);
        const watched = spec.strategy === "blue-green" ? spec.verifySeconds : spec.probeSeconds;
        assert.ok(model.state.stepAt - model.state.appliedAt! >= watched * 1_000);
        assert.equal(model.run().state.status, "succeeded");
      }),
    ));

  test("lets no more units be on their way than its limit", () =>
    fc.assert(
      fc.property(automatic, fc.integer({ min: 1, max: 200 }), anyBehaviour, (spec, units, behaviour) => {
        if (spec.strategy !== "rolling" && spec.strategy !== "direct") return;
        const model = new Model({
          spec,
          units,
          behaviour,
          verdict: pass,
          rules: { failureBudget: 0.5 },
        }).run();
        const { concurrency, batchSize, maxUnavailable } = spec;
        const limit = spec.strategy === "direct" ? concurrency : Math.min(batchSize, maxUnavailable);
        assert.ok(model.onTheirWay <= limit, `${model.onTheirWay} of ${limit}`);
      }),
    ));

  test("counts the silent as failed when their time is over, and goes on within the budget", () => {
    for (const [failureBudget, status] of [
      [0, "rolled_back"],
      [0.5, "succeeded"],
    ] as const)
      for (const strategy of ["direct", "canary", "rolling", "emergency"] as const) {
        const spec = { ...base, strategy, concurrency: 1 };
        const behaviour = (unit: string) => (unit === "unit-3" || unit === "unit-4" ? "silent" : "applies");
        const model = new Model({ spec, units: 10, behaviour, rules: { failureBudget } }).run();
        assert.equal(model.state.status, status, `${strategy} ${failureBudget}`);
      }
  });
});

const base: StrategySpec = {
  ...{
    strategy: "canary",
    phases: [10, 30, 50, 100],
    bakeSeconds: 5,
    bakeMaxSeconds: 20,
    ackTimeoutSeconds: 3,
  },
  ...{
    probeSeconds: 1,
    concurrency: 3,
    batchSize: 2,
    maxUnavailable: 2,
    intervalSeconds: 1,
    smoke: undefined,
  },
  ...{ verifySeconds: 1, keepWarmSeconds: 5, split: 50, isManual: false },
};
const stepOf = (kind: string) => (state: State) => state.plan[state.step]?.kind === kind;

describe("a probe", () => {
  const rules = { failureBudget: 0.9 };

  test("of which nothing is heard is followed by nobody before it is known whether it lives", () => {
    let first: string | undefined;
    const behaviour = (unit: string) => {
      first ??= model.exposed[0];
      return unit === first ? "silent" : "applies";
    };
    const model: Model = new Model({ spec: base, units: 20, rules, verdict: pass, behaviour });
    model.unproven = 1;
    model.run(200);
    assert.deepEqual([model.state.status, model.exposed.length], ["running", 1]);
    model.unproven = 0;
    assert.ok(model.run(50).exposed.length > 1);
  });

  test("has passed when it was heard of after it said that it runs the version", () => {
    const model = new Model({ spec: base, units: 20, rules, verdict: pass });
    model.unproven = 1;
    model.run(200);
    assert.deepEqual([model.state.step, model.exposed.length], [1, 1]);
    model.unproven = 0;
    assert.equal(model.run().state.status, "succeeded");
  });
});

describe("a bake", () => {
  const baking = (options: Partial<ModelOptions> = {}) =>
    new Model({ spec: base, units: 0, ...options }).runTo(stepOf("bake"));

  test("passes at once with a verdict once its time is over, and without figures when the policy allows it", () => {
    for (const verdict of [pass, undefined]) {
      const model = baking(verdict && { verdict });
      const { step, stepAt } = model.state;
      model.runTo((state) => state.step > step);
      assert.ok(model.state.stepAt - stepAt >= 5_000 && model.state.stepAt - stepAt < 5_100);
    }
  });

  test("waits for figures to its limit, then does as the policy says", () => {
    const verdict: Verdict = { outcome: "insufficient", reasons: ["too few requests"] };
    for (const [policy, status] of [
      ["pass", "succeeded"],
      ["rollback", "rolled_back"],
      ["hold", "held"],
    ] as const) {
      const model = baking({ verdict, rules: { onInsufficient: policy } });
      const { stepAt } = model.state;
      model.run(300);
      assert.equal(model.state.status, status);
      assert.ok(model.now - stepAt >= 20_000);
    }
  });

  test("does not end while nobody sees the units", () => {
    const model = baking({ verdict: pass });
    const { step } = model.state;
    model.isReachable = false;
    for (let look = 0; look < 100; look++) model.look();
    assert.equal(model.state.step, step);
  });

  test("stands still while it is held", () => {
    const model = baking({ verdict: pass });
    const { step } = model.state;
    model.now = model.state.stepAt + 2_000;
    model.tell({ type: "held", reason: "manual" });
    model.now += 60_000;
    model.tell({ type: "released", reason: "manual", by: "somebody" });
    assert.equal(elapsedOf(model.state, model.now), 2_000);
    const released = model.now;
    model.runTo((state) => state.step > step);
    assert.ok(model.now - released >= 3_000 && model.now - released < 3_200);
  });
});

test("blue-green exposes nobody before its switch, and asks the new version first", () => {
  const spec = {
    ...base,
    strategy: "blue-green" as const,
    smoke: { path: "/", requests: 1 },
    isManual: true,
  };
  const model = new Model({ spec, units: 0, verdict: pass });
  model.runTo(({ status }) => status === "held");
  assert.deepEqual([model.state.bound, model.effects], [0, ["expose", "smoke"]]);
  assert.equal(
    model.state.step,
    model.state.plan.findIndex(({ kind }) => kind === "gate"),
  );
  for (let look = 0; look < 20; look++) model.look();
  assert.equal(model.state.bound, 0);
  model.tell({ type: "promoted", by: "somebody", full: false });
  assert.equal(model.run().state.status, "succeeded");
});

test("of counted units blue-green brings the version to one, and to nobody else before its switch", () => {
  const spec = { ...base, strategy: "blue-green" as const, isManual: true };
  const model = new Model({ spec, units: 10, verdict: pass });
  model.runTo(({ status }) => status === "held");
  for (let look = 0; look < 20; look++) model.look();
  assert.equal(model.exposed.length, 1);
  model.tell({ type: "promoted", by: "somebody", full: false });
  assert.equal(model.run().state.status, "succeeded");
});

test("an A/B test ends with its winner, after its time", () => {
  const spec = { ...base, strategy: "ab" as const };
  for (const [winner, status] of [
    ["canary", "succeeded"],
    ["control", "rolled_back"],
  ] as const) {
    const model = new Model({ spec, units: 10, verdict: { outcome: "pass", reasons: [], winner } }).run();
    assert.equal(model.state.status, status);
  }
  const open = new Model({ spec, units: 10, verdict: { outcome: "inconclusive", reasons: ["neither"] } }).run(
    300,
  );
  assert.deepEqual(
    open.state.holds.map(({ reason }) => reason),
    ["inconclusive"],
  );
});

test("a group ends together, and rolls back in its order", () => {
  const model = new Model({ spec: { ...base, strategy: "direct", bakeSeconds: 0 }, units: 3 });
  model.gates = { ...open, group: { state: "pending", detail: "the other one is not there yet" } };
  model.runTo(stepOf("retire")).run(20);
  assert.deepEqual(
    model.state.holds.map(({ reason }) => reason),
    ["dependency"],
  );
  model.gates = { ...open, group: { state: "failed", detail: "the other one failed" }, mayRollBack: false };
  const effects = model.effects.length;
  model.run(20);
  assert.equal(model.state.rollback?.cause, "group");
  assert.equal(model.effects.length, effects);
  model.gates = { ...model.gates, mayRollBack: true };
  assert.equal(model.run(20).state.status, "rolled_back");
});

test("a group waits for its longest warm time, and once one has settled no other goes back", () => {
  const model = new Model({ spec: { ...base, strategy: "direct", bakeSeconds: 0 }, units: 3 });
  model.runTo(stepOf("retire"));
  const { stepAt } = model.state;
  model.gates = { ...open, group: { state: "end", detail: "", warmMs: 9_000 } };
  while (model.now < stepAt + 8_000) model.look();
  assert.equal(model.state.settling, undefined);
  model.gates = { ...open, group: { state: "settled", detail: "" } };
  model.verdict = { outcome: "fail", reasons: ["too late"] };
  assert.equal(model.run(5).state.status, "succeeded");
  const behind = new Model({ spec: base, units: 3, verdict: pass }).runTo(stepOf("bake"));
  behind.gates = model.gates;
  behind.verdict = model.verdict;
  assert.equal(behind.run(100).state.status, "rolled_back");
});

test("a gate that closes before the start is told of, and opens by itself", () => {
  const model = new Model({ spec: base, units: 3, verdict: pass });
  model.gates = { ...open, approval: "open", schedule: "at noon", queue: "another", freeze: "It is Friday." };
  model.run(10);
  assert.deepEqual(
    model.state.holds.map(({ reason }) => reason),
    ["approval", "schedule", "freeze", "queue"],
  );
  assert.deepEqual(model.effects, []);
  model.gates = { ...open, schedule: "at noon" };
  model.run(2);
  assert.deepEqual(
    model.state.holds.map(({ reason }) => reason),
    ["schedule"],
  );
  model.gates = open;
  assert.equal(model.run().state.status, "succeeded");
  for (const gates of [
    { ...open, approval: "refused" },
    { ...open, dependency: { state: "failed", detail: "gone" } },
    { ...open, group: { state: "failed", detail: "gone" } },
  ] as Gates[]) {
    const refused = new Model({ spec: base, units: 3 });
    refused.gates = gates;
    assert.equal(refused.run().state.status, "cancelled");
    assert.deepEqual(refused.effects, []);
  }
});

test("what has begun to settle is settled, whatever fails then", () => {
  const model = new Model({ spec: { ...base, strategy: "direct", bakeSeconds: 0 }, units: 3 });
  model.runTo(stepOf("retire"));
  model.tell({ type: "settling", version: "to" });
  model.verdict = { outcome: "fail", reasons: ["too late"] };
  model.gates = { ...open, freeze: "It is Friday.", group: { state: "failed", detail: "gone" } };
  model.tell({ type: "rollback", cause: "manual", reason: "too late" });
  assert.equal(model.run(5).state.status, "succeeded");
});
