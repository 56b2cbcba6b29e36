import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, type Json } from "../core/json.ts";
import { type Blame, blame, leavesOf } from "./blame.ts";
import { diffDocuments, maskSecrets, type PatchStep } from "./diff.ts";

/** RFC 6902, for what a diff is made of. */
function apply(document: Json, steps: readonly PatchStep[]): Json {
  const root = { "": structuredClone(document) } as { [name: string]: Json };
  const split = (pointer: string) =>
    pointer.split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
  const parentOf = (pointer: string) => {
    const tokens = split(pointer);
    const last = tokens.pop()!;
    let at: Json = root;
    for (const token of tokens) at = (at as { [name: string]: Json })[token]!;
    return { at: at as Json[] | { [name: string]: Json }, last };
  };
  const take = (pointer: string): Json => {
    const { at, last } = parentOf(pointer);
    assert.ok(Object.hasOwn(at, last), `nothing at ${pointer}`);
    if (Array.isArray(at)) return at.splice(Number(last), 1)[0]!;
    const value = at[last]!;
    delete at[last];
    return value;
  };
  const put = (pointer: string, value: Json, isNew: boolean) => {
    const { at, last } = parentOf(pointer);
    if (Array.isArray(at)) {
      assert.ok(Number(last) <= at.length, `${pointer} is beyond the end`);
      at.splice(Number(last), isNew ? 0 : 1, value);
    } else {
      if (!isNew) assert.ok(Object.hasOwn(at, last), `nothing to replace at ${pointer}`);
      at[last] = value;
    }
  };
  for (const step of steps) {
    if (step.op === "remove") take(step.path);
    else if (step.op === "move") put(step.path, take(step.from), true);
    else put(step.path, structuredClone(step.value), step.op === "add");
  }
  return root[""]!;
}

const someName = fc.constantFrom("a", "b", "c/d", "e~f", "", "0");
const someLeaf = fc.oneof(
  fc.integer({ max: 3, min: 0 }),
  fc.boolean(),
  fc.constantFrom("x", "y"),
  fc.constant(null),
);
const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    someLeaf,
    fc.array(tie("tree"), { maxLength: 5 }),
    fc.dictionary(someName, tie("tree"), { maxKeys: 4 }),
    fc.uniqueArray(fc.record({ id: fc.integer({ min: 0, max: 6 }), v: tie("tree") }), {
      maxLength: 6,
      selector: ({ id }) => id,
    }),
  ) as fc.Arbitrary<Json>,
}));

test("the patch turns the one document into the other, and nothing else into nothing", () => {
  const property = fc.property(tree, tree, (before, after) => {
    const { patch, changes } = diffDocuments(before, after);
    assert.equal(canonicalJson(apply(before, patch)), canonicalJson(after));
    const isSame = canonicalJson(before) === canonicalJson(after);
    assert.equal(patch.length === 0, isSame);
    assert.equal(changes.length, patch.length);
  });
  fc.assert(property, { numRuns: 3_000 });
});

test("an item with a name that moves is one move, and its change is its own", () => {
  const before = [{ name: "a" }, { name: "b" }, { name: "c", port: 1 }];
  const after = [{ name: "c", port: 2 }, { name: "a" }, { name: "b" }];
  const { changes } = diffDocuments({ list: before }, { list: after });
  assert.deepEqual(
    changes.map(({ kind, label, pointer }) => `${kind} ${label} ${pointer}`),
    ["moved list[c] /list/0", "changed list[c].port /list/0/port"],
  );
});

test("an item that comes into the middle of a plain list is one addition", () => {
  const { patch } = diffDocuments({ l: [1, 2, 3] }, { l: [1, 9, 2, 3] });
  assert.deepEqual(patch, [{ op: "add", path: "/l/1", value: 9 }]);
});

test("texts below names like secrets are masked, references are not", () => {
  const value = {
    password: "p",
    apiKeys: ["k1", { inner: "k2" }],
    tokenTtlSeconds: 30,
    token: { $secret: "t" },
    cookie: `\${secret:c}`,
    user: "u",
  };
  assert.deepEqual(maskSecrets(value), {
    password: "[masked]",
    apiKeys: ["[masked]", { inner: "[masked]" }],
    tokenTtlSeconds: 30,
    token: { $secret: "t" },
    cookie: `\${secret:c}`,
    user: "u",
  });
  const { patch, changes } = diffDocuments({ password: "old" }, { password: "new" });
  assert.doesNotMatch(JSON.stringify({ patch, changes }), /old|new/);
});

test("blame: each leaf is of the last version that changed it", () => {
  const versions: Json[] = [
    { a: 1, list: [{ id: "x", v: 1 }], plain: [1, 2] },
    {
      a: 2,
      list: [
        { id: "y", v: 1 },
        { id: "x", v: 1 },
      ],
      plain: [0, 1, 2],
    },
    {
      a: 2,
      list: [
        { id: "y", v: 1 },
        { id: "x", v: 2 },
      ],
      plain: [0, 1, 2],
      more: {},
    },
  ];
  const trees = versions.reduce<Blame<number> | undefined>(
    (at, value, index) => blame(at, value, index + 1),
    undefined,
  );
  assert.deepEqual(Object.fromEntries([...leavesOf(trees!)].map(({ pointer, by }) => [pointer, by])), {
    "/a": 2,
    "/list/0/id": 2,
    "/list/0/v": 2,
    "/list/1/id": 1,
    "/list/1/v": 3,
    "/plain/0": 2,
    "/plain/1": 1,
    "/plain/2": 1,
    "/more": 3,
  });
});

test("blame names every leaf once, and of any version only one that has that value there or moved it", () => {
  const property = fc.property(fc.array(tree, { minLength: 1, maxLength: 6 }), (versions) => {
    let at: Blame<number> | undefined;
    for (const [index, value] of versions.entries()) at = blame(at, value, index);
    const leaves = [...leavesOf(at!)];
    assert.equal(new Set(leaves.map(({ pointer }) => pointer)).size, leaves.length);
    // What the last version did not touch at all is not blamed on it.
    const last = versions.length - 1;
    const { patch } = last === 0 ? { patch: [{}] } : diffDocuments(versions[last - 1]!, versions[last]!);
    if (patch.length === 0) assert.ok(leaves.every(({ by }) => by < last));
  });
  fc.assert(property, { numRuns: 500 });
});
