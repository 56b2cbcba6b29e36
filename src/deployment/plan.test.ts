import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { countOfShare } from "../core/cohort.ts";
import { anySpec } from "./plan.testing.ts";
import { curve, type Inventory, planOf, type Step, type StrategySpec } from "./plan.ts";

const anyInventory: fc.Arbitrary<Inventory> = fc.record({
  kind: fc.constantFrom("counted", "shares"),
  units: fc.nat(300),
});

type Expose = Extract<Step, { kind: "expose" }>;
const isExpose = (step: Step): step is Expose => step.kind === "expose";
const exposing = (plan: readonly Step[]) => plan.filter(isExpose);

const check = (property: (spec: StrategySpec, inventory: Inventory, plan: readonly Step[]) => void) =>
  fc.assert(
    fc.property(anySpec, anyInventory, (spec, inventory) => {
      property(spec, inventory, planOf(spec, inventory));
    }),
  );

describe("a plan", () => {
  test("exposes more with each step, everybody at the last, and ends with retire", () =>
    check((_spec, _inventory, plan) => {
      const shares = plan.flatMap((step) =>
        step.kind === "switch" ? [1] : isExpose(step) ? [step.share] : [],
      );
      for (const [at, share] of shares.entries()) if (at > 0) assert.ok(share >= shares[at - 1]!);
      assert.equal(shares.at(-1), 1);
      assert.deepEqual(
        plan.map(({ kind }, index) => kind === "retire" && index),
        plan.map((_, index) => index === plan.length - 1 && index),
      );
    }));

  test("has no step that is longer than its limit, and no time below zero", () =>
    check((_spec, _inventory, plan) => {
      for (const step of plan)
        if (step.kind === "bake") assert.ok(step.maxMs >= step.minMs && step.minMs >= 0);
    }));

  test("lets one counted unit try it first and watches it, in every strategy", () =>
    check((_spec, { kind }, [first, second]) => {
      const isTried = first?.kind === "expose" && first.count === 1 && second?.kind === "bake";
      assert.equal(isTried, kind === "counted");
    }));

  test("of blue-green exposes nobody before the switch, but the one counted unit", () =>
    check(({ strategy }, { kind }, plan) => {
      if (strategy !== "blue-green") return;
      assert.deepEqual(
        exposing(plan).map(({ share, count }) => [share, count]),
        [[0, kind === "counted" ? 1 : undefined]],
      );
      assert.equal(plan.filter(({ kind }) => kind === "switch").length, 1);
    }));

  test("of rolling exposes at most a batch more at once, in a bounded number of steps", () =>
    check(({ strategy, batchSize, maxUnavailable }, { kind, units }, plan) => {
      if (strategy !== "rolling") return;
      const size = Math.min(batchSize, maxUnavailable);
      const steps = exposing(plan).filter(({ count }) => count === undefined);
      for (const { concurrency } of steps) assert.equal(concurrency, size);
      assert.ok(steps.length <= 200);
      if (kind === "shares" || units <= 200) {
        const total = kind === "shares" ? 100 : Math.max(1, units);
        const counts = steps.map(({ share }) => countOfShare(share, total));
        for (const [at, count] of counts.entries()) assert.ok(count - (counts[at - 1] ?? 0) <= size);
      }
    }));

  test("of rolling over more units than a plan may have steps still has them all", () => {
    const spec = fc.sample(anySpec, { numRuns: 1, seed: 1 })[0]!;
    const plan = planOf(
      { ...spec, strategy: "rolling", batchSize: 3, maxUnavailable: 1 },
      { kind: "counted", units: 10_000 },
    );
    const shares = exposing(plan).slice(1);
    assert.ok(shares.length === 200 && shares.at(-1)!.share === 1);
    assert.ok(shares.every(({ concurrency }) => concurrency === 1));
  });
});

test("a curve ascends to 100", () => {
  assert.deepEqual(curve("linear", 30), [30, 60, 90, 100]);
  assert.deepEqual(curve("exponential", 10), [10, 20, 40, 80, 100]);
  assert.deepEqual(curve("linear", 100), [100]);
  fc.assert(
    fc.property(
      fc.constantFrom("linear", "exponential"),
      fc.integer({ min: 1, max: 100 }),
      (kind, growth) => {
        const phases = curve(kind, growth);
        assert.equal(phases.at(-1), 100);
        for (const [at, phase] of phases.entries()) assert.ok(phase > (phases[at - 1] ?? 0));
      },
    ),
  );
});
