import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasCode } from "../core/errors.ts";
import { formatMessageId, formatReceipt, parseMessageId, parseReceipt } from "./ids.ts";

const number = fc.maxSafeNat();

describe("message ids and receipts", () => {
  it("come back as they went in", () => {
    fc.assert(
      fc.property(number, number, number, number, (a, partition, offset, fence) => {
        assert.deepEqual(parseMessageId(formatMessageId(a, partition, offset)), {
          topic: a,
          partition,
          offset,
        });
        const receipt = { subscription: a, partition, offset, fence };
        assert.deepEqual(parseReceipt(formatReceipt(a, partition, offset, fence)), receipt);
      }),
    );
  });

  it("refuse every other text", () => {
    const near = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9a-zA-Z-]{0,24}$/),
      fc.constantFrom("1-2", "1-2-3-4-5", "-1-2-3", "01-2-3"),
    );
    fc.assert(
      fc.property(near, (text) => {
        for (const [parse, format, code] of [
          [
            parseMessageId,
            (id: ReturnType<typeof parseMessageId>) => formatMessageId(id.topic, id.partition, id.offset),
            "message_not_found",
          ],
          [
            parseReceipt,
            (r: ReturnType<typeof parseReceipt>) =>
              formatReceipt(r.subscription, r.partition, r.offset, r.fence),
            "receipt_invalid",
          ],
        ] as const) {
          try {
            assert.equal((format as (value: unknown) => string)(parse(text)), text);
          } catch (error) {
            assert.ok(hasCode(error, code), String(error));
          }
        }
      }),
    );
  });
});
