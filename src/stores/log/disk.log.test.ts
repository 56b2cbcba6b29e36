/** The disk log on real files: the conformance suite, and what only a look at the files or the calls can show. */
import assert from "node:assert/strict";
import { mkdtemp, open as openFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type HotSwapError, hasCode } from "../../core/errors.ts";
import { logConformance } from "./conformance.ts";
import { realDisk } from "./disk.real.ts";
import type { Disk } from "./disk.ts";
import { type LogLimits, openLog } from "./index.ts";

const small: Partial<LogLimits> = {
  segmentBytes: 20_000,
  recordBytes: 100_000,
  cacheBytes: 10_000,
  openFiles: 4,
  indexes: 2,
};

async function folderFor(context: { after(fn: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "hotswap-log-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function started(folder: string, limits: Partial<LogLimits> = {}) {
  const log = openLog({ folder, limits });
  await log.start();
  return log;
}

for (const [name, limits] of [
  ["disk", { recordBytes: 100_000 }],
  ["disk, everything tiny", small],
] as const) {
  logConformance(
    name,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "hotswap-log-"));
      let log = await started(folder, limits);
      return {
        log,
        reopen: async () => {
          log = await started(folder, limits);
          return log;
        },
        stop: async () => {
          await log.stop();
          await rm(folder, { recursive: true });
        },
      };
    },
    { recordBytes: 100_000 },
  );
}

/** A disk that writes down what it is asked to do. */
function recorded(disk: Disk, calls: string[]): Disk {
  return {
    ...disk,
    async open(path, mode) {
      calls.push(`open ${path}`);
      const file = await disk.open(path, mode);
      return {
        get size() {
          return file.size;
        },
        write(bytes, position) {
          calls.push(`write ${path}`);
          return file.write(bytes, position);
        },
        read(target, position) {
          calls.push(`read ${path}`);
          return file.read(target, position);
        },
        sync() {
          calls.push(`sync ${path}`);
          return file.sync();
        },
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      };
    },
  };
}

const body = (i: number) => Buffer.from(`${i}`.padEnd(100));

test("a thousand appends of one moment are one write and one sync", async (context) => {
  const calls: string[] = [];
  const log = openLog({ disk: recorded(realDisk(await folderFor(context)), calls) });
  await log.start();
  const p = await log.partition("p");
  await p.append([body(0)], "fsync");
  calls.length = 0;
  await Promise.all(Array.from({ length: 1000 }, (_, i) => p.append([body(i)], "fsync")));
  assert.deepEqual(calls, ["write p/0000000000000000.log", "sync p/0000000000000000.log"]);
  calls.length = 0;
  await Promise.all(Array.from({ length: 100 }, (_, i) => p.append([body(i)], "os")));
  assert.deepEqual(calls, ["write p/0000000000000000.log"]);
  await log.stop();
});

test("a reader near the writer needs no disk", async (context) => {
  const calls: string[] = [];
  const log = openLog({ disk: recorded(realDisk(await folderFor(context)), calls) });
  await log.start();
  const p = await log.partition("p");
  for (let i = 0; i < 200; i++) await p.append([body(i)], "fsync");
  calls.length = 0;
  for (let from = 0; from < 200; from += 50) {
    const records = await p.read(from, { records: 50, bytes: 1e6 });
    assert.deepEqual(
      records.map((record) => Number(record.body)),
      records.map((_, i) => from + i),
    );
  }
  assert.deepEqual(calls, []);
  await log.stop();
});

test("a store opens without looking at its partitions, and one partition without reading its records", async (context) => {
  const folder = await folderFor(context);
  const first = await started(folder, { segmentBytes: 5000 });
  for (let i = 0; i < 20; i++) {
    const p = await first.partition(`p${i}`);
    for (let j = 0; j < 100; j++) void p.append([body(j)], "os");
    await p.append([body(100)], "fsync");
  }
  await first.stop();
  const calls: string[] = [];
  const log = openLog({ disk: recorded(realDisk(folder), calls) });
  await log.start();
  assert.equal((await log.list()).length, 20);
  assert.equal(calls.length, 0);
  const p = await log.partition("p7");
  assert.deepEqual([p.start, p.end], [0, 101]);
  assert.ok(calls.filter((call) => call.startsWith("read")).length <= 3, calls.join("\n"));
  assert.ok(calls.every((call) => call.includes("p7/")));
  await log.stop();
});

test("descriptors stay bounded however many partitions are busy at once", async (context) => {
  let open = 0;
  let most = 0;
  const real = realDisk(await folderFor(context));
  const disk: Disk = {
    ...real,
    async open(path, mode) {
      most = Math.max(most, ++open);
      const file = await real.open(path, mode);
      const close = file.close.bind(file);
      file.close = () => {
        open -= 1;
        return close();
      };
      return file;
    },
  };
  const log = openLog({ disk, limits: { openFiles: 10, settleMs: 1 } });
  await log.start();
  const partitions = await Promise.all(Array.from({ length: 200 }, (_, i) => log.partition(`p${i}`)));
  for (const p of partitions) await p.append([body(0)], "fsync");
  most = 0;
  await Promise.all(partitions.map((p, i) => p.append([body(1)], i % 2 ? "os" : "fsync")));
  await Promise.all(partitions.map((p) => p.read(0, { records: 2, bytes: 1000 })));
  assert.ok(most <= 10 + 32 + 1, `${most} files were open`); // and those that settle meanwhile
  await log.stop();
  assert.equal(open, 0);
});

