import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Random, seededRandom } from "../../core/random.ts";
import type { Counts, Sample } from "../target.ts";
import { inflationOf, type UnitTotals } from "./clusters.ts";
import { begin, type JudgeState, look, replay, verdictOf } from "./judge.ts";
import { type Analysis, type AnalysisPolicy, policyOf } from "./policy.ts";

const policy = policyOf();
const lookMs = 10_000;
const boundsMs = [10, 25, 50, 100, 250, 500, 1000];

const counts = (requests: number, errors: number, rest: Partial<Counts> = {}): Counts => ({
  ...{ requests, errors },
  ...rest,
});
const samplesOf = (looks: number, of: (index: number) => Omit<Sample, "at">): Sample[] =>
  Array.from({ length: looks }, (_, index) => ({ at: (index + 1) * lookMs, ...of(index) }));
const fold = (with_: AnalysisPolicy, samples: readonly Sample[], split?: number): JudgeState =>
  samples.reduce((state, sample) => look(state, with_, sample), begin(with_, split));

const errorsAmong = (random: Random, requests: number, rate: number) => {
  let errors = 0;
  for (let i = 0; i < requests; i++) if (random.number() < rate) errors++;
  return errors;
};

/** Latencies whose share above 250 ms is `slow`, and the rest spread over the buckets below. */
const latencies = (random: Random, requests: number, slow: number) => {
  const above = errorsAmong(random, requests, slow);
  const rest = requests - above;
  const [half, most] = [Math.floor(rest / 2), Math.floor(rest * 0.96)];
  return [half, most - half, rest - most, 0, 0, above, 0, 0];
};

const anyCounts = fc
  .record({
    requests: fc.oneof(fc.nat(1000), fc.constantFrom(0, 1, 1e12, Number.MAX_SAFE_INTEGER)),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    slow: fc.double({ min: 0, max: 1, noNaN: true }),
    hasLatency: fc.boolean(),
  })
  .map(({ requests, part, slow, hasLatency }): Counts => {
    const above = Math.floor(requests * slow);
    return counts(requests, Math.floor(requests * part), {
      ...(hasLatency ? { latency: [requests - above, 0, 0, 0, 0, above, 0, 0] } : { slow: above }),
      custom: { orders: Math.floor(requests * (1 - part)) },
    });
  });

const anySamples = fc
  .array(fc.record({ canary: anyCounts, control: anyCounts }), { maxLength: 30 })
  .map((looks) => samplesOf(looks.length, (index) => ({ ...looks[index]!, latencyBoundsMs: boundsMs })));

const anyPolicy = fc
  .record({
    minRequests: fc.integer({ min: 1, max: 500 }),
    warmUpSeconds: fc.nat(60),
    higherIs: fc.constantFrom("worse" as const, "better" as const),
    errorRateMax: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  })
  .map(({ minRequests, warmUpSeconds, higherIs, errorRateMax }) =>
    policyOf({
      ...{ minRequests, warmUpSeconds, custom: { orders: { higherIs } } },
      ...(errorRateMax !== undefined && { errorRateMax }),
    }),
  );

function assertFinite(value: unknown, path: string): void {
  if (typeof value === "number") assert.ok(Number.isFinite(value), `${path} is ${value}`);
  else if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) assertFinite(inner, `${path}.${key}`);
}

