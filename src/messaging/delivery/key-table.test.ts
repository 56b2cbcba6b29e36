import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KeyTable } from "./key-table.ts";

describe("the table of idempotency keys", () => {
  it("knows each key for the window, and at most a quarter longer", () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 400 }).map(String),
      passed: fc.integer({ min: 0, max: 30 }),
      place: fc.record({ partition: fc.integer({ min: 0, max: 511 }), offset: fc.nat({ max: 2 ** 40 }) }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const table = new KeyTable(1000);
        const model = new Map<string, { at: number; place: object }>();
        let now = 0;
        for (const { key, passed, place } of steps) {
          now += passed;
          const found = table.find(key, now);
          const known = model.get(key);
          if (known && now - known.at <= 1000) assert.deepEqual(found, { ...known.place });
          if (found && known) assert.ok(now - known.at <= 1250);
          if (!known) assert.equal(found, undefined);
          if (found) continue;
          table.add(key, place, now);
          model.set(key, { at: now, place });
        }
        now += 5000;
        assert.equal(table.find("0", now), undefined);
        assert.equal(table.size, 0);
      }),
    );
  });
});
