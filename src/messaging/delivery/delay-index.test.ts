import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DelayIndex, type Due } from "./delay-index.ts";

const byDue = (a: Due, b: Due) => a.due - b.due || a.id - b.id;

describe("the index of delayed messages", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ add: fc.integer({ min: 0, max: 1000 }), skip: fc.nat({ max: 40 }) }),
    },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat({ max: 500 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ take: fc.integer({ min: 0, max: 1000 }), limit: fc.nat({ max: 20 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ putBack: true }) },
  );

  it("gives out what a sorted list would", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const index = new DelayIndex();
        let model: Due[] = [];
        let id = 0;
        let last: Due[] = [];
        for (const one of steps) {
          if ("add" in one) {
            id += 1 + one.skip;
            model.push({ id, due: one.add });
            index.add({ id, due: one.add });
          } else if ("remove" in one) {
            const chosen = model[one.remove]?.id ?? id + 1;
            assert.equal(index.remove(chosen), model[one.remove] !== undefined);
            model = model.filter((other) => other.id !== chosen);
          } else if ("take" in one) {
            last = model
              .filter(({ due }) => due <= one.take)
              .sort(byDue)
              .slice(0, one.limit);
            assert.deepEqual(index.take(one.take, one.limit), last);
            model = model.filter((other) => !last.includes(other));
          } else {
            for (const due of last) index.add(due);
            model.push(...last);
            last = [];
          }
          assert.equal(index.size, model.length);
          const ids = model.map((due) => due.id).sort((a, b) => a - b);
          assert.equal(index.floor, ids[0]);
          assert.deepEqual([...index.from(0)], ids);
          assert.equal(index.nextDue, model.toSorted(byDue)[0]?.due);
        }
      }),
    );
  });

  it("stays small while messages come and go", () => {
    const index = new DelayIndex();
    for (let id = 0; id < 300_000; id++) {
      index.add({ id, due: id + 1000 });
      if (id % 3 === 0) index.remove(id);
      index.take(id, 10);
      if (id % 1000 === 0) index.forgetBelow(index.floor ?? id);
    }
    assert.ok(index.size <= 1001);
    assert.deepEqual([...index.from(0)].length, index.size);
    assert.equal(index.has(299_999), true);
    assert.equal(index.has(5), false);
  });
});
