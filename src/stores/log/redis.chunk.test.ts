import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { blockBody, recordHeaderBytes } from "./record.ts";
import { decodeChunk, encodeChunk } from "./redis.chunk.ts";

const appendsOf = (groups: Uint8Array[][]) =>
  groups.map((bodies) => ({
    bodies,
    sizeBytes: bodies.reduce((sum, body) => sum + recordHeaderBytes + body.length, 0),
  }));

const groups = fc.array(
  fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 5 }),
  { minLength: 1, maxLength: 5 },
);
const offset = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 100 });

test("a chunk gives back the records of its appends, in order", () => {
  fc.assert(
    fc.property(groups, offset, (appended, base) => {
      const { bytes, count } = encodeChunk(base, appendsOf(appended));
      const block = decodeChunk(base, count, Buffer.from(bytes));
      assert.ok(block);
      const bodies = Array.from({ length: count }, (_, index) => Buffer.from(blockBody(block, index)));
      assert.deepEqual(
        bodies,
        appended.flat().map((body) => Buffer.from(body)),
      );
    }),
  );
});

test("a chunk with any bit turned, cut, prolonged, or at another place is refused", () => {
  fc.assert(
    fc.property(groups, offset, fc.nat(), fc.nat({ max: 7 }), (appended, base, place, bit) => {
      const { bytes, count } = encodeChunk(base, appendsOf(appended));
      const turned = Buffer.from(bytes);
      turned[place % turned.length]! ^= 1 << bit;
      assert.equal(decodeChunk(base, count, turned), undefined);
      assert.equal(decodeChunk(base, count, bytes.subarray(0, -1)), undefined);
      assert.equal(decodeChunk(base, count, Buffer.concat([bytes, Buffer.alloc(1)])), undefined);
      assert.equal(decodeChunk(base, count + 1, bytes), undefined);
      assert.equal(decodeChunk(base + 1, count, bytes), undefined);
    }),
  );
});
