/** What is found by host and path is what a look at every route finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HostIndex } from "./host-index.ts";
import { beginningOf, coversHost, meets, pathPattern, prepare } from "./overlap.ts";
import type { RouteSpec } from "./routes.schema.ts";

interface Held {
  id: string;
  tenant: string;
  spec: RouteSpec;
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
const segments = fc
  .array(fc.constantFrom("a", "b", "{x}"), { maxLength: 3 })
  .map((parts) => parts.map((part, at) => (part === "{x}" ? `{x${at}}` : part)));
const path: fc.Arbitrary<Pick<RouteSpec["match"], "path">> = fc.oneof(
  fc.constant({}),
  segments.map((parts) => ({ path: { template: `/${parts.join("/")}` } })),
  segments.map((parts) => ({
    path: { prefix: `/${parts.filter((part) => !part.startsWith("{")).join("/")}` },
  })),
);
const step = fc.record({ id: fc.nat(7).map(String), tenant, host, path, isGone: fc.boolean() });
const specOf = (
  name: string,
  host: string | undefined,
  path: Pick<RouteSpec["match"], "path">,
): RouteSpec => ({
  ...{ name, backends: [] },
  match: { ...(host !== undefined && { host }), ...path },
});

test("a host's routes, the hosts of others and the owner of a name, after any changes", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      tenant,
      host,
      path,
      name,
      (steps, who, asked, at, wanted) => {
        const index = new HostIndex<Held>();
        const all = new Map<string, Held>();
        for (const { id, tenant, host, path, isGone } of steps) {
          const before = all.get(id);
          if (isGone) {
            if (before) index.remove(before);
            all.delete(id);
            continue;
          }
          const held = { id, tenant, spec: specOf(id, host, path) };
          index.put(held, before);
          all.set(id, held);
        }
        const hosts = (routes: Iterable<Held>) => [...routes].map(({ spec }) => spec.match.host);
        const sorted = (routes: Iterable<Held>) => [...routes].map(({ id }) => id).sort();
        const own = [...all.values()].filter(({ tenant }) => tenant === who);
        const place = specOf("asked", asked, at);
        const isNear = ({ spec: { match } }: Held) =>
          (coversHost(match.host, asked) || coversHost(asked, match.host)) && areNested(match.path, at.path);
        const near = sorted(index.meeting(who, place.match));
        assert.deepEqual(near, sorted(own.filter(isNear)));
        for (const { id, spec } of own)
          if (meets(prepare(spec), prepare(place))) assert.ok(near.includes(id), `${id} is missed`);
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
        assert.ok(
          owner === undefined ? covering.length === 0 : owners.some(({ tenant }) => tenant === owner),
        );
      },
    ),
  );
});

type Path = RouteSpec["match"]["path"] | undefined;

function areNested(one: Path, other: Path): boolean {
  const [a, b] = [beginningOf(pathPattern(one)), beginningOf(pathPattern(other))];
  return a.every((segment, at) => at >= b.length || segment === b[at]);
}
