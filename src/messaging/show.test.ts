import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeMessage, type NewMessage } from "./message.ts";
import { showOne, showReceived, showStored } from "./show.ts";

const topic = { name: "orders", number: 7 };
const message = fc.record({
  key: fc.option(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), { nil: undefined }),
  headers: fc.option(fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: "grapheme" })), {
    nil: undefined,
  }),
  payload: fc.jsonValue(),
  publishedAt: fc.integer({ min: 0, max: 4e12 }),
  lastReason: fc.option(fc.string({ unit: "grapheme" }), { nil: undefined }),
});

describe("messages as JSON", () => {
  it("parse to what was published, for any content", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const deliveries = messages.map(({ key, headers, payload, publishedAt, lastReason }, offset) => {
          const body = encodeMessage(
            { key, headers, payload: Buffer.from(JSON.stringify(payload)) },
            publishedAt,
          );
          return {
            partition: 2,
            offset,
            body,
            attempt: offset + 1,
            receipt: `r-${offset}`,
            fence: 1,
            receivedIn() {},
            lastReason,
          };
        });
        const shown = messages.map(({ key, headers, payload, publishedAt }, offset) => ({
          messageId: `7-2-${offset.toString(36)}`,
          topic: "orders",
          partition: 2,
          offset,
          key: key ?? null,
          publishedAt: new Date(publishedAt).toISOString(),
          headers: { ...headers },
          payload: JSON.parse(JSON.stringify(payload)) as unknown,
        }));
        assert.deepEqual(parse(showStored(topic, deliveries)), normal({ messages: shown }));
        const leased = shown.map((one, i) => ({
          ...one,
          attempt: i + 1,
          receipt: `r-${i}`,
          leaseExpiresAt: "1970-01-01T00:00:01.000Z",
          ...(messages[i]!.lastReason !== undefined && { lastReason: messages[i]!.lastReason }),
        }));
        assert.deepEqual(
          parse(showReceived(topic, { deliveries, expiresAt: 1000 })),
          normal({ messages: leased }),
        );
        if (deliveries[0]) assert.deepEqual(parse(showOne(topic, deliveries[0])), normal(shown[0]));
      }),
    );
  });
});

describe("messages with fields as JSON", () => {
  const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16), flags: 1, state: "x=1" };
  const origin = {
    deadLetterId: "8-0-1",
    messageId: "7-0-1",
    topic: "orders",
    partition: 0,
    offset: 1,
    subscription: "s",
    cause: "attempts" as const,
    reason: "card declined",
    attempts: 6,
    publishedAt: "1970-01-01T00:00:00.000Z",
    firstFailedAt: "1970-01-01T00:00:00.500Z",
    lastFailedAt: "1970-01-01T00:00:00.900Z",
    deadLetteredAt: "1970-01-01T00:00:01.000Z",
  };
  const fields = { priority: 7, ttlMs: 1000, deliverAt: 5000, idempotencyKey: 'i"1', trace, origin };
  const show = (message: Partial<NewMessage>) => {
    const { payload = Buffer.from("1"), ...rest } = message;
    const body = encodeMessage({ key: undefined, headers: undefined, payload, ...rest }, 1000);
    return parse(showOne(topic, { partition: 0, offset: 1, body })) as Record<string, unknown>;
  };

  it("show each field, and JSON of another media type as JSON", () => {
    const { payload, priority, contentType, headers, traceparent, tracestate, ...rest } = show({
      ...fields,
      contentType: "application/cloudevents+json",
      payload: Buffer.from('{"n":1}'),
      headers: { h: "1" },
    });
    assert.deepEqual([payload, priority, headers], [{ n: 1 }, 7, { h: "1" }]);
    assert.equal(contentType, "application/cloudevents+json");
    assert.deepEqual([traceparent, tracestate], [`00-${trace.traceId}-${trace.spanId}-01`, "x=1"]);
    assert.equal(rest.expiresAt, "1970-01-01T00:00:06.000Z");
    assert.equal(rest.scheduledFor, "1970-01-01T00:00:05.000Z");
    assert.equal(rest.idempotencyKey, 'i"1');
    assert.deepEqual(rest.origin, origin);
  });

  it("show bytes of any other type in base64, whatever their number", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, withHeaders) => {
        const headers = withHeaders ? { h: "ü" } : undefined;
        const shown = show({ payload: Buffer.from(bytes), contentType: "image/png", headers });
        assert.equal(shown.payloadBase64, Buffer.from(bytes).toString("base64"));
        assert.equal("payload" in shown, false);
        assert.deepEqual(shown.headers, headers ?? {});
      }),
    );
  });
});

const parse = (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown;
/** As JSON.parse makes it: keys such as `__proto__` are plain members. */
const normal = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
