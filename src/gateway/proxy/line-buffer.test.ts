import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineBuffer } from "./line-buffer.ts";

/** What is written, by a buffer that has to grow. */
function written(write: (buffer: LineBuffer) => void): string {
  const buffer = new LineBuffer(4);
  write(buffer);
  const { length } = buffer;
  const bytes = buffer.take();
  assert.deepEqual([bytes.length, buffer.length], [length, 0]);
  return bytes.toString("latin1");
}

test("a quoted text is JSON of the same text, and ASCII", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const json = written((buffer) => buffer.quoted(text));
      assert.equal(JSON.parse(json), text);
      assert.match(json, /^[ -~]*$/);
    }),
  );
});

test("numbers are as JavaScript writes them", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(
        written((buffer) => buffer.integer(value)),
        String(value),
      );
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: -1_000_000, max: 2 ** 40 }), (thousandths) => {
      const value = thousandths / 1000;
      assert.equal(
        written((buffer) => buffer.thousandths(value)),
        String(value),
      );
    }),
  );
});

test("three digits have their zeros", () => {
  for (const value of [0, 7, 42, 100, 999]) {
    assert.equal(
      written((buffer) => buffer.threeDigits(value)),
      String(value).padStart(3, "0"),
    );
  }
});

test("what was taken stays when more is written", () => {
  const buffer = new LineBuffer(4);
  buffer.text("one\n");
  const one = buffer.take();
  buffer.text("two and more\n");
  assert.deepEqual([String(one), String(buffer.take())], ["one\n", "two and more\n"]);
});
