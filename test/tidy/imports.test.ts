import assert from "node:assert/strict";
import { test } from "node:test";
import { cycles, deadFiles, directions, imports, importsOf } from "./imports.ts";
import { assertNone, readTree, source } from "./source.ts";

const tree = readTree();

test("imports go down the ranks", () => {
  assertNone(directions(imports(tree)));
});

test("no import cycles", () => {
  assertNone(cycles(imports(tree)));
});

test("every file is imported by something", () => {
  assertNone(deadFiles(tree, imports(tree)));
});

test("imports are found in every form, and not in words", () => {
  const code = `import "./a.ts"; import type { X } from './b.ts'; export * from "./c.ts"; const d = await import("./d.ts");
    new Worker(new URL("./e.ts", import.meta.url)); // from "./no.ts"
    const text = 'from "./no.ts"'; import fs from "node:fs"; import("../z.ts");`;
  const found = importsOf(source("src/core/x.ts", code)).map(({ to }) => to);
  assert.deepEqual(found, ["a", "b", "c", "d", "e"].map((name) => `src/core/${name}.ts`).concat("src/z.ts"));
});

const forbidden: [string, string][] = [
  ["src/core/x.ts", "src/stores/sql/port.ts"],
  ["src/messaging/x.ts", "src/gateway/y.ts"],
  ["src/schemas/x.ts", "src/deployment/y.ts"],
  ["src/stores/log/x.ts", "src/stores/kv/y.ts"],
  ["src/platform/auth/x.ts", "src/platform/audit/y.ts"],
  ["src/platform/unheard/x.ts", "src/platform/audit/y.ts"],
  ["src/messaging/x.ts", "client/src/index.ts"],
  ["src/cli/x.ts", "test/tidy/source.ts"],
  ["src/misc/x.ts", "src/core/y.ts"],
];
const allowed: [string, string][] = [
  ["src/messaging/delivery/x.ts", "src/messaging/topics.ts"],
  ["src/messaging/x.ts", "src/platform/http/route.ts"],
  ["src/stores/kv/x.ts", "src/stores/files.ts"],
  ["src/platform/audit/x.ts", "src/platform/auth/principal.ts"],
  ["src/platform/auth/auth.routes.ts", "src/platform/http/route.ts"],
  ["src/bss/x.ts", "client/src/index.ts"],
  ["client/src/x.ts", "client/src/y.ts"],
];

for (const [from, to] of forbidden) {
  test(`${from} may not import ${to}`, () => assert.equal(directions([{ from, to, line: 1 }]).length, 1));
}
for (const [from, to] of allowed) {
  test(`${from} may import ${to}`, () => assert.deepEqual(directions([{ from, to, line: 1 }]), []));
}

const files = (entries: Record<string, string>) =>
  Object.entries(entries).map(([path, text]) => source(path, text));

test("a cycle is found, once, types included", () => {
  const round = files({
    "src/core/a.ts": `import "./b.ts";`,
    "src/core/b.ts": `import type { C } from "./c.ts";`,
    "src/core/c.ts": `import "./b.ts"; import "./d.ts";`,
    "src/core/d.ts": "",
  });
  const found = cycles(imports(round));
  assert.deepEqual(
    found.map(({ what }) => what),
    ["import cycle: src/core/b.ts → src/core/c.ts → src/core/b.ts"],
  );
});

test("a file that nothing imports is found; an entry, a test and a page's script are not", () => {
  const some = files({
    "src/core/dead.ts": "",
    "src/cli/main.ts": `import "./live.ts";`,
    "src/cli/live.ts": "",
    "src/cli/live.test.ts": "",
    "console/index.html": `<script type="module" src="/src/main.tsx"></script>`,
    "console/src/main.tsx": "",
  });
  assert.deepEqual(
    deadFiles(some, imports(some)).map(({ path }) => path),
    ["src/core/dead.ts"],
  );
});
