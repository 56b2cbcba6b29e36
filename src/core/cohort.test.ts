import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { boundOfCount, boundOfShare, isExposed, SPAN } from "./cohort.ts";

const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);

describe("cohorts", () => {
  test("of a share nest and have about its size", () => {
    const at = (share: number) =>
      new Set(users.filter((user) => isExposed("seed", user, boundOfShare(share))));
    const [small, large] = [at(0.1), at(0.3)];
    assert.ok(small.isSubsetOf(large));
    assert.ok(Math.abs(small.size - 2000) < 200 && Math.abs(large.size - 6000) < 300);
    assert.equal(at(0).size, 0);
    assert.equal(at(1).size, users.length);
  });

  test("of a count have exactly its size, and who is exposed stays so when others come", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 50 }),
        fc.uniqueArray(fc.string(), { maxLength: 50 }),
        fc.nat(60),
        (seed, units, others, count) => {
          const bound = boundOfCount(seed, units, count);
          const exposed = units.filter((unit) => isExposed(seed, unit, bound));
          // Two units at one position are exposed together; 2^32 positions make that rare, not impossible.
          assert.ok(exposed.length >= Math.min(count, units.length));
          const later = boundOfCount(seed, [...others, ...units.slice(1)], count, bound);
          assert.ok(later >= bound && later <= SPAN);
        },
      ),
    );
  });
});
