import assert from "node:assert/strict";
import { test } from "node:test";
import { blank, lineAt, readTree } from "./source.ts";

const cases: [string, string, string][] = [
  ["line comment", "a // setTimeout\nb", "a              \nb"],
  ["block comment", "a /* x\ny */ b", "a     \n     b"],
  ["strings", `f("a//b", 'c\\'d')`, `f("    ", '    ')`],
  ["template", "f(`a \u0024{b + `c\u0024{d}`} e`) + 1", "f(`   {b + `  {d}`}  `) + 1"],
  [
    "braces in a template",
    "`\u0024{[1].map((x) => { return x; })} {`; y",
    "` {[1].map((x) => { return x; })}  `; y",
  ],
  ["regular expression", `x.replace(/["'/]/g, "")`, `x.replace(/      g, "")`],
  ["division", "a / b / c; // d", "a / b / c;     "],
];

for (const [name, text, expected] of cases) {
  test(`blank: ${name}`, () => {
    assert.equal(blank(text), expected);
    assert.equal(blank(text).length, text.length);
  });
}

test("blank keeps every line in place in every file of the tree", () => {
  for (const { path, text, code } of readTree()) {
    assert.equal(code.length, text.length, path);
    assert.equal(code.split("\n").length, text.split("\n").length, path);
  }
});

test("lineAt counts from one", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((position) => lineAt("a\nb\n", position)),
    [1, 1, 2, 2],
  );
});