describe("the judge, whatever is counted", () => {
  test("says the same of the same samples, in one go or from state that was stored in between", () => {
    fc.assert(
      fc.property(anyPolicy, anySamples, (given, samples) => {
        const stored = samples.reduce(
          (text, sample) => JSON.stringify(look(JSON.parse(text), given, sample)),
          JSON.stringify(begin(given)),
        );
        const elapsedMs = Math.max(0, samples.length - 1) * lookMs;
        assert.deepEqual(verdictOf(JSON.parse(stored), given, { elapsedMs }), replay(given, samples));
      }),
    );
  });

  test("has only finite numbers in its state and its verdict", () => {
    fc.assert(
      fc.property(anyPolicy, anySamples, (given, samples) => {
        const state = fold(given, samples, 0.5);
        assertFinite(state, "state");
        assertFinite(verdictOf(state, given, { elapsedMs: 1e9 }), "verdict");
      }),
    );
  });

  test("does not go back on a failure", () => {
    const bad = samplesOf(5, () => ({ canary: counts(1000, 900), control: counts(1000, 0) }));
    fc.assert(
      fc.property(anyPolicy, anySamples, (given, more) => {
        assert.equal(replay(given, [...bad, ...more]).outcome, "fail");
      }),
      { numRuns: 50 },
    );
  });

  test("is not moved by looks in which nobody asked the canary", () => {
    const bad = samplesOf(20, () => ({ canary: counts(0, 0), control: counts(1000, 500) }));
    const verdict = replay(policy, bad);
    assert.equal(verdict.outcome, "insufficient");
    assert.equal(verdict.evidence[0]!.bound, null);
  });
});

describe("the judge of a canary", () => {
  const random = seededRandom(7);
  const steady = (requests: number, share: number, canaryRate: number, controlRate: number) =>
    samplesOf(120, () => {
      const canary = Math.round(requests * share);
      const control = requests - canary;
      return {
        canary: counts(canary, errorsAmong(random, canary, canaryRate)),
        control: counts(control, errorsAmong(random, control, controlRate)),
      };
    });

  test("does not fail versions that are no worse, over 120 looks (seed 7)", () => {
    const runs = 100;
    const failed = Array.from({ length: runs }, () => replay(policy, steady(500, 0.2, 0.01, 0.01)));
    assert.ok(failed.filter(({ outcome }) => outcome === "fail").length <= runs * 0.03);
    assert.ok(failed.filter(({ outcome }) => outcome === "pass").length >= runs * 0.9);
  });

  test("finds three times the errors (seed 7)", () => {
    const verdicts = Array.from({ length: 20 }, () => replay(policy, steady(500, 0.2, 0.03, 0.01)));
    for (const { outcome, reasons } of verdicts) {
      assert.equal(outcome, "fail");
      assert.match(reasons[0]!, /^errors: .* against .* of the control/);
    }
  });

  test("finds a tail three times as long, though not one request fails", () => {
    const slower = samplesOf(60, () => ({
      canary: counts(200, 0, { latency: latencies(random, 200, 0.03) }),
      control: counts(800, 0, { latency: latencies(random, 800, 0.01) }),
      latencyBoundsMs: boundsMs,
    }));
    const { outcome, reasons } = replay(policy, slower);
    assert.equal(outcome, "fail");
    assert.match(reasons[0]!, /^slower than the p9[59] of the control/);
  });

  test("does not take slow requests of the warm-up for a regression", () => {
    const cold = samplesOf(30, (index) => ({
      canary: counts(200, 0, { latency: latencies(random, 200, index < 6 ? 0.5 : 0.01) }),
      control: counts(800, 0, { latency: latencies(random, 800, 0.01) }),
      latencyBoundsMs: boundsMs,
    }));
    assert.equal(replay(policyOf({ warmUpSeconds: 60 }), cold).outcome, "pass");
    assert.equal(replay(policyOf({ warmUpSeconds: 0 }), cold).outcome, "fail");
  });

  test("does not fail for a short time that was bad, and does when it lasts", () => {
    const badFor = (looks: number) =>
      samplesOf(60, (index) => ({
        canary: counts(1000, index >= 20 && index < 20 + looks ? 40 : 1),
        control: counts(9000, 9),
      }));
    assert.equal(replay(policy, badFor(2)).outcome, "pass");
    assert.equal(replay(policy, badFor(6)).outcome, "fail");
  });

  test("fails at once when the canary is far beyond what is allowed: 2 s at 500 requests a second", () => {
    const quarters = (of: (index: number) => number) =>
      Array.from({ length: 8 }, (_, index) => ({
        ...{ at: (index + 1) * 250, canary: counts(13, of(index)), control: counts(112, 0) },
      }));
    const failedAt = quarters(() => 3).findIndex(
      (_, index, all) => fold(policy, all.slice(0, index + 1)).failed[0],
    );
    assert.ok(failedAt >= 0 && failedAt < 6, `after ${(failedAt + 1) * 250} ms`);
    assert.deepEqual(
      fold(
        policy,
        quarters((index) => (index === 0 ? 3 : 0)),
      ).failed,
      [],
    );
  });

  test("wants enough requests of both, and says which are missing", () => {
    const few = samplesOf(3, () => ({ canary: counts(10, 0), control: counts(90, 0) }));
    const { outcome, reasons } = replay(policy, few);
    assert.equal(outcome, "insufficient");
    assert.match(reasons[0]!, /the new version has had 30 requests, 200 are needed/);
  });

  test("is not sure of a version that it cannot tell from one that is much worse", () => {
    const common = samplesOf(5, () => ({ canary: counts(50, 10), control: counts(50, 10) }));
    const { outcome, reasons } = replay(policy, common);
    assert.equal(outcome, "inconclusive");
    assert.match(reasons[0]!, /errors may be worse by up to/);
  });
});

