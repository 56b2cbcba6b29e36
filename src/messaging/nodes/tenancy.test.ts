import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { preferred } from "./placement.ts";
import { holds, Tenancy } from "./tenancy.ts";
import { keyOf, topicsOf, unitOf } from "./unit.ts";

const unit = { tenant: "t", topic: "orders" };

suite("what a node may serve", () => {
  test("nothing before it has a session, and nothing under another", () => {
    const tenancy = new Tenancy(3000);
    assert.equal(tenancy.grant("s", unit, 1), undefined);
    tenancy.begin("s", 0);
    assert.equal(tenancy.grant("other", unit, 1), undefined);
    assert.ok(tenancy.grant("s", unit, 1));
  });

  test("a lease is counted from before it was asked for, less a tenth", () => {
    const tenancy = new Tenancy(3000);
    tenancy.begin("s", 1000);
    const tenure = tenancy.grant("s", unit, 1)!;
    assert.equal(holds(tenure, 3699), true);
    assert.equal(holds(tenure, 3700), false);
    tenancy.prolong("s", 2000);
    assert.equal(holds(tenure, 4699), true);
    tenancy.prolong("s", 1500); // an older answer that came later
    assert.equal(holds(tenure, 4699), true);
    tenancy.prolong("other", 9000);
    assert.equal(holds(tenure, 4700), false);
  });

  test("a new session ends all that was granted under the old one", () => {
    const tenancy = new Tenancy(3000);
    tenancy.begin("s1", 0);
    const old = tenancy.grant("s1", unit, 4)!;
    assert.deepEqual(tenancy.begin("s2", 100), [old]);
    assert.equal(holds(old, 101), false);
    tenancy.prolong("s1", 200);
    assert.equal(holds(old, 201), false);
    assert.equal(tenancy.grant("s1", unit, 4), undefined);
    assert.equal(holds(tenancy.grant("s2", unit, 5)!, 201), true);
  });

  test("a later epoch replaces an earlier one, never the other way round", () => {
    const tenancy = new Tenancy(3000);
    tenancy.begin("s", 0);
    const first = tenancy.grant("s", unit, 4)!;
    assert.equal(tenancy.grant("s", unit, 4), first);
    assert.equal(tenancy.grant("s", unit, 3), undefined);
    const second = tenancy.grant("s", unit, 6)!;
    assert.deepEqual([holds(first, 1), holds(second, 1)], [false, true]);
    tenancy.yield(first); // too late to matter
    assert.equal(tenancy.get(unit), second);
    tenancy.yield(second);
    assert.deepEqual([tenancy.get(unit), tenancy.all()], [undefined, []]);
  });
});

suite("units and where they belong", () => {
  test("a topic and its dead letters are one unit", () => {
    assert.deepEqual(unitOf({ tenant: "t", name: "orders.dlq" }), unit);
    assert.deepEqual(topicsOf(unit), ["orders", "orders.dlq"]);
    assert.notEqual(keyOf(unit), keyOf({ tenant: "t2", topic: "orders" }));
  });

  const ids = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 8 });

  test("every node finds the same one, in whatever order it knows them", () => {
    fc.assert(
      fc.property(ids, fc.string(), (nodes, key) => {
        const all = nodes.map((id) => ({ id }));
        assert.equal(preferred(key, all)?.id, preferred(key, all.toReversed())?.id);
      }),
    );
  });

  test("when a node goes, only what it had moves", () => {
    fc.assert(
      fc.property(ids, fc.string(), (nodes, key) => {
        const all = nodes.map((id) => ({ id }));
        const best = preferred(key, all)!;
        for (const gone of all) {
          const left = preferred(
            key,
            all.filter((node) => node !== gone),
          );
          if (gone !== best) assert.equal(left, best);
        }
      }),
    );
  });

  test("the shares of nodes are about equal", () => {
    const nodes = ["01a2", "01a3", "01b7", "02c9"].map((id) => ({ id }));
    const counts = new Map<string, number>();
    for (let i = 0; i < 4000; i++) {
      const { id } = preferred(`tenant\ntopic-${i}`, nodes)!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const { id } of nodes) assert.ok((counts.get(id) ?? 0) > 800, JSON.stringify([...counts]));
  });
});
