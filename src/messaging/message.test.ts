import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeMessage, encodeMessage, keyOf } from "./message.ts";

describe("message", () => {
  it("keeps key, headers and the payload's own bytes", () => {
    const headers = fc.option(fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), {
      nil: undefined,
    });
    const key = fc.option(fc.string({ unit: "grapheme", minLength: 1 }), { nil: undefined });
    fc.assert(
      fc.property(key, headers, fc.json(), fc.nat(), (messageKey, messageHeaders, payload, publishedAt) => {
        const bytes = Buffer.from(payload);
        const body = encodeMessage({ key: messageKey, headers: messageHeaders, payload: bytes }, publishedAt);
        const stored = decodeMessage(body);
        assert.equal(stored.key, messageKey);
        assert.equal(keyOf(body), messageKey);
        assert.equal(stored.publishedAt, publishedAt);
        assert.deepEqual(stored.payload, bytes);
        const shown = stored.headers.length > 0 ? JSON.parse(stored.headers.toString()) : undefined;
        assert.deepEqual(shown, messageHeaders && JSON.parse(JSON.stringify(messageHeaders)));
      }),
    );
  });
});