describe("units", () => {
  /** Of 1,000 requests in ten units: these many errors each. */
  const tenth = (errors: readonly number[]): Counts =>
    counts(
      1000,
      errors.reduce((sum, each) => sum + each, 0),
      { units: errors.map((each) => [100, each] as const) },
    );
  const quiet = (index: number) => Array.from({ length: 10 }, (_, unit) => (unit === index % 10 ? 1 : 0));
  const control = (index: number) => {
    const units = Array.from({ length: 20 }, (_, unit) => [450, (unit + index) % 2 === 0 ? 1 : 0] as const);
    return counts(9000, 10, { units });
  };
  const badFrom20 = (bad: readonly number[], looks = 60) =>
    samplesOf(looks, (index) => ({
      canary: tenth(index >= 20 ? bad : quiet(index)),
      control: control(index),
    }));

  test("one bad unit of ten is not taken for a bad version, and a version that is bad on all of them is found", () => {
    const one = replay(policy, badFrom20([0, 0, 0, 30, 0, 0, 0, 0, 0, 0]));
    assert.notEqual(one.outcome, "fail");
    assert.ok(one.evidence[0]!.inflation! > 10, "and the verdict says how little it counts");
    const all = replay(policy, badFrom20([3, 3, 3, 3, 3, 3, 3, 3, 3, 3]));
    assert.equal(all.outcome, "fail");
    const sums = badFrom20([0, 0, 0, 30, 0, 0, 0, 0, 0, 0]).map((sample) => ({
      ...sample,
      canary: counts(1000, sample.canary.errors),
    }));
    assert.equal(replay(policy, sums).outcome, "fail", "sums alone cannot tell");
  });

  test("nor is one unit that is slow, or counts what nobody else does, by itself", () => {
    const one = badFrom20([0, 0, 0, 30, 0, 0, 0, 0, 0, 0]);
    const named = policyOf({ custom: { timeouts: { higherIs: "worse" } } });
    for (const metric of ["slow", "custom.timeouts"]) {
      const seenAs = (isByUnit: boolean) => {
        const of = ({ requests, errors, units }: Counts): Counts => ({
          ...{ requests, errors: 0, slow: metric === "slow" ? errors : 0 },
          custom: { timeouts: metric === "slow" ? 0 : errors },
          units: units!.map(([own]) => [own, 0] as const),
          ...(isByUnit && { unitEvents: { [metric]: units!.map(([, events]) => events) } }),
        });
        return one.map(({ canary, control, ...rest }) => ({
          ...{ ...rest, canary: of(canary), control: of(control) },
        }));
      };
      const { outcome, evidence } = replay(named, seenAs(true));
      assert.notEqual(outcome, "fail", metric);
      assert.ok(evidence.find(({ name }) => name === metric)!.inflation! > 10, metric);
      assert.equal(replay(named, seenAs(false)).outcome, "fail", "sums alone cannot tell");
    }
  });

  test("neither is one bad server, whoever asked; and both ways of clusters count", () => {
    const one = badFrom20([0, 0, 0, 30, 0, 0, 0, 0, 0, 0]);
    const even = (errors: number) => Array.from({ length: 10 }, () => [100, errors / 10] as const);
    const served = ({ units, ...rest }: Counts): Counts => ({
      ...rest,
      units: even(rest.errors),
      servers: units!,
    });
    const samples = one.map((sample) => ({
      ...sample,
      canary: served(sample.canary),
      control: served(sample.control),
    }));
    assert.notEqual(replay(policy, samples).outcome, "fail");
    const scattered = { canary: one.at(-1)!.canary.units!, control: one.at(-1)!.control.units! };
    const once = inflationOf([scattered], 0.1);
    assert.equal(inflationOf([scattered, scattered], 0.1), 2 * once - 1);
    assert.equal(inflationOf([scattered, { canary: even(30), control: even(10) }], 0.1), once);
  });

  test("two bad units of ten are not over the limit of five points, ten that are as bad together are", () => {
    const two = badFrom20([40, 0, 0, 0, 0, 40, 0, 0, 0, 0]);
    assert.notEqual(replay(policyOf({ falseRollbackRate: 1e-6, tolerance: 1 }), two).outcome, "fail");
    const ten = badFrom20([8, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
    const { outcome, reasons } = replay(policyOf({ falseRollbackRate: 1e-6, tolerance: 1 }), ten);
    assert.equal(outcome, "fail");
    assert.match(reasons[0]!, /more than 5.00 % above it/);
  });

  test("scatter of independent requests costs next to nothing (seed 13)", () => {
    const random = seededRandom(13);
    const cohort = (units: number, requests: number) =>
      Array.from({ length: units }, () => [requests, errorsAmong(random, requests, 0.01)] as const);
    const inflations = Array.from({ length: 200 }, () =>
      inflationOf([{ canary: cohort(10, 300), control: cohort(20, 1000) }], 0.13),
    );
    assert.ok(inflations.every((one) => one >= 1 && one < 2));
    assert.ok(inflations.reduce((sum, one) => sum + one, 0) / inflations.length < 1.1);
    assert.equal(
      inflationOf([{ canary: [[300, 30]], control: cohort(1, 1000) }], 0.1),
      1,
      "one says nothing",
    );
    const three: UnitTotals = [
      [33, 30],
      [33, 0],
      [33, 0],
    ];
    const ofThree = inflationOf([{ canary: three, control: cohort(9, 1000) }], 0.1);
    assert.ok(ofThree > 15, `one bad unit of three is an event or two, not ${30 / ofThree}`);
  });
});

describe("limits", () => {
  const spike = (looks: number, rate: number, controlRate: number, requests = 1000) =>
    samplesOf(looks, () => ({
      canary: counts(requests, requests * rate),
      control: counts(requests, requests * controlRate),
    }));
  // So low a rate that the comparison by itself says nothing in a few looks.
  const limitsAlone = policyOf({ falseRollbackRate: 1e-6, tolerance: 1 });

  test("five points above the control's error rate in three windows is a failure", () => {
    assert.equal(replay(limitsAlone, spike(2, 0.46, 0.4)).outcome, "inconclusive");
    const { outcome, reasons } = replay(limitsAlone, spike(3, 0.46, 0.4));
    assert.equal(outcome, "fail");
    assert.match(
      reasons[0]!,
      /46.0 % against 40.0 % of the control, more than 5.00 % above it, in 3 windows/,
    );
    assert.notEqual(replay(limitsAlone, spike(3, 0.44, 0.4)).outcome, "fail");
  });

  test("a window is never smaller than the requests that a limit needs", () => {
    const samples = samplesOf(19, () => ({ canary: counts(10, 2), control: counts(90, 9) }));
    assert.equal(fold(limitsAlone, samples).limits.over, 0);
    const full = samplesOf(20, () => ({ canary: counts(10, 2), control: counts(90, 9) }));
    assert.equal(fold(limitsAlone, full).limits.over, 1);
  });

  test("a good window begins the count again", () => {
    const broken = spike(2, 0.46, 0.4);
    const samples = samplesOf(5, (index) => (index === 2 ? spike(1, 0.4, 0.4)[0]! : broken[0]!));
    assert.notEqual(replay(limitsAlone, samples).outcome, "fail");
  });

  test("a p95 of more than twice the control's is a failure, and so is one above an absolute limit", () => {
    const fast = [0, 90, 9, 1, 0, 0, 0, 0].map((count) => count * 10);
    const slow = [0, 0, 0, 900, 90, 10, 0, 0];
    const samples = samplesOf(5, () => ({
      canary: counts(1000, 0, { latency: slow }),
      control: counts(1000, 0, { latency: fast }),
      latencyBoundsMs: boundsMs,
    }));
    const { over, reasons } = fold(limitsAlone, samples).limits;
    assert.equal(over, 4, "latency of the first look is warm-up");
    assert.match(reasons[0]!, /p95 is \d+ ms against \d+ ms of the control, more than 2 times/);
    const absolute = policyOf({ ...(limitsAlone as Analysis), latencyMaxMs: 100 });
    const alone = samples.map(({ control: _, ...rest }) => ({ ...rest, control: counts(0, 0) }));
    assert.match(replay(absolute, alone).reasons[0]!, /above the limit of 100 ms/);
  });
});

describe("without a control", () => {
  const everybody = (looks: number, errors: number) =>
    samplesOf(looks, () => ({ canary: counts(1000, errors), control: counts(0, 0) }));

  test("nothing is said but by absolute limits, openly", () => {
    assert.equal(replay(policy, everybody(10, 0)).outcome, "insufficient");
    assert.equal(replay(policy, everybody(10, 0)).comparison, "none");
    const limited = policyOf({ errorRateMax: 0.02 });
    const { outcome, reasons, comparison } = replay(limited, everybody(10, 5));
    assert.deepEqual([outcome, comparison], ["pass", "limits"]);
    assert.match(reasons.join(), /there was no control/);
    assert.equal(replay(limited, everybody(3, 30)).outcome, "fail");
  });

  test("the control before stands in for the one that is gone", () => {
    const half = samplesOf(5, () => ({ canary: counts(500, 5), control: counts(500, 5) }));
    const later = (errors: number) =>
      [...half, ...everybody(10, errors)].map((sample, i) => ({ ...sample, at: i * lookMs }));
    const good = replay(policy, later(10));
    assert.deepEqual([good.outcome, good.comparison], ["pass", "before"]);
    assert.match(good.reasons.join(), /no control is left/);
    const bad = replay(policy, later(100));
    assert.equal(bad.outcome, "fail");
    assert.match(bad.reasons.join(), /of the control before, as no control is left/);
  });
});

describe("A/B", () => {
  const orders = policyOf({ custom: { orders: { higherIs: "better" } } });
  const random = seededRandom(11);
  const run = (canaryRate: number, controlRate: number, split = 0.5, real = 0.5, looks = 60) =>
    replay(
      orders,
      samplesOf(looks, () => {
        const canary = errorsAmong(random, 1000, real);
        const of = (requests: number, rate: number) =>
          counts(requests, 0, { custom: { orders: errorsAmong(random, requests, rate) } });
        return { canary: of(canary, canaryRate), control: of(1000 - canary, controlRate) };
      }),
      split,
    );

  test("says who is better, and nobody when they are the same (seed 11)", () => {
    assert.deepEqual([run(0.06, 0.04).outcome, run(0.06, 0.04).winner], ["pass", "canary"]);
    assert.deepEqual([run(0.04, 0.06).outcome, run(0.04, 0.06).winner], ["fail", "control"]);
    const same = run(0.05, 0.05);
    assert.deepEqual([same.outcome, same.winner], ["inconclusive", undefined]);
  });

  test("compares nothing when the versions did not get their shares", () => {
    const { outcome, winner, reasons } = run(0.06, 0.04, 0.5, 0.4);
    assert.deepEqual([outcome, winner], ["inconclusive", undefined]);
    assert.match(reasons[0]!, /shares of requests/);
  });

  test("names no winner at any look when they did not, however much better one is", () => {
    for (let looks = 1; looks <= 60; looks++)
      assert.equal(run(0.5, 0.2, 0.5, 0.75, looks).winner, undefined, `after ${looks} looks`);
  });
});
