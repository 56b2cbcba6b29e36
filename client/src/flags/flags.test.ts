/**
 * Flags in flagd's format. Expected buckets are those that flagd's own test bed has for the same keys (fractional
 * v2).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FlagSet } from "./flags.ts";
import { murmur3 } from "./murmur3.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const variants = { a: "A", b: "B", c: "C", d: "D" };
function evaluate(targeting: unknown, context: object = {}, more: object = {}) {
  const flag = { state: "ENABLED", variants, defaultVariant: "a", targeting, ...more };
  return FlagSet.parse({ flags: { f: flag } }).evaluate(
    "f",
    context as Record<string, unknown>,
    1_700_000_000_500,
  );
}
const variantOf = (...args: Parameters<typeof evaluate>) => {
  const found = evaluate(...args);
  return "errorCode" in found ? found.errorCode : found.variant;
};

test("murmur3 hashes as its reference does", () => {
  // From the published verification of MurmurHash3_x86_32.
  for (const [text, seed, hash] of [
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["aaaa", 0x9747b28c, 0x5a97808a],
    ["abc", 0, 0xb3dd93fa],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
    ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ] as const) {
    assert.equal(murmur3(bytes(text), seed), hash, text);
  }
});

describe("fractional", () => {
  const even = { fractional: [{ var: "user.name" }, ["a", 25], ["b", 25], ["c", 25], ["d", 25]] };

  test("buckets by a value, or by flag and targeting key", () => {
    const hash = (name: string) => Number((BigInt(murmur3(bytes(name))) * 100n) >> 32n);
    for (const name of ["jack", "queen", "ten", "nine", "ü"]) {
      assert.equal(variantOf(even, { user: { name } }), "abcd"[Math.floor(hash(name) / 25)]);
    }
    const halves = { fractional: [["a"], ["b"]] };
    assert.equal(variantOf(halves, { targetingKey: "ann" }), hash("fann") < 50 ? "a" : "b");
    assert.deepEqual([evaluate(halves).reason, variantOf(halves)], ["DEFAULT", "a"]);
  });

  test("shares are about their weights, and who is in a bucket stays when it grows", () => {
    const sample = Array.from({ length: 5_000 }, (_, n) => ({ targetingKey: `user-${n}` }));
    const inA = (weight: number) =>
      sample.filter(
        (context) =>
          variantOf(
            {
              fractional: [
                ["a", weight],
                ["b", 100 - weight],
              ],
            },
            context,
          ) === "a",
      );
    const [ten, thirty] = [inA(10), new Set(inA(30))];
    assert.ok(Math.abs(ten.length - 500) < 100 && Math.abs(thirty.size - 1_500) < 150);
    assert.ok(ten.every((context) => thirty.has(context)));
  });

  test("weights and variants may be rules, and what makes no sense takes the default", () => {
    const nested = {
      fractional: [
        { cat: ["seed", { var: "targetingKey" }] },
        ["b", { if: [{ var: "vip" }, 1, 0] }],
        ["c", { if: [{ var: "vip" }, 0, 1] }],
      ],
    };
    assert.equal(variantOf(nested, { targetingKey: "x", vip: true }), "b");
    assert.equal(variantOf(nested, { targetingKey: "x", vip: false }), "c");
    assert.equal(variantOf({ fractional: ["x", ["b", -5], ["c", 5]] }), "c");
    assert.equal(variantOf({ fractional: ["x", ["b", 0], ["c", 0]] }), "a");
    assert.equal(variantOf({ fractional: ["x", ["b", 0.5]] }), "PARSE_ERROR");
    assert.equal(variantOf({ fractional: ["x", ["z", 1]] }), "GENERAL");
  });
});

test("sem_ver compares by SemVer", () => {
  const holds = (left: unknown, operator: string, right: string) =>
    variantOf({ if: [{ sem_ver: [{ var: "v" }, operator, right] }, "b", "c"] }, { v: left });
  const cases: [unknown, string, string, string][] = [
    ["2.0.0", "=", "v2", "b"],
    ["2.0.0-alpha", "<", "2.0.0", "b"],
    ["1.0.0-alpha.2", "<", "1.0.0-alpha.10", "b"],
    ["1.0.0-alpha", "<", "1.0.0-alpha.1", "b"],
    ["1.0.0-1", "<", "1.0.0-a", "b"],
    ["1.0.0+x", "=", "1.0.0+y", "b"],
    [1.2, ">=", "1.2.0", "b"],
    ["3.0.1", "~", "3.0.0", "b"],
    ["3.1.0", "~", "3.0.0", "c"],
    ["3.1.0", "^", "3.0.0", "b"],
    ["4.0.0", "^", "3.0.0", "c"],
    ["1.0.0.0", "!=", "1.0.0", "c"],
  ];
  for (const [left, operator, right, expected] of cases) {
    assert.equal(holds(left, operator, right), expected, `${left} ${operator} ${right}`);
  }
});

test("texts are compared by their ends, and JSON Logic does the rest", () => {
  const cases: [unknown, string][] = [
    [{ if: [{ starts_with: [{ var: "id" }, "ab"] }, "b", "c"] }, "b"],
    [{ if: [{ ends_with: [{ var: "id" }, "ab"] }, "b", "c"] }, "c"],
    [{ if: [{ ends_with: [7, "ab"] }, "b", "c"] }, "c"],
    [{ if: [{ in: ["b", ["a", "b"]] }, "b", "c"] }, "b"],
    [{ if: [{ and: [true, { "<": [1, { var: "n" }, 5] }] }, "b", "c"] }, "b"],
    [{ if: [{ all: [{ var: "list" }, { ">": [{ var: "" }, 0] }] }, "b", "c"] }, "b"],
    [
      {
        if: [
          {
            "==": [
              { reduce: [{ var: "list" }, { "+": [{ var: "current" }, { var: "accumulator" }] }, 0] },
              6,
            ],
          },
          "b",
          "c",
        ],
      },
      "b",
    ],
    [{ if: [{ missing: ["id", "none"] }, "b", "c"] }, "b"],
    [{ if: [{ "==": ["3", { var: "n" }] }, "b", "c"] }, "b"],
    [{ if: [{ "===": ["3", { var: "n" }] }, "b", "c"] }, "c"],
    [{ if: [{ "==": [{ var: "$flagd.flagKey" }, "f"] }, "b", "c"] }, "b"],
    [{ if: [{ "==": [{ var: "$flagd.timestamp" }, 1_700_000_000] }, "b", "c"] }, "b"],
    [{ var: "constructor.name" }, "a"],
    [null, "a"],
    [{ nothing: [] }, "PARSE_ERROR"],
  ];
  for (const [rule, expected] of cases) {
    assert.equal(variantOf(rule, { id: "abc", n: 3, list: [1, 2, 3] }), expected, JSON.stringify(rule));
  }
});

test("state, defaults, shared rules and faults of the document", () => {
  assert.equal(evaluate(undefined).reason, "STATIC");
  assert.deepEqual(evaluate({}, {}, { state: "DISABLED", metadata: { team: "x" } }), {
    ...{ value: undefined, variant: undefined, reason: "DISABLED", metadata: { team: "x" } },
  });
  const none = evaluate(undefined, {}, { defaultVariant: null });
  assert.deepEqual([none.reason, "value" in none && none.value], ["DEFAULT", undefined]);
  const flag = (targeting: object) => ({ state: "ENABLED", variants, defaultVariant: "a", targeting });
  const set = FlagSet.parse({
    flags: {
      f: flag({ if: [{ $ref: "inner" }, "b"] }),
      g: flag({ $ref: "gone" }),
      h: flag({ $ref: "loop" }),
    },
    $evaluators: { inner: { in: ["@x", { var: "mail" }] }, loop: { $ref: "loop" } },
  });
  const found = set.evaluate("f", { mail: "a@x" }, 0);
  assert.equal("variant" in found && found.variant, "b");
  for (const key of ["g", "h"]) {
    const fault = set.evaluate(key, {}, 0);
    assert.equal("errorCode" in fault && fault.errorCode, "PARSE_ERROR");
  }
  assert.equal(set.faults.length, 2);
  const bad = [
    null,
    {},
    { flags: { f: 1 } },
    { flags: { f: { state: "ON", variants } } },
    { flags: { f: { state: "ENABLED", variants: {} } } },
  ];
  for (const document of bad) assert.throws(() => FlagSet.parse(document), TypeError);
});

test("whatever the rule, an evaluation ends and throws nothing", () => {
  const { rule } = fc.letrec((tie) => ({
    rule: fc.oneof(
      { depthSize: "small" },
      fc.jsonValue(),
      fc.dictionary(
        fc.constantFrom(
          "if",
          "var",
          "+",
          "in",
          "map",
          "fractional",
          "sem_ver",
          "starts_with",
          "reduce",
          "missing_some",
          "<",
          "merge",
          "substr",
        ),
        fc.array(tie("rule"), { maxLength: 4 }),
        { minKeys: 1, maxKeys: 1 },
      ),
    ),
  }));
  fc.assert(
    fc.property(rule, fc.dictionary(fc.string(), fc.jsonValue()), (targeting, context) => {
      assert.ok(evaluate(targeting, context).reason);
    }),
    { numRuns: 500 },
  );
});
