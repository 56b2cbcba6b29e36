import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../core/random.ts";
import {
  absorb,
  atOnce,
  type Evidence,
  type Look,
  lasting,
  noEvidence,
  rateAbove,
  rateBelow,
  ratioAbove,
  ratioBelow,
} from "./sequential.ts";

const tolerance = 0.05;
const anyLook = fc.record({
  canaryEvents: fc.nat(50),
  controlEvents: fc.nat(200),
  share: fc.nat(1000).map((thousandths) => thousandths / 1000),
});
/** Looks two seconds apart, so that several make a stretch. */
const fold = (looks: readonly Omit<Look, "at">[]): Evidence =>
  looks.reduce((before, look, index) => absorb(before, { ...look, at: index * 2000 }, tolerance), noEvidence);
const close = (a: number, b: number) =>
  assert.ok(Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a)), `${a} ${b}`);

describe("the sequential test", () => {
  test("of swapped cohorts says the opposite", () => {
    fc.assert(
      fc.property(fc.array(anyLook, { maxLength: 20 }), (looks) => {
        const swapped = looks.map(({ canaryEvents, controlEvents, share }) => ({
          ...{ canaryEvents: controlEvents, controlEvents: canaryEvents, share: 1 - share },
        }));
        for (const logs of [atOnce, lasting]) {
          const [one, other] = [logs(fold(looks), tolerance), logs(fold(swapped), tolerance)];
          close(one.worse, other.better);
          close(one.better, other.worse);
        }
      }),
    );
  });

  test("finds a look with more of the canary's events worse, and its rate higher", () => {
    fc.assert(
      fc.property(
        fc.array(anyLook, { maxLength: 10 }),
        anyLook,
        fc.integer({ min: 1, max: 50 }),
        (looks, last, more) => {
          fc.pre(last.share > 0 && last.share < 1);
          const before = fold(looks);
          const less = absorb(before, { ...last, at: 1e6 }, tolerance);
          const canaryEvents = last.canaryEvents + more;
          const grown = absorb(before, { ...last, canaryEvents, at: 1e6 }, tolerance);
          for (const logs of [atOnce, lasting])
            assert.ok(logs(grown, tolerance).worse >= logs(less, tolerance).worse - 1e-9);
          assert.ok(ratioAbove(grown, 0.05) >= ratioAbove(less, 0.05) - 1e-9);
          assert.ok(ratioBelow(grown, 0.05) >= ratioBelow(less, 0.05) - 1e-9);
        },
      ),
    );
  });

  test("expects no evidence when nothing differs, whatever the share: the mean e-value is 1", () => {
    // Exactly, over all that can happen in one look: x of n given is binomial.
    for (const share of [0.01, 0.1, 0.5, 0.9, 0.99]) {
      for (const n of [1, 5, 40]) {
        let mean = 0;
        for (let x = 0; x <= n; x++) {
          const look = { at: 0, canaryEvents: x, controlEvents: n - x, share };
          const { worse } = atOnce(absorb(noEvidence, look, 0), 0);
          mean += Math.exp(
            Math.log(binomial(n, x)) + x * Math.log(share) + (n - x) * Math.log1p(-share) + worse,
          );
        }
        assert.ok(Math.abs(mean - 1) < 1e-9, `share ${share}, ${n} events: ${mean}`);
      }
    }
  });

  test("keeps to its rate when shares and rates change from look to look (seed 5)", () => {
    const random = seededRandom(5);
    const runs = 1000;
    const alpha = 0.05;
    let crossed = 0;
    for (let run = 0; run < runs; run++) {
      let state = noEvidence;
      for (let look = 0; look < 60; look++) {
        const share = 0.05 + 0.9 * random.number();
        const n = random.below(20);
        let x = 0;
        for (let i = 0; i < n; i++) if (random.number() < share) x++;
        state = absorb(state, { at: look * 1000, canaryEvents: x, controlEvents: n - x, share }, 0);
        if (atOnce(state, 0).worse < Math.log(1 / alpha)) continue;
        crossed++;
        break;
      }
    }
    assert.ok(crossed <= runs * alpha, `${crossed} of ${runs}`);
  });

  test("knows a ratio to lie where it does (seed 6)", () => {
    const random = seededRandom(6);
    const share = 0.3;
    const expected = (2 * share) / (2 * share + 1 - share);
    const looks = Array.from({ length: 200 }, () => {
      let x = 0;
      for (let i = 0; i < 20; i++) if (random.number() < expected) x++;
      return { canaryEvents: x, controlEvents: 20 - x, share };
    });
    const state = fold(looks);
    assert.ok(ratioAbove(state, 0.05) < 2 && ratioAbove(state, 0.05) > 1.5);
    assert.ok(ratioBelow(state, 0.05) > 2 && ratioBelow(state, 0.05) < 2.7);
  });
});

describe("what lasts", () => {
  test("is never more than what there is at once, and a stretch of it at most 4 to 1", () => {
    fc.assert(
      fc.property(fc.array(anyLook, { maxLength: 20 }), (looks) => {
        const state = fold(looks);
        const [now, kept] = [atOnce(state, tolerance), lasting(state, tolerance)];
        assert.ok(kept.worse <= now.worse + 1e-9 && kept.better <= now.better + 1e-9);
        const stretches = Math.ceil((looks.length * 2000) / 10_000);
        assert.ok(kept.worse <= stretches * Math.log(4) + 1e-9);
      }),
    );
  });
});

describe("the bounds of one rate", () => {
  test("lie around it, closer with more requests, and are finite for any counts", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (requests, part) => {
          const events = Math.floor(requests * part);
          const [low, high] = [rateAbove(events, requests, 0.05), rateBelow(events, requests, 0.05)];
          assert.ok(low >= 0 && high <= 1 && low <= events / requests && high >= events / requests);
          assert.ok(rateBelow(events * 10, requests * 10, 0.05) <= high + 1e-9);
        },
      ),
    );
  });

  test("are what the formula gives where it can be solved: no event in n", () => {
    for (const n of [1, 10, 180, 5000])
      assert.ok(Math.abs(rateBelow(0, n, 0.05) - (1 - (0.05 / (n + 1)) ** (1 / n))) < 1e-9);
  });
});

function binomial(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return ways;
}
