import assert from "node:assert/strict";
import { test } from "node:test";
import { allPaths, assertNone, readTree, source } from "./source.ts";
import { badNames, bannedWords, headless } from "./words.ts";

const tree = readTree();

test("no banned words", () => assertNone(bannedWords(tree)));
test("every file has a header", () => assertNone(headless(tree)));
test("every name says something", () => assertNone(badNames(allPaths())));

const found = (path: string, text: string) => bannedWords([source(path, text)]).length;

const refused: [string, string][] = [
  ["src/core/x.ts", "// TODO later"],
  ["docs/x.md", "FIXME"],
  ["scripts/x.sh", "cd /home/somebody"],
  ["src/messaging/x.ts", "console.log(1)"],
  ["src/messaging/x.ts", "const now = Date.now();"],
  ["src/messaging/x.ts", "setTimeout(() => {}, 1)"],
  ["src/messaging/x.ts", "const at = new Date();"],
  ["src/messaging/x.ts", "Math.random()"],
  ["src/messaging/x.ts", `import * as timers from "node:timers/promises";`],
  ["src/core/x.ts", "const a: any = b;"],
  ["src/core/x.ts", "const a = b as any;"],
  ["src/core/x.ts", "const a: Map<string, any> = b;"],
  ["test/x.test.ts", "test.only('a', () => {})"],
  ["test/x.test.ts", "test('a', { only: true }, () => {})"],
  ["test/x.test.ts", "test.skip('a', () => {})"],
  ["test/x.test.ts", "test('a', { skip: true }, () => {})"],
];
const accepted: [string, string][] = [
  ["src/messaging/x.ts", "// Date.now is not for us"],
  ["src/messaging/x.ts", `const url = "/api/v1/home/x"; const text = "setTimeout(";`],
  ["src/messaging/x.ts", "const at = new Date(clock.now()); clearTimeout(x);"],
  ["src/messaging/x.test.ts", "setTimeout(() => {}, 1); Date.now();"],
  ["src/core/clock.ts", "Date.now()"],
  ["src/cli/x.ts", "console.log(1)"],
  ["src/core/x.ts", "// the library's type says so\nconst a: any = b;"],
  ["src/core/x.ts", "const any = many(company);"],
  ["test/x.test.ts", "test('a', { skip: why }, (t) => t.skip('redis-server is not installed'))"],
];
for (const [path, text] of refused)
  test(`refused in ${path}: ${text}`, () => assert.equal(found(path, text), 1));
for (const [path, text] of accepted)
  test(`accepted in ${path}: ${text}`, () => assert.equal(found(path, text), 0));

test("a file without a header is found", () => {
  const names = headless([
    source("src/core/bare.ts", `import "x";`),
    source("src/core/good.ts", "/**\n * What it is for.\n */\n"),
    source("bin/good.js", "#!/usr/bin/env node\n/** What it is for. */"),
    source("src/core/good.test.ts", `import "x";`),
  ]).map(({ path }) => path);
  assert.deepEqual(names, ["src/core/bare.ts"]);
});

test("names that say nothing are found", () => {
  const bad = [
    "src/utils.ts",
    "src/a/http-helpers.ts",
    "src/common/x.ts",
    "src/topicManager.ts",
    "docs/café.md",
    "a b.md",
  ];
  const good = ["src/topics.sql.ts", "README.md", "src/commons.ts"];
  assert.deepEqual(
    badNames([...bad, ...good]).map(({ path }) => path),
    bad,
  );
});
