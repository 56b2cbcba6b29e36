import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { actionOf, type Side } from "./config-plan.ts";

const side: fc.Arbitrary<Side> = fc.constantFrom(undefined, "a", "b", "c");
const wasSynced = fc.boolean();

test("without a preference nothing is ever written over that the other side has not seen", () => {
  const property = fc.property(side, side, side, wasSynced, (known, git, hotswap, synced) => {
    const base = synced ? known : undefined;
    const action = actionOf({ base, git, hotswap }, { wasSynced: synced, prefer: undefined });
    if (action.kind === "write")
      assert.ok(git === undefined || git === base, "a file that has changed was lost");
    if (action.kind === "push")
      assert.ok(hotswap === undefined || hotswap === base, "a version was passed over");
    if (action.kind === "nothing") assert.equal(git, hotswap);
    if (action.kind === "push") assert.notEqual(git, undefined);
    if (action.kind === "write") assert.notEqual(hotswap, undefined);
  });
  fc.assert(property, { numRuns: 1_000 });
});

test("what was done is in line, so that it ends", () => {
  const property = fc.property(side, side, side, (base, git, hotswap) => {
    const action = actionOf({ base, git, hotswap }, { wasSynced: true, prefer: undefined });
    if (action.kind === "drift") return;
    const now = action.kind === "write" ? hotswap : git;
    const after = actionOf({ base: now, git: now, hotswap: now }, { wasSynced: true, prefer: undefined });
    assert.deepEqual(after, { kind: "nothing" });
  });
  fc.assert(property, { numRuns: 1_000 });
});

test("a preference decides every drift but what only a person can", () => {
  const property = fc.property(side, side, side, wasSynced, (known, git, hotswap, synced) => {
    const sides = { base: synced ? known : undefined, git, hotswap };
    const kinds = (["git", "hotswap"] as const).map(
      (prefer) => actionOf(sides, { wasSynced: synced, prefer }).kind,
    );
    if (actionOf(sides, { wasSynced: synced, prefer: undefined }).kind !== "drift") return;
    if (git !== undefined && hotswap !== undefined) assert.deepEqual(kinds, ["push", "write"]);
    else assert.ok(kinds.includes("drift"), "nothing is deleted by a preference");
  });
  fc.assert(property, { numRuns: 1_000 });
});
