/** What every blob driver must do. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { after, before, suite, test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../core/errors.ts";
import { type BlobInfo, type BlobStore, keyPattern } from "./port.ts";

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

export function blobConformance(
  driver: string,
  open: () => Promise<{ blob: BlobStore; stop(): Promise<void> }>,
  options: { skip?: string | false } = {},
): void {
  suite(`blob: ${driver}`, { skip: options.skip ?? false }, () => {
    let blob: BlobStore;
    let stop: () => Promise<void>;
    before(async () => {
      ({ blob, stop } = await open());
    });
    after(() => stop());
    const content = async (key: string) => buffer(await blob.get(key));
    const keys = async (prefix: string) => {
      const infos: BlobInfo[] = [];
      for await (const info of blob.list(prefix)) infos.push(info);
      return infos.map((info) => info.key);
    };

    test("content comes back as it was put, from bytes and from streams, of any size", async () => {
      for (const size of [0, 1, 40, 262_143, 262_144, 262_145, 3_000_000]) {
        const bytes = Buffer.alloc(size, "some content that is not all the same. ");
        const info = { key: `sizes/${size}`, bytes: size, sha256: sha256(bytes) };
        assert.deepEqual(await blob.put(info.key, bytes), info);
        assert.deepEqual(await blob.stat(info.key), info);
        assert.equal((await content(info.key)).equals(bytes), true);
        const pieces = Array.from({ length: Math.ceil(size / 70_000) }, (_, i) =>
          bytes.subarray(i * 70_000, (i + 1) * 70_000),
        );
        assert.deepEqual(await blob.put(info.key, Readable.from(pieces)), info);
        assert.equal((await content(info.key)).equals(bytes), true);
      }
    });

    test("what is not there is not found", async () => {
      await assert.rejects(blob.get("absent"), (error) => hasCode(error, "not_found"));
      assert.equal(await blob.stat("absent"), undefined);
      await blob.delete("absent");
      await blob.put("present", Buffer.from("x"));
      await assert.rejects(blob.get("present/below"), (error) => hasCode(error, "not_found"));
      await blob.delete("present");
      await blob.delete("present");
      assert.equal(await blob.stat("present"), undefined);
    });

    test("a source that fails leaves what was there", async () => {
      await blob.put("kept", Buffer.from("old"));
      const failing = async function* () {
        yield Buffer.from("half of the new");
        throw new Error("the upload broke off");
      };
      await assert.rejects(blob.put("kept", Readable.from(failing())), /the upload broke off/);
      await assert.rejects(blob.put("never", Readable.from(failing())), /the upload broke off/);
      assert.equal(String(await content("kept")), "old");
      assert.deepEqual(await keys("never"), []);
    });

    test("a reader keeps its content while the object is replaced or deleted", async () => {
      const old = Buffer.alloc(1_000_000, "old");
      await blob.put("read", old);
      const [first, second] = [await blob.get("read"), await blob.get("read")];
      await blob.put("read", Buffer.from("new"));
      assert.equal((await buffer(first)).equals(old), true);
      await blob.delete("read");
      assert.equal((await buffer(second)).equals(old), true);
    });

    test("of several who put one key at once, one is there whole", async () => {
      const contents = Array.from({ length: 8 }, (_, i) => Buffer.alloc(300_000 + i, String(i)));
      await Promise.all(contents.map((bytes) => blob.put("race/deep/key", Readable.from([bytes]))));
      const found = await content("race/deep/key");
      assert.equal(contents.filter((bytes) => bytes.equals(found)).length, 1);
    });

    test("a list has the keys of the prefix, in order; keys differ in every character", async () => {
      const all = ["l/a", "l/a/b", "l/A", "l/a-b", "l/a.b/c", "l/aa", "l/a_", "l2"];
      for (const key of all) await blob.put(key, Buffer.from(key));
      const expected = all.filter((key) => key.startsWith("l/")).sort();
      assert.deepEqual(await keys("l/"), expected);
      assert.deepEqual(await keys("l/a-"), ["l/a-b"]);
      for (const key of all) assert.equal(String(await content(key)), key);
    });

    test("no key leads anywhere else", async () => {
      const outside = [
        "",
        "/",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        ".hidden",
        "a/.b",
        "a\\b",
        "a\0b",
      ];
      const wrong = [...outside, "a%2fb", "ä", "a b", "a~", "x".repeat(81), `${"x/".repeat(256)}x`, "a\n"];
      for (const key of wrong) await assertRefused(blob, key);
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: fc.constantFrom(..."./\\%~a\0") }), async (key) => {
          if (!keyPattern.test(key)) await assertRefused(blob, key);
        }),
      );
    });
  });
}

async function assertRefused(blob: BlobStore, key: string): Promise<void> {
  const refused = (error: unknown) => hasCode(error, "validation_failed");
  await assert.rejects(blob.put(key, Buffer.from("x")), refused, JSON.stringify(key));
  await assert.rejects(blob.get(key), refused);
  await assert.rejects(blob.stat(key), refused);
  await assert.rejects(blob.delete(key), refused);
}
