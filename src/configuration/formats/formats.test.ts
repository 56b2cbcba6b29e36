import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parse as parseTomlText, stringify as tomlText } from "smol-toml";
import { stringify as yamlText } from "yaml";
import { HotSwapError } from "../../core/errors.ts";
import { canonicalJson, type Json } from "../../core/json.ts";
import { parseDocument } from "../document.ts";
import { type Format, Lines } from "./format.ts";

const limits = { textBytes: 256 * 1024, depth: 32 };
const read = (format: Format, text: string) => parseDocument(format, text, limits);
const readValue = (format: Format, text: string) => read(format, text).value;

/** `code pointer line:column` of the refusal. */
function refusal(format: Format, text: string): string {
  try {
    read(format, text);
  } catch (error) {
    assert.ok(error instanceof HotSwapError, `${error}`);
    const [place] = (error.data?.places ?? []) as { pointer: string; line: number; column: number }[];
    return place ? `${error.code} ${place.pointer} ${place.line}:${place.column}` : error.code;
  }
  return "taken";
}

const someKey = fc
  .string({ unit: "binary", maxLength: 8 })
  .filter((key) => key !== "__proto__" && !key.includes("\0"));
const someText = fc.string({ unit: "binary", maxLength: 12 }).filter((text) => !text.includes("\0"));
const someFraction = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => !Number.isInteger(value) || Number.isSafeInteger(value));
const someNumber = fc.oneof(fc.maxSafeInteger(), someFraction);
const { tree: someTree } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.constant(null), fc.boolean(), someText, someNumber),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(someKey, tie("tree"), { maxKeys: 4 }),
  ) as fc.Arbitrary<Json>,
}));
const someDocument = fc.dictionary(someKey, someTree, { maxKeys: 5 }) as fc.Arbitrary<Json>;

test("every place is found again: a line and a column from 1, whatever ends a line", () => {
  const lines = new Lines("ab\ncd\r\nef\rgh");
  assert.deepEqual([0, 1, 3, 4, 7, 10].map(lines.at, lines), [
    { line: 1, column: 1 },
    { line: 1, column: 2 },
    { line: 2, column: 1 },
    { line: 2, column: 2 },
    { line: 3, column: 1 },
    { line: 4, column: 1 },
  ]);
});

describe("JSON", () => {
  test("is read as the language reads it", () => {
    const property = fc.property(someDocument, fc.constantFrom(0, 2), (value, space) => {
      const text = JSON.stringify(value, undefined, space);
      assert.equal(canonicalJson(readValue("json", text)), canonicalJson(JSON.parse(text)));
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("takes exactly what the language takes, but for what it would lose", () => {
    const pieces = fc.constantFrom(
      ...'{}[]",:\\/ \n\t-+.eE01u\u007f'.split(""),
      "true",
      "null",
      "fals",
      '"a"',
      "12",
    );
    const property = fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
      const text = `[${parts.join("")}]`;
      let expected: unknown = "refused";
      try {
        expected = JSON.parse(text);
      } catch {
        // then ours must refuse it too
      }
      const found = refusal("json", text);
      if (expected === "refused") assert.match(found, /^config_invalid/, text);
      else if (found === "taken")
        assert.deepEqual(
          readValue("json", text),
          JSON.parse(text, (_, v) => (v === 0 ? 0 : v)),
        );
      else assert.match(text, /\d{4}|"[^"]*"[^"]*:|[eE]\d/, `refused ${text}`); // lost digits, a name twice
    });
    fc.assert(property, { numRuns: 3_000 });
  });

  const refused: [string, string, string][] = [
    ["a name twice", '{"a": {"b": 1, "b": 2}}', "/a/b 1:16"],
    ["a number beyond 2^53", '{"a":\n [1, 9007199254740993]}', "/a/1 2:6"],
    ["a number beyond a double", '{"a": 1e400}', "/a 1:7"],
    ["half a surrogate pair", '{"a": "\\ud800"}', "/a 1:7"],
    ["U+0000", '{"a": "\\u0000"}', "/a 1:7"],
    ["__proto__", '{"__proto__": {"x": 1}}', "/__proto__ 1:2"],
    ["a comma at the end", '{"a": 1,}', " 1:9"],
    ["a comment", '{"a": 1} // one', " 1:10"],
    ["a line end in a string", '{"a": "x\ny"}', "/a 1:9"],
    ["more than one", "{} {}", " 1:4"],
    ["nothing", "", " 1:1"],
    ["a scalar", "12", " 1:1"],
    ["too deep", `${"[".repeat(33)}${"]".repeat(33)}`, `${"/0".repeat(32)} 1:33`],
  ];
  for (const [what, text, place] of refused) {
    test(`refuses ${what}, at its place`, () =>
      assert.equal(refusal("json", text), `config_invalid ${place}`));
  }

  test("keeps whole numbers up to 2^53 and any fraction", () => {
    assert.deepEqual(readValue("json", "[9007199254740991, -9007199254740991, 0.1, 1e21, -0]"), [
      ...[9007199254740991, -9007199254740991, 0.1, 1e21, 0],
    ]);
  });

  test("a value is found by its pointer, and what is missing by what is around it", () => {
    const { locate } = read("json", '{\n  "a/b": [\n    {"x": 1}\n  ]\n}');
    assert.deepEqual(locate("/a~1b/0/x"), { line: 3, column: 11 });
    assert.deepEqual(locate("/a~1b/0/y"), { line: 3, column: 5 });
    assert.deepEqual(locate("/none"), { line: 1, column: 1 });
  });
});

