import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { hasCode } from "../../core/errors.ts";
import { blobConformance } from "./conformance.ts";
import { openBlob } from "./index.ts";

async function open() {
  const folder = await mkdtemp(join(tmpdir(), "hotswap-blob-"));
  const blob = openBlob({ folder });
  await blob.start();
  const stop = async () => {
    await blob.stop();
    await rm(folder, { recursive: true });
  };
  return { folder, blob, stop };
}

blobConformance("folder", open);

const isCorrupt = (error: unknown) => hasCode(error, "blob_corrupt") && error.message.includes("a/b");

test("damage anywhere in the file is found, and the reader never reaches the end", async () => {
  const { folder, blob, stop } = await open();
  const path = join(folder, "objects/a/b~");
  for (const bytes of [0, 10, 700_000]) {
    await blob.put("a/b", Buffer.alloc(bytes, "x"));
    const good = await readFile(path);
    for (let at = 0; at < good.length; at += Math.max(1, Math.floor(good.length / 97))) {
      const bad = Buffer.from(good);
      bad[at] = bad[at]! ^ 1;
      await writeFile(path, bad);
      await assert.rejects(async () => buffer(await blob.get("a/b")), isCorrupt, `byte ${at} of ${bytes}`);
    }
    for (const length of [0, 39, good.length - 1]) {
      await writeFile(path, good);
      await truncate(path, length);
      await assert.rejects(async () => buffer(await blob.get("a/b")), isCorrupt);
      await assert.rejects(blob.stat("a/b"), isCorrupt);
    }
  }
  await blob.put("a/b", Buffer.from("mended"));
  assert.equal(String(await buffer(await blob.get("a/b"))), "mended");
  await stop();
});

test("what a crash left half-written is cleared at start and was never visible", async () => {
  const { folder, blob, stop } = await open();
  await writeFile(join(folder, "incoming/0"), "half");
  for await (const info of blob.list("")) assert.fail(info.key);
  await blob.start();
  assert.deepEqual(await readdir(join(folder, "incoming")), []);
  await blob.put("key", Buffer.from("x"));
  await stop();
});

test("a stream that nobody reads to its end gives its file back", async () => {
  const { blob, stop } = await open();
  await blob.put("key", Buffer.alloc(1_000_000));
  const openFiles = async () => (await readdir("/proc/self/fd").catch(() => [])).length;
  const before = await openFiles();
  for (let i = 0; i < 20; i++) {
    const stream = await blob.get("key");
    const closed = new Promise((resolve) => stream.once("close", resolve));
    if (i % 2) stream.once("readable", () => stream.destroy());
    else stream.destroy();
    await closed;
  }
  assert.ok((await openFiles()) < before + 10);
  await stop();
});