/** Segment files with their sizes, oldest first. */
async function segments(folder: string) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".log")).sort();
  return Promise.all(names.map(async (name) => ({ name, bytes: (await stat(join(folder, name))).size })));
}

async function flip(path: string, position: number): Promise<void> {
  const file = await openFile(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 0x55;
  await file.write(byte, 0, 1, position);
  await file.close();
}

test("a damaged record is reported with its place, what is around it can be read, and appends go on", async (context) => {
  const folder = await folderFor(context);
  for (const sealed of [true, false]) {
    const name = sealed ? "sealed" : "active";
    const first = await started(folder, { segmentBytes: sealed ? 5000 : 1e6 });
    const writer = await first.partition(name);
    for (let i = 0; i < 100; i++) await writer.append([body(i)], "fsync");
    await first.stop();
    const [segment] = await segments(join(folder, name));
    await flip(join(folder, name, segment!.name), 64 + 20 * 116 + 50);

    const log = await started(folder, { cacheBytes: 0 });
    const p = await log.partition(name);
    assert.equal(p.end, 100);
    const before = await p.read(15, { records: 100, bytes: 1e6 });
    assert.deepEqual(
      before.map((record) => record.offset),
      [15, 16, 17, 18, 19],
    );
    await assert.rejects(p.read(20, { records: 100, bytes: 1e6 }), (error) => {
      assert.ok(hasCode(error, "log_corrupt"));
      const { partition, segment: file, offset, next } = (error as HotSwapError).data!;
      assert.deepEqual([partition, file, offset, next], [name, segment!.name, 20, 21]);
      assert.ok(!(error as HotSwapError).message.includes(folder));
      return true;
    });
    assert.equal((await p.read(21, { records: 1, bytes: 1 }))[0]?.offset, 21);
    assert.equal(await p.append([body(100)], "fsync"), 100);
    assert.equal(Number((await p.read(100, { records: 1, bytes: 1 }))[0]?.body), 100);
    await log.stop();
  }
});

test("a torn tail is cut; damage to what a mark proves durable is not taken for one", async (context) => {
  const folder = await folderFor(context);
  const first = await started(folder);
  const p = await first.partition("p");
  for (let i = 0; i < 50; i++) await p.append([body(i)], "fsync");
  await first.stop();
  const path = join(folder, "p", "0000000000000000.log");
  await rm(join(folder, "p", "0000000000000000.index"));

  // As a power failure leaves it: half a record at the end.
  const file = await openFile(path, "r+");
  await file.truncate(64 + 49 * 116 + 60);
  await file.close();
  const second = await started(folder);
  assert.equal((await second.partition("p")).end, 49);
  await second.stop();

  // A hole in the middle, with records behind it that say that all this was durable.
  const [, newer] = await segments(join(folder, "p"));
  await rm(join(folder, "p", newer!.name));
  await rm(join(folder, "p", newer!.name.replace("log", "index")));
  await flip(path, 64 + 10 * 116 + 3);
  const third = await started(folder);
  const again = await third.partition("p");
  assert.equal(again.end, 49);
  await assert.rejects(again.read(10, { records: 1, bytes: 1 }), (error) => hasCode(error, "log_corrupt"));
  assert.equal((await again.read(11, { records: 100, bytes: 1e6 })).length, 38);
  await third.stop();
});

test("a lost, stale or damaged checkpoint costs a scan and nothing else", async (context) => {
  const folder = await folderFor(context);
  const first = await started(folder, { segmentBytes: 5000 });
  const writer = await first.partition("p");
  for (let i = 0; i < 300; i++) await writer.append([body(i)], "fsync");
  await first.stop();
  const names = (await readdir(join(folder, "p"))).filter((name) => name.endsWith(".index"));
  assert.ok(names.length > 5);
  for (const [i, name] of names.entries()) {
    const path = join(folder, "p", name);
    if (i % 2 === 0) await rm(path);
    else await flip(path, 20);
  }
  const log = await started(folder);
  const p = await log.partition("p");
  for (let i = 0; i < 300; i++) {
    assert.equal(Number((await p.read(i, { records: 1, bytes: 1 }))[0]?.body), i);
  }
  await log.stop();
});

test("a segment whose header is damaged fails for itself only", async (context) => {
  const folder = await folderFor(context);
  const first = await started(folder, { segmentBytes: 5000 });
  const writer = await first.partition("p");
  await (await first.partition("other")).append([body(0)], "fsync");
  for (let i = 0; i < 200; i++) await writer.append([body(i)], "fsync");
  await first.stop();
  const files = await segments(join(folder, "p"));
  const base = Number(files[1]!.name.slice(0, 16));
  await flip(join(folder, "p", files[1]!.name), 13);
  const log = await started(folder);
  const p = await log.partition("p");
  assert.equal(p.end, 200);
  assert.ok((await p.read(0, { records: 1000, bytes: 1e6 })).length >= base);
  await assert.rejects(p.read(base, { records: 1, bytes: 1 }), (error) => hasCode(error, "log_corrupt"));
  const after = Number(files[2]!.name.slice(0, 16));
  assert.equal((await p.read(after, { records: 1, bytes: 1 }))[0]?.offset, after);
  await log.stop();

  await flip(join(folder, "p", (await segments(join(folder, "p"))).at(-1)!.name), 3);
  const last = await started(folder);
  await assert.rejects(last.partition("p"), (error) => hasCode(error, "log_corrupt"));
  assert.equal((await last.partition("other")).end, 1);
  await last.stop();
});
