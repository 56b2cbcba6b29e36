/** What is found by host is what a look at every route finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HostIndex } from "./host-index.ts";
import { coversHost } from "./overlap.ts";

interface Held {
  id: string;
  tenant: string;
  spec: { name: string; match: { host?: string } };
}

const label = fc.constantFrom("a", "b", "c");
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const host = fc.option(
  fc.oneof(
    name,
    name.map((below) => `*.${below}`),
  ),
  { nil: undefined },
);
const tenant = fc.constantFrom("acme", "beta", "corp");
const step = fc.record({ id: fc.nat(7).map(String), tenant, host, isGone: fc.boolean() });

test("a host's routes, the hosts of others and the owner of a name, after any changes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), tenant, host, name, (steps, who, asked, wanted) => {
      const index = new HostIndex<Held>();
      const all = new Map<string, Held>();
      for (const { id, tenant, host, isGone } of steps) {
        const before = all.get(id);
        if (isGone) {
          if (before) index.remove(before);
          all.delete(id);
          continue;
        }
        const held = { id, tenant, spec: { name: id, match: host === undefined ? {} : { host } } };
        index.put(held, before);
        all.set(id, held);
      }
      const hosts = (routes: Iterable<Held>) => [...routes].map(({ spec }) => spec.match.host);
      const sorted = (routes: Iterable<Held>) => [...routes].map(({ id }) => id).sort();
      const own = [...all.values()].filter(({ tenant }) => tenant === who);
      const meets = ({ spec: { match } }: Held) =>
        coversHost(match.host, asked) || coversHost(asked, match.host);
      assert.deepEqual(sorted(index.meeting(who, asked)), sorted(own.filter(meets)));
      assert.deepEqual(sorted(index.of(who).values()), sorted(own));
      const others = [...all.values()].filter(({ tenant }) => tenant !== who);
      assert.deepEqual(
        [...index.namedBeside(who)].sort(),
        [...new Set(hosts(others))].filter((host) => host !== undefined).sort(),
      );
      const covering = [...all.values()].filter(({ spec }) => coversHost(spec.match.host, wanted));
      const longest = Math.max(...hosts(covering).map((host) => host?.length ?? 0));
      const owners = covering.filter(({ spec }) => (spec.match.host?.length ?? 0) === longest);
      const owner = index.ownerOf(wanted);
      assert.ok(owner === undefined ? covering.length === 0 : owners.some(({ tenant }) => tenant === owner));
    }),
  );
});
