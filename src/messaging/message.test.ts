import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  contentTypeOf,
  decodeMessage,
  encodeMessage,
  expiresAtOf,
  idempotencyKeyOf,
  isJsonType,
  isOpaque,
  keyOf,
  type NewMessage,
  originOf,
  priorityOf,
  publishedAtOf,
  scheduleOf,
  traceOf,
  withOrigin,
  withoutOrigin,
  withSchedule,
} from "./message.ts";

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const time = fc.integer({ min: 0, max: 4e12 });
const origin = fc.record({
  deadLetterId: text,
  messageId: text,
  topic: text,
  partition: fc.nat(),
  offset: fc.nat(),
  subscription: text,
  cause: fc.constantFrom("attempts" as const, "rejected" as const, "expired" as const),
  reason: text,
  attempts: fc.nat(),
  publishedAt: text,
  firstFailedAt: text,
  lastFailedAt: text,
  deadLetteredAt: text,
});
const trace = fc.record(
  {
    traceId: hex(32),
    spanId: hex(16),
    flags: fc.integer({ min: 0, max: 255 }),
    state: fc.stringMatching(/^[ -~]{1,60}$/),
  },
  { requiredKeys: ["traceId", "spanId", "flags"] },
);
const message: fc.Arbitrary<NewMessage> = fc.record({
  key: maybe(text),
  headers: maybe(fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }))),
  payload: fc.oneof(fc.json().map(Buffer.from), fc.uint8Array().map(Buffer.from)),
  priority: maybe(fc.integer({ min: 0, max: 9 })),
  ttlMs: maybe(fc.nat()),
  deliverAt: maybe(time),
  idempotencyKey: maybe(text),
  contentType: maybe(fc.constantFrom("text/plain", "application/json", "application/cloudevents+json")),
  trace: maybe(trace),
  origin: maybe(origin),
});

describe("message", () => {
  it("becomes a dead letter and is itself again, byte for byte", () => {
    const live = message.map((given) => ({ ...given, origin: undefined }));
    fc.assert(
      fc.property(live, origin, time, time, (given, from, publishedAt, deadLetteredAt) => {
        const body = encodeMessage(given, publishedAt);
        const dead = withOrigin(body, from, deadLetteredAt);
        assert.equal(originOf(dead), JSON.stringify(from));
        assert.equal(publishedAtOf(dead), deadLetteredAt);
        assert.deepEqual(decodeMessage(dead).payload, decodeMessage(body).payload);
        assert.deepEqual(decodeMessage(dead).headers, decodeMessage(body).headers);
        assert.deepEqual([keyOf(dead), traceOf(dead)], [keyOf(body), traceOf(body)]);
        assert.deepEqual(withoutOrigin(dead, publishedAt), body);
      }),
    );
  });

  it("keeps every field, and each is read without the others", () => {
    fc.assert(
      fc.property(message, time, (given, publishedAt) => {
        const body = encodeMessage(given, publishedAt);
        const stored = decodeMessage(body);
        assert.equal(stored.key, given.key);
        assert.equal(keyOf(body), given.key);
        assert.equal(stored.publishedAt, publishedAt);
        assert.deepEqual(stored.payload, given.payload);
        const shown = stored.headers.length > 0 ? JSON.parse(stored.headers.toString()) : undefined;
        assert.deepEqual(shown, given.headers && JSON.parse(JSON.stringify(given.headers)));
        assert.equal(priorityOf(body), given.priority ?? 0);
        const begins = Math.max(publishedAt, given.deliverAt ?? 0);
        assert.equal(expiresAtOf(body), given.ttlMs === undefined ? undefined : begins + given.ttlMs);
        assert.equal(scheduleOf(body)?.deliverAt, given.deliverAt);
        assert.equal(idempotencyKeyOf(body), given.idempotencyKey);
        assert.equal(contentTypeOf(body), given.contentType);
        assert.deepEqual(traceOf(body), given.trace && { ...given.trace });
        assert.equal(originOf(body), given.origin && JSON.stringify(given.origin));
        assert.equal(isOpaque(body), !isJsonType(given.contentType));
      }),
    );
  });

  it("of a message without fields is what version 1 wrote", () => {
    const body = encodeMessage({ key: "k", headers: { h: "1" }, payload: Buffer.from("{}") }, 5);
    const before = `01000000000000001440010009000000${Buffer.from('k{"h":"1"}{}').toString("hex")}`;
    assert.equal(body.toString("hex"), before);
    assert.throws(() => decodeMessage(Buffer.from([3, ...body.subarray(1)])), { code: "log_corrupt" });
  });

  it("that waited keeps all but the time of its publishing", () => {
    fc.assert(
      fc.property(message, time, time, fc.nat(), (given, first, second, source) => {
        const waiting = encodeMessage({ ...given, deliverAt: first + 1 }, first);
        const due = withSchedule(waiting, second, source);
        assert.equal(publishedAtOf(due), second);
        assert.deepEqual(scheduleOf(due), { deliverAt: first + 1, source });
        assert.deepEqual(scheduleOf(waiting), { deliverAt: first + 1, source: -1 });
        assert.deepEqual(decodeMessage(due).payload, given.payload);
        assert.equal(expiresAtOf(due), expiresAtOf(waiting));
      }),
    );
  });
});
