import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeMessage } from "./message.ts";
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

const parse = (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown;
/** As JSON.parse makes it: keys such as `__proto__` are plain members. */
const normal = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
