import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../core/clock.ts";
import { Automaton, literal } from "./automaton.ts";
import { formats } from "./formats.ts";
import { PatternError } from "./parse.ts";

/** Regular expressions over a small alphabet, so that texts meet them often. */
const somePattern: fc.Arbitrary<string> = fc.letrec<{ regex: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("a", "b", "0", "_", " ", ".", "\\d", "\\w", "\\W", "\\s", "[ab]", "[^a]", "[a-c0-9]"),
    // No \B: V8 also looks for it in the middle of a surrogate pair, against ECMA-262 §22.2.7.2.
    fc.constantFrom("\\b", "^", "$", "\\u{1F600}", "\\p{Lu}", "[\\w-]", "\\x41", "é"),
    tie("regex").map((inner) => `(?:${inner})`),
  ),
  regex: fc.oneof(
    tie("atom"),
    fc.array(tie("atom"), { maxLength: 4 }).map((atoms) => atoms.join("")),
    fc.tuple(tie("atom"), tie("atom")).map(([one, other]) => `${one}|${other}`),
    fc
      .tuple(tie("atom"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"))
      .map(([atom, quantifier]) => `(?:${atom})${quantifier}`),
  ),
})).regex;
const someText = fc
  .array(fc.constantFrom("a", "b", "c", "0", "_", " ", "\n", "A", "é", "😀", "-"), { maxLength: 12 })
  .map((characters) => characters.join(""));

test("an automaton agrees with the engine of the language", () => {
  fc.assert(
    fc.property(somePattern, fc.array(someText, { minLength: 1, maxLength: 8 }), (pattern, texts) => {
      const automaton = new Automaton(pattern);
      const regexp = new RegExp(pattern, "u");
      for (const text of texts)
        assert.equal(automaton.test(text), regexp.test(text), `${pattern} on ${text}`);
    }),
    { numRuns: 2000 },
  );
});

test("escapes, classes and assertions mean what ECMA-262 says", () => {
  const cases: [string, string[]][] = [
    ["^[\\w.+-]+@[\\w-]+\\.[a-z]{2,}$", ["a.b@c.de", "a@b", "@", "x@y.z1"]],
    ["^(?<year>\\d{4})-\\d\\d$", ["2024-01", "24-01"]],
    ["^\\p{L}+$", ["été", "a1", ""]],
    ["[^]", ["", "x"]],
    ["^\\uD83D\\uDE00$", ["😀", "x"]],
    ["\\bcat\\b", ["a cat.", "concat", "cat"]],
    ["\\Bcat\\B", ["a cat.", "concats", "concat", "cat"]],
    ["^$", ["", "a"]],
    ["a|", ["", "b"]],
    ["^[\\b]\\cJ\\0$", ["\b\n\0", "b"]],
  ];
  for (const [pattern, texts] of cases)
    for (const text of texts)
      assert.equal(
        new Automaton(pattern).test(text),
        new RegExp(pattern, "u").test(text),
        `${pattern} ${text}`,
      );
});

test("what is not regular, malformed or too large is refused with a reason", () => {
  const reason = (pattern: string) => {
    try {
      new Automaton(pattern);
    } catch (error) {
      assert.ok(error instanceof PatternError);
      return error.message;
    }
    return "accepted";
  };
  assert.match(reason("(a)\\1"), /backreference/);
  assert.match(reason("(?<n>a)\\k<n>"), /backreference/);
  assert.match(reason("a(?=b)"), /lookahead/);
  assert.match(reason("(?<!a)b"), /lookbehind/);
  assert.match(reason("["), /Invalid regular expression/);
  assert.match(reason("(a{1000}){1000}"), /too large/);
  assert.match(reason("a{0,100000}"), /repeats more than/);
  assert.match(reason("(".repeat(200) + ")".repeat(200)), /nested deeper/);
});

test("patterns that make a backtracking engine hang take linear time", () => {
  const started = systemClock.monotonic();
  const hostile = `${"a".repeat(100_000)}!`;
  for (const pattern of ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*x", "^([a-z]+)*\\d$", "a.{0,400}b"]) {
    assert.equal(new Automaton(pattern).test(hostile), false, pattern);
  }
  assert.ok(systemClock.monotonic() - started < 10_000);
});

test("a literal is the text and nothing else", () => {
  fc.assert(
    fc.property(someText, someText, (text, other) => {
      const automaton = new Automaton(text, literal(text));
      assert.equal(automaton.test(text), true);
      assert.equal(automaton.test(other), other === text);
    }),
  );
});

test("formats accept what their documents say, and nothing near it", () => {
  const cases: Record<string, [good: string[], bad: string[]]> = {
    "date-time": [
      ["2024-02-29T23:59:60Z", "2023-01-01t00:00:00.5+01:00"],
      ["2023-02-29T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00"],
    ],
    date: [
      ["2000-02-29", "1999-12-31"],
      ["1900-02-29", "2024-04-31", "2024-1-1"],
    ],
    time: [["12:00:00Z"], ["12:00:00", "25:00:00Z"]],
    duration: [
      ["P1Y2M3DT4H5M6S", "P3W", "PT1S"],
      ["P", "PT", "1D", "P1Y2W"],
    ],
    email: [["a.b+c@d.example"], ["a@", "@b", "a b@c.d"]],
    hostname: [["a-b.example"], ["-a", "a..b", ""]],
    ipv4: [["127.0.0.1"], ["256.0.0.1", "1.2.3", "01.2.3.4"]],
    ipv6: [
      ["::1", "1:2:3:4:5:6:7:8", "fe80::1", "::ffff:1.2.3.4", "::"],
      ["1::2::3", "12345::", ":"],
    ],
    uuid: [["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000"]],
    uri: [
      ["http://a.example/b?c=d#e", "urn:x:y"],
      ["no scheme", "://x", "http://a b"],
    ],
    "uri-reference": [
      ["/a/b", "#x", ""],
      ["a b", "%zz"],
    ],
    "json-pointer": [
      ["", "/a~0b/~1"],
      ["a", "/~2"],
    ],
  };
  assert.deepEqual(Object.keys(cases).sort(), [...formats.keys()].sort());
  for (const [format, [good, bad]] of Object.entries(cases)) {
    const automaton = new Automaton(formats.get(format)!);
    for (const text of good) assert.equal(automaton.test(text), true, `${format} ${text}`);
    for (const text of bad) assert.equal(automaton.test(text), false, `${format} ${text}`);
  }
});
