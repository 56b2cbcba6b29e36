import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../core/errors.ts";
import { readBlocks } from "./lines.ts";

async function linesOf(chunks: Buffer[]): Promise<string[]> {
  const blocks = await Array.fromAsync(readBlocks(Readable.from(chunks)));
  return blocks.flatMap(({ lines }) => lines);
}

/** Cuts at every one of these places, given as shares of the whole. */
function cut(bytes: Buffer, shares: readonly number[]): Buffer[] {
  const places = shares.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b);
  return [0, ...places].map((start, index) => bytes.subarray(start, places[index] ?? bytes.length));
}

const someLine = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replaceAll("\n", "\r"));
const someCuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });

test("lines are the same however the input is cut, inside of characters too", async () => {
  const property = fc.asyncProperty(
    fc.array(someLine, { maxLength: 12 }),
    someCuts,
    fc.boolean(),
    async (lines, cuts, isTerminated) => {
      const text = lines.join("\n") + (isTerminated && lines.length > 0 ? "\n" : "");
      // An empty last line without an end is no line.
      const expected = !isTerminated && lines.at(-1) === "" ? lines.slice(0, -1) : lines;
      assert.deepEqual(await linesOf(cut(Buffer.from(text), cuts)), expected);
    },
  );
  await fc.assert(property, { numRuns: 500 });
});

test("what is not UTF-8 is refused by its line and never replaced", async () => {
  const bad = Buffer.concat([
    Buffer.from("one\ntwo\n"),
    Buffer.from([0x74, 0xc3, 0x28]),
    Buffer.from("\nfour\n"),
  ]);
  for (let at = 0; at <= bad.length; at++) {
    await assert.rejects(
      linesOf([bad.subarray(0, at), bad.subarray(at)]),
      (error) => hasCode(error, "encoding_invalid") && /^Line 3 /.test(error.message),
    );
  }
});

test("the bytes read are counted up to the end of each block", async () => {
  const blocks = await Array.fromAsync(readBlocks(Readable.from([Buffer.from("a\nb"), Buffer.from("c\nd")])));
  assert.deepEqual(blocks, [
    { lines: ["a"], bytesRead: 3 },
    { lines: ["bc"], bytesRead: 6 },
    { lines: ["d"], bytesRead: 6 },
  ]);
});

test("a line without an end does not fill the memory", async () => {
  const endless = Array.from({ length: 70 }, () => Buffer.alloc(1 << 20, 0x78));
  await assert.rejects(linesOf(endless), (error) => hasCode(error, "message_too_large"));
});
