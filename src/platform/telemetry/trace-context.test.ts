import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  activeTrace,
  extractTrace,
  formatTraceparent,
  injectTrace,
  parseTraceparent,
  runInSpan,
  silentSpan,
} from "./trace-context.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

test("reads what the specification allows and ignores the rest", () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, flags: 1 });
  assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-00-later`), { traceId, spanId, flags: 0 });
  assert.equal(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.flags, 1);
  const refused = [
    "",
    `ff-${traceId}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}-${spanId}`,
    ` 00-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01\n`,
  ];
  for (const text of refused) assert.equal(parseTraceparent(text), undefined, text);
});

test("property: what is written is read again; arbitrary text never throws", () => {
  const hex = (length: number) =>
    fc.bigInt(1n, 16n ** BigInt(length) - 1n).map((number) => number.toString(16).padStart(length, "0"));
  const context = fc.record(
    { traceId: hex(32), spanId: hex(16), flags: fc.integer({ min: 0, max: 1 }) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(context, (made) => assert.deepEqual(parseTraceparent(formatTraceparent(made)), made)),
  );
  fc.assert(fc.property(fc.string(), (text) => void parseTraceparent(text)));
});

test("carries the caller's trace from header fields to header fields, through waiting", async () => {
  const parent = extractTrace({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1,b=2" });
  assert(parent);
  const headers: Record<string, string> = {};
  await runInSpan(silentSpan(parent), async () => {
    await new Promise((resolve) => setImmediate(resolve));
    injectTrace(headers);
  });
  assert.deepEqual(headers, { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1,b=2" });
  assert.equal(activeTrace(), undefined);
  const none: Record<string, string> = {};
  injectTrace(none);
  assert.deepEqual(none, {});
});

test("drops a trace state that is too long or not printable, and keeps the trace", () => {
  const traceparent = `00-${traceId}-${spanId}-01`;
  for (const tracestate of ["x".repeat(513), "a=\r\nb", "a=é"]) {
    assert.deepEqual(extractTrace({ traceparent, tracestate }), { traceId, spanId, flags: 1 });
  }
  assert.equal(extractTrace({ tracestate: "a=1" }), undefined);
  assert.equal(extractTrace({ traceparent: [traceparent, traceparent] }), undefined);
});
