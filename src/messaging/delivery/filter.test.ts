import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HotSwapError } from "../../core/errors.ts";
import { encodeMessage } from "../message.ts";
import { compileFilter, type Filter } from "./filter.ts";

const message = (payload: unknown, headers?: Record<string, string>) =>
  encodeMessage({ key: undefined, headers, payload: Buffer.from(JSON.stringify(payload)) }, 0);
const fits = (filter: Filter, payload: unknown, headers?: Record<string, string>) =>
  compileFilter(filter).mismatch(message(payload, headers)) === undefined;

function refusal(filter: unknown): string {
  try {
    compileFilter(filter);
  } catch (error) {
    assert.ok(error instanceof HotSwapError && error.code === "validation_failed");
    return error.fields![0]!.pointer;
  }
  return "accepted";
}

describe("a filter", () => {
  it("looks at headers", () => {
    const headers = { region: "eu", amount: "12.5", empty: "", vip: "true" };
    const cases: [Filter, boolean][] = [
      [{ header: "region", equals: "eu" }, true],
      [{ header: "region", equals: "us" }, false],
      [{ header: "region", in: ["uk", "eu"] }, true],
      [{ header: "region", prefix: "e" }, true],
      [{ header: "region", prefix: "u" }, false],
      [{ header: "region" }, true],
      [{ header: "none" }, false],
      [{ header: "none", exists: false }, true],
      [{ header: "region", exists: false }, false],
      [{ header: "amount", gt: 12, lte: 12.5 }, true],
      [{ header: "amount", lt: 12 }, false],
      [{ header: "amount", equals: 12.5 }, true],
      [{ header: "amount", in: [1, 12.5] }, true],
      [{ header: "amount", equals: 12 }, false],
      [{ header: "empty", equals: 0 }, false],
      [{ header: "vip", equals: true }, true],
      [{ header: "vip", equals: false }, false],
      [{ header: "region", gt: 0 }, false],
      [{ header: "empty", gte: 0 }, false],
      [{ header: "__proto__" }, false],
    ];
    for (const [filter, expected] of cases)
      assert.equal(fits(filter, 1, headers), expected, JSON.stringify(filter));
    assert.equal(fits({ header: "region" }, 1), false);
  });

  it("looks into the payload by JSONPath", () => {
    const order = {
      amount: 120,
      items: [
        { sku: "a-1", n: 1 },
        { sku: "b-2", n: 5 },
      ],
      note: null,
    };
    const cases: [Filter, boolean][] = [
      [{ payload: "$.amount", gte: 120 }, true],
      [{ payload: "$.amount", gt: 120 }, false],
      [{ payload: "$.items[*].sku", prefix: "b-" }, true],
      [{ payload: "$.items[?@.n > 4].sku", equals: "b-2" }, true],
      [{ payload: "$.items[?@.n > 9]" }, false],
      [{ payload: "$..n", equals: 5 }, true],
      [{ payload: "$..n", equals: "5" }, false],
      [{ payload: "$..sku", equals: "5" }, false],
      [{ payload: "$.note", equals: null }, true],
      [{ payload: "$.missing", equals: null }, false],
      [{ payload: "$.missing", exists: false }, true],
      [{ payload: "$.items[?length(@.sku) == 3]" }, true],
    ];
    for (const [filter, expected] of cases)
      assert.equal(fits(filter, order), expected, JSON.stringify(filter));
  });

  it("joins conditions, and says which one a message does not fit", () => {
    const filter: Filter = {
      all: [{ header: "a" }, { any: [{ payload: "$.x", equals: 1 }, { not: { header: "b" } }] }],
    };
    assert.equal(fits(filter, { x: 1 }, { a: "1", b: "1" }), true);
    assert.equal(fits(filter, { x: 2 }, { a: "1" }), true);
    const mismatch = (payload: unknown, headers: Record<string, string>) =>
      compileFilter(filter).mismatch(message(payload, headers))?.pointer;
    assert.equal(mismatch({ x: 1 }, {}), "/filter/all/0");
    assert.equal(mismatch({ x: 2 }, { a: "1", b: "1" }), "/filter/all/1");
  });

  it("wants nothing of a payload that is not JSON", () => {
    const body = encodeMessage(
      { key: undefined, headers: undefined, payload: Buffer.from([0, 1]), contentType: "image/png" },
      0,
    );
    assert.ok(compileFilter({ payload: "$", exists: true }).mismatch(body));
  });

  it("refuses what it does not know, with the place", () => {
    const deep = Array.from({ length: 10 }).reduce<unknown>((inner) => ({ not: inner }), { header: "a" });
    const cases: [unknown, string][] = [
      ["text", "/filter"],
      [{}, "/filter"],
      [{ header: "a", payload: "$" }, "/filter"],
      [{ header: "" }, "/filter/header"],
      [{ header: "a", matches: "x" }, "/filter/matches"],
      [{ header: "a", in: [] }, "/filter/in"],
      [{ header: "a", gt: "1" }, "/filter/gt"],
      [{ all: [] }, "/filter/all"],
      [{ all: [{ header: "a" }], also: 1 }, "/filter/also"],
      [{ any: [{ header: "a" }, { payload: "nope" }] }, "/filter/any/1/payload"],
      [{ all: Array.from({ length: 65 }, () => ({ header: "a" })) }, "/filter/all/64"],
      [deep, "/filter/not/not/not/not/not/not/not/not/not"],
    ];
    for (const [filter, pointer] of cases) assert.equal(refusal(filter), pointer, JSON.stringify(filter));
  });

  it("refuses paths that could take longer than their payload is long", () => {
    for (const payload of [
      "$[?match(@.a, '(a+)+$')]",
      "$[?search(@.a, 'x')]",
      "$..*..*",
      "$[?@..a]..b",
      "$['a','a']['a','a']",
      "$[?$.x == @.y]",
      `$.${"a".repeat(300)}`,
    ]) {
      assert.equal(refusal({ payload }), "/filter/payload", payload);
    }
    assert.equal(refusal({ payload: "$['a, $..b']" }), "accepted"); // in a name they are harmless
  });

  it("takes no longer than a fraction of a second for a large and deep payload", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 60; i++) deep = { a: deep, b: [deep === 1 ? 1 : 2, "x"] };
    const body = message({ deep, wide: Array.from({ length: 50_000 }, (_, i) => ({ i })) });
    const started = process.cpuUsage().user;
    assert.ok(compileFilter({ payload: "$..[?@.i == -1]" }).mismatch(body));
    assert.ok(process.cpuUsage(undefined).user - started < 5_000_000); // a runaway would take for ever
  });
});
