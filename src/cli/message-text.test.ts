import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../core/errors.ts";
import { type MessageFlags, messageText, singleMessageText } from "./message-text.ts";

const keyOf = (flags: MessageFlags, line: string) => messageText(flags)(line)!.key;

test("a line becomes its own text, whatever is in it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.option(fc.string({ unit: "binary" })), (line, key) => {
      const made = messageText(key === null ? {} : { key })(line)!;
      assert.ok(!made.payload.includes("\n"));
      assert.deepEqual([JSON.parse(made.payload), made.key], [line, key ?? undefined]);
    }),
  );
});

test("JSON goes through as it was written, and nothing can be smuggled in behind it", () => {
  const toText = messageText({ json: true });
  const long = '{"n": 1.0e5, "n2": 12345678901234567890}';
  assert.deepEqual(toText(` ${long} `), { payload: long, key: undefined });
  assert.equal(toText("  "), undefined);
  for (const bad of ["{", 'x"', '1},{"payload":2', '1,"key":"other"', "NaN"]) {
    assert.throws(
      () => toText(bad),
      (error) => hasCode(error, "json_malformed"),
      bad,
    );
  }
});

test("what all messages have in common goes with each", () => {
  const flags = { header: { region: "eu" }, priority: 9, ttl: 60, in: 5, idempotencyKey: "k" };
  const fields = {
    headers: { region: "eu" },
    priority: 9,
    ttlSeconds: 60,
    delayMs: 5000,
    idempotencyKey: "k",
  };
  assert.deepEqual(messageText(flags)("x"), { payload: '"x"', key: undefined, ...fields });
});

test("the key comes from where it was said to be", () => {
  assert.equal(keyOf({ key: "k" }, "line"), "k");
  assert.equal(keyOf({ json: true, keyField: "a.b" }, '{"a":{"b":7}}'), "7");
  assert.equal(keyOf({ json: true, keyField: "a.b" }, '{"a":{"b":{}}}'), undefined);
  assert.equal(keyOf({ json: true, keyField: "toString" }, "{}"), undefined);
  assert.equal(keyOf({ keyRegexp: /user=(\w+)/ }, "GET user=ann 200"), "ann");
  assert.equal(keyOf({ keyRegexp: /\d+/ }, "id 42"), "42");
  assert.equal(keyOf({ keyRegexp: /\d+/ }, "none"), undefined);
  assert.equal(keyOf({ keyColumn: 2 }, "  a   b c"), "b");
  assert.equal(keyOf({ keyColumn: 3, separator: "," }, "a,,c,d"), "c");
  assert.equal(keyOf({ keyColumn: 2, separator: "," }, "a,,c"), undefined);
  assert.equal(keyOf({ keyColumn: 9 }, "a b"), undefined);
});

test("a message of the command line is JSON when it can be, unless it is said to be text", () => {
  const payloadOf = (message: string, flags = {}) => JSON.parse(singleMessageText(message, flags).payload);
  assert.deepEqual(payloadOf('{"id":1}'), { id: 1 });
  assert.deepEqual(payloadOf('{\n "text": "a\\nb"\r\n}'), { text: "a\nb" });
  assert.equal(payloadOf("42"), 42);
  assert.equal(payloadOf("42", { text: true }), "42");
  assert.equal(payloadOf("hello\nworld"), "hello\nworld");
  assert.equal(payloadOf(""), "");
  assert.throws(
    () => payloadOf("hello", { json: true }),
    (error) => hasCode(error, "json_malformed"),
  );
});