describe("YAML", () => {
  test("says the same as the JSON that it was written from", () => {
    const property = fc.property(someDocument, (value) => {
      const text = yamlText(value, { version: "1.2", aliasDuplicateObjects: false });
      assert.equal(canonicalJson(readValue("yaml", text)), canonicalJson(value));
    });
    fc.assert(property, { numRuns: 200 });
  });

  test("comments, anchors, block texts and the core schema", () => {
    const text =
      "# all\nbase: &b {x: 1} # one\nuse: *b\nno: no\nyes: true\nnull: ~\n12: a\ntext: |\n  two\n  lines\n";
    const x = { x: 1 };
    const expected = { base: x, use: x, no: "no", yes: true, null: null, 12: "a", text: "two\nlines\n" };
    assert.deepEqual(readValue("yaml", text), expected);
  });

  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefg"
    .split("")
    .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${"abcdef"[index]}`).join()}]`)
    .join("\n")}`;
  const refused: [string, string, RegExp][] = [
    ["a key twice", "a: 1\nb:\n  c: 1\n  c: 2\n", /^config_invalid .* 4:3$/],
    ["one name of two keys", "1: a\n'1': b\n", /^config_invalid \/1 2:1$/],
    ["a number beyond 2^53", "a:\n  - 9007199254740993\n", /^config_invalid \/a\/0 2:5$/],
    ["no number of JSON", "a: .inf", /^config_invalid \/a 1:4$/],
    ["two documents", "a: 1\n---\nb: 2\n", /^config_invalid/],
    ["a tag of a language", "a: !!js/function x", /^config_invalid/],
    ["a key that is a list", "? [a, b]\n: 1\n", /^config_invalid {2}1:3$/],
    ["an anchor that is not there", "a: *b", /^config_invalid/],
    ["an alias of itself", "a: &a [*a]", /^config_invalid/],
    ["a bomb of aliases", bomb, /^config_invalid/],
    ["an open list", "a: [1", /^config_invalid {2}1:/],
    ["nothing", "", /^config_invalid {2}1:1$/],
    ["too deep", `a: ${"[".repeat(40)}${"]".repeat(40)}`, /^config_invalid/],
    ["hopelessly deep", "[".repeat(100_000), /^config_invalid/],
    ["deep blocks", "- ".repeat(5_000), /^config_invalid/],
  ];
  for (const [what, text, expected] of refused) {
    test(`refuses ${what}`, () => assert.match(refusal("yaml", text), expected));
  }

  test("a key is where its value is found", () => {
    const { locate } = read("yaml", "servers:\n  - name: eu\n    port: 80\n");
    assert.deepEqual(locate("/servers/0/port"), { line: 3, column: 5 });
    assert.deepEqual(locate("/servers/0/none"), { line: 2, column: 5 });
  });
});

describe("TOML", () => {
  test("tables, lists of tables, dates and numbers", () => {
    const text = 'a = 1\nd = 1979-05-27T07:32:00Z\n[b."c.d"]\nx = [1.5, 2.0]\n[[e]]\nn = 1\n[[e]]\nn = 2\n';
    assert.deepEqual(readValue("toml", text), {
      ...{ a: 1, d: "1979-05-27T07:32:00.000Z", b: { "c.d": { x: [1.5, 2] } }, e: [{ n: 1 }, { n: 2 }] },
    });
  });

  const refused: [string, string, RegExp][] = [
    ["a key twice", "a = 1\na = 2\n", /^config_invalid {2}2:/],
    ["a number beyond 2^53", "[a]\nb = 9007199254740993\n", /^config_invalid \/a\/b 2:1$/],
    ["nan", "a = nan", /^config_invalid \/a 1:1$/],
    ["a mistake", "a = \n", /^config_invalid {2}1:/],
    ["__proto__", "__proto__ = 1", /^config_invalid \/__proto__ 1:1$/],
    ["too deep", `a = ${"[".repeat(40)}${"]".repeat(40)}`, /^config_invalid/],
  ];
  for (const [what, text, expected] of refused) {
    test(`refuses ${what}`, () => assert.match(refusal("toml", text), expected));
  }

  test("keys are found again, of tables, dotted ones, quoted ones and those after strings of many lines", () => {
    const lines = [
      'first = """', // 1
      "[not.a.table]", // 2
      'x = 1"""', // 3
      "[server]", // 4
      "tls.port = 443 # [x]", // 5
      'list = [ "]", # ] ', // 6
      "  { a = 1 } ]", // 7
      "[[server.peer]]", // 8
      '"a b" = 1', // 9
      "[[server.peer]]", // 10
      "name = '#'", // 11
      "[server.peer.more]", // 12
      "z = 2", // 13
    ];
    const { locate } = read("toml", lines.join("\n"));
    const line = (pointer: string) => locate(pointer).line;
    assert.equal(line("/first"), 1);
    assert.deepEqual(locate("/server/tls/port"), { line: 5, column: 5 });
    assert.equal(line("/server/list/1/a"), 6);
    assert.equal(line("/server/peer/0/a b"), 9);
    assert.equal(line("/server/peer/1"), 10);
    assert.equal(line("/server/peer/1/name"), 11);
    assert.equal(line("/server/peer/1/more/z"), 13);
    assert.equal(line("/x"), 1, "what stands in a string is no key");
  });

  test("every key of any document is found on a line that names it", () => {
    const someName = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    const leaf = fc.oneof(fc.integer(), fc.boolean(), someText);
    const table = fc.dictionary(someName, fc.oneof(leaf, fc.dictionary(someName, leaf, { maxKeys: 3 })), {
      minKeys: 1,
    });
    const property = fc.property(table, (value) => {
      const text = tomlText(value);
      assert.equal(canonicalJson(readValue("toml", text)), canonicalJson(parseTomlText(text)));
      const { locate } = read("toml", text);
      for (const [name, inner] of Object.entries(value)) {
        const keys = typeof inner === "object" ? Object.keys(inner).map((key) => `${name}/${key}`) : [name];
        for (const key of keys) {
          const at = text.split("\n")[locate(`/${key}`).line - 1]!;
          assert.ok(at.startsWith(key.split("/").at(-1)!), `${key} found in ${at}`);
        }
      }
    });
    fc.assert(property, { numRuns: 200 });
  });
});

describe("properties, by the rules of java.util.Properties", () => {
  const cases: [string, string, Record<string, string>][] = [
    ["three ways to separate", "a=1\nb:2\nc 3", { a: "1", b: "2", c: "3" }],
    ["white space around the separator", "a  =  1\nb\t:\t2\nc \t 3 ", { a: "1", b: "2", c: "3 " }],
    ["one separator only", "a==1\nb=:2\nc = = 3", { a: "=1", b: ":2", c: "= 3" }],
    ["a key alone", "a\nb=\nc:", { a: "", b: "", c: "" }],
    ["no key", "=1", { "": "1" }],
    ["comments", "# a=1\n  ! b=2\nc=3 # no comment", { c: "3 # no comment" }],
    ["comments do not continue", "# a \\\nb=2", { b: "2" }],
    ["blank lines", "\n  \t\n\fa=1\n\n", { a: "1" }],
    ["continued lines", "a=one\\\n   two\\\r\n\tthree", { a: "onetwothree" }],
    ["a continued key", "ab\\\n  cd=1", { abcd: "1" }],
    ["a line that continues with nothing", "a=1\\", { a: "1" }],
    ["a blank continuation", "a=1\\\n\nb=2", { a: "1", b: "2" }],
    ["an even number of backslashes", "a=1\\\\\nb=2", { a: "1\\", b: "2" }],
    ["a continued line that looks like a comment", "a=1\\\n#2", { a: "1#2" }],
    ["escapes", "a=\\t\\n\\r\\f\\\\", { a: "\t\n\r\f\\" }],
    ["backslashes before others go", "a=\\z\\b\\:\\=\\#", { a: "zb:=#" }],
    ["escaped separators in keys", "a\\ b\\=c\\:d=1", { "a b=c:d": "1" }],
    ["unicode", "a=\\u00e9\\u20AC é", { a: "é€ é" }],
    ["white space that is kept", "a=\\ x ", { a: " x " }],
    ["ends of lines", "a=1\rb=2\r\nc=3", { a: "1", b: "2", c: "3" }],
    ["dots mean nothing", "a.b=1\na.c=2", { "a.b": "1", "a.c": "2" }],
    [
      "Fruits of Java's own example",
      "fruits   apple, banana, \\\n     pear",
      { fruits: "apple, banana, pear" },
    ],
  ];
  for (const [what, text, expected] of cases) {
    test(what, () => assert.deepEqual(readValue("properties", text), expected));
  }

  test("a key twice and half an escape are refused, at their place", () => {
    assert.equal(refusal("properties", "a=1\nb=2\na=3"), "config_invalid /a 3:1");
    assert.equal(refusal("properties", "a=1\nb=\\u00g1"), "config_invalid  2:3");
    assert.equal(refusal("properties", "__proto__=1"), "config_invalid /__proto__ 1:1");
  });

  test("whatever is escaped as Java's store does comes back", () => {
    const escaped = (text: string, isKey: boolean) =>
      [...text]
        .map((mark, index) => {
          if ("=:#!\\".includes(mark)) return `\\${mark}`;
          if (mark === " ") return isKey || index === 0 ? "\\ " : " ";
          const named = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f" }[mark];
          return named ?? mark;
        })
        .join("");
    const property = fc.property(fc.dictionary(someKey, someText, { maxKeys: 6 }), (value) => {
      const lines = Object.entries(value).map(
        ([key, text]) => `${escaped(key, true)}=${escaped(text, false)}`,
      );
      assert.deepEqual({ ...(readValue("properties", lines.join("\n")) as object) }, { ...value });
    });
    fc.assert(property, { numRuns: 300 });
  });
});

test("no text of any format does anything but be taken or refused", () => {
  const someFormat = fc.constantFrom<Format>("json", "yaml", "toml", "properties");
  const marks = fc.constantFrom(
    ..."{}[]\"'&*!|>%@`#:-?,= \n\t.\\u0aé~".split(""),
    "<<",
    "---",
    "'''",
    '"""',
    "[[",
    "&a",
    "*a",
  );
  const property = fc.property(someFormat, fc.array(marks, { maxLength: 30 }), (format, parts) => {
    assert.match(refusal(format, parts.join("")), /^(taken|config_invalid)/);
  });
  fc.assert(property, { numRuns: 3_000 });
});

test("a text beyond the limit is refused before it is read", () => {
  const text = JSON.stringify({ a: "x".repeat(limits.textBytes) });
  for (const format of ["json", "yaml", "toml", "properties"] as const)
    assert.equal(refusal(format, text), "config_too_large");
});
