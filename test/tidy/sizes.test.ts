import assert from "node:assert/strict";
import { test } from "node:test";
import { functionsOf, longFiles, longFunctions, longLines, ratherLongFiles } from "./sizes.ts";
import { assertNone, readTree, source } from "./source.ts";

const tree = readTree();

test("no file is longer than 700 lines", (t) => {
  for (const { path, what } of ratherLongFiles(tree)) t.diagnostic(`worth splitting: ${path}, ${what}`);
  assertNone(longFiles(tree));
});

test("no function is longer than 70 lines", () => {
  assertNone(longFunctions(tree));
});

test("no line is longer than 120 columns", () => {
  assertNone(longLines(tree));
});

test("a long file is found", () => {
  assert.equal(longFiles([source("src/core/x.ts", "a;\n".repeat(701))]).length, 1);
  assert.equal(longFiles([source("src/core/x.ts", "a;\n".repeat(700))]).length, 0);
});

test("a long line is found, unless only a string or an address makes it long", () => {
  const count = (line: string) => longLines([source("src/core/x.ts", line)]).length;
  assert.equal(count(`const x = ${"a + ".repeat(30)}b;`), 1);
  assert.equal(count(`// ${"word ".repeat(30)}`), 1);
  assert.equal(count(`const x = "${"a".repeat(120)}";`), 0);
  assert.equal(count(`// see https://example.org/${"a".repeat(120)}`), 0);
});

const body = (lines: number) => `{\n${"  a();\n".repeat(lines - 2)}}`;
const heads: Record<string, string> = {
  "a function": "export async function f<A, B>(a: A, b: (x: B) => void): Promise<void>",
  "an arrow function": "const f = async (a: number) =>",
  "an argument": "use(1, (a) =>",
  "a method": "class A { async #run(a: string, b = { c: 1 }): Promise<{ d: number }>",
  "a getter": "class A { get size(): number",
  "a method of an object": "const a = { b: 1, run(c)",
  "a function with an object type": "function f(): { a: number }",
};
for (const [name, head] of Object.entries(heads)) {
  test(`a long function is found: ${name}`, () => {
    assert.equal(longFunctions([source("src/core/x.ts", `${head} ${body(71)}`)]).length, 1);
    assert.equal(longFunctions([source("src/core/x.ts", `${head} ${body(70)}`)]).length, 0);
  });
}

for (const head of [
  "if (a)",
  "for (const a of b)",
  "switch (a)",
  "const a =",
  "class A extends B(C)",
  "} else if (b)",
]) {
  test(`not a function: ${head}`, () =>
    assert.deepEqual(functionsOf(source("x.ts", `${head} ${body(80)}`)), []));
}

test("in test code a suite counts without the tests in it", () => {
  const suite = `describe("x", () => {\n${`  test("y", () => ${body(40)});\n`.repeat(3)}});\n`;
  assert.equal(longFunctions([source("src/core/x.ts", suite)]).length, 1);
  assert.equal(longFunctions([source("src/core/x.test.ts", suite)]).length, 0);
});
