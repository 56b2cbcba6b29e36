/** What every log driver must do. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import fc from "fast-check";
import type { ErrorCode } from "../../core/catalogue.ts";
import { hasCode } from "../../core/errors.ts";
import { durabilities, type LogPartition, type LogStore } from "./port.ts";

const everything = { records: 1_000_000, bytes: Number.POSITIVE_INFINITY };

/** Rejects unless the promise rejects with this code. */
const refuses = (promise: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(promise, (error) => hasCode(error, code));

const text = (...bodies: string[]) => bodies.map((body) => Buffer.from(body));

async function readAll(partition: LogPartition): Promise<string[]> {
  const out: string[] = [];
  for (let from = partition.start; from < partition.end; ) {
    const records = await partition.read(from, { records: 64, bytes: 100_000 });
    assert.ok(records.length > 0, `nothing at ${from} below the end`);
    for (const record of records) {
      assert.equal(record.offset, from++);
      out.push(record.body.toString());
    }
  }
  return out;
}

/** `open` starts a driver over an empty place; `reopen` gives another one over the same place, once stopped. */
export function logConformance(
  driver: string,
  open: () => Promise<{ log: LogStore; reopen(): Promise<LogStore>; stop(): Promise<void> }>,
  options: { skip?: string | false; recordBytes: number },
): void {
  suite(`log: ${driver}`, { skip: options.skip ?? false }, () => {
    let log: LogStore;
    let reopen: () => Promise<LogStore>;
    let stop: () => Promise<void>;
    let fresh = 0;
    before(async () => {
      ({ log, reopen, stop } = await open());
    });
    after(() => stop());
    const partition = () => log.partition(`tenant/topic/${fresh++}`);

    test("offsets begin at 0, are dense, and an append's records lie together", async () => {
      const p = await partition();
      assert.deepEqual([p.start, p.end], [0, 0]);
      assert.equal(await p.append(text("a"), "fsync"), 0);
      assert.equal(await p.append(text("b", "c", "d"), "os"), 1);
      assert.equal(await p.append(text("e"), "memory"), 4);
      assert.deepEqual([p.start, p.end], [0, 5]);
      assert.deepEqual(await readAll(p), ["a", "b", "c", "d", "e"]);
      assert.ok(p.bytes >= 5);
    });

    test("appends that are not waited for keep their order, whatever their durabilities", async () => {
      const p = await partition();
      const offsets = await Promise.all(
        Array.from({ length: 300 }, (_, i) => p.append(text(`${i}`, `${i}`), durabilities[i % 3]!)),
      );
      assert.deepEqual(
        offsets,
        offsets.map((_, i) => i * 2),
      );
      assert.deepEqual(
        await readAll(p),
        Array.from({ length: 600 }, (_, i) => `${i >> 1}`),
      );
    });

    test("what has been acknowledged is below the end and can be read at once", async () => {
      const p = await partition();
      const check = async (i: number) => {
        const offset = await p.append(text(`${i}`), durabilities[i % 3]!);
        assert.ok(p.end > offset);
        const [record] = await p.read(offset, { records: 1, bytes: 1 });
        assert.equal(record?.body.toString(), `${i}`);
      };
      await Promise.all(Array.from({ length: 60 }, (_, i) => check(i)));
    });

    test("any bytes come back as they were", async () => {
      const p = await partition();
      const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), {
        minLength: 1,
        maxLength: 20,
      });
      await fc.assert(
        fc.asyncProperty(bodies, fc.constantFrom(...durabilities), async (appended, durability) => {
          const first = await p.append(appended, durability);
          const records = await p.read(first, { ...everything, records: appended.length });
          assert.deepEqual(
            records.map(({ offset, body }) => [offset, body]),
            appended.map((body, i) => [first + i, Buffer.from(body)]),
          );
        }),
        { numRuns: 50 },
      );
    });

    test("a record may be as large as the limit and not larger", async () => {
      const p = await partition();
      const large = Buffer.alloc(options.recordBytes, "large");
      await refuses(p.append([Buffer.concat([large, large])], "fsync"), "message_too_large");
      assert.equal(await p.append([large], "fsync"), 0);
      await p.append(text("small"), "fsync");
      const records = await p.read(0, everything);
      assert.ok(records[0]?.body.equals(large));
      assert.equal((await p.read(1, everything))[0]?.body.toString(), "small");
    });

    test("a read stops at its limits, but gives one record", async () => {
      const p = await partition();
      await p.append(text(..."abcdefghij"), "fsync");
      const count = async (records: number, bytes: number) => (await p.read(2, { records, bytes })).length;
      assert.equal(await count(3, 1000), 3);
      assert.equal(await count(100, 4), 4);
      assert.equal(await count(100, 1), 1);
      assert.equal(await count(100, 1000), 8);
      await p.append([Buffer.alloc(500)], "fsync");
      assert.equal((await p.read(10, { records: 5, bytes: 1 })).length, 1);
    });

    test("a read at the end is empty; one outside of what is stored is refused", async () => {
      const p = await partition();
      assert.deepEqual(await p.read(0, everything), []);
      await p.append(text("a"), "fsync");
      assert.deepEqual(await p.read(1, everything), []);
      for (const offset of [-1, 2, 0.5, Number.NaN])
        await refuses(p.read(offset, everything), "log_offset_out_of_range");
    });

    test("listeners are called when the end has moved, until they leave", async () => {
      const p = await partition();
      const ends: number[] = [];
      const leave = p.onAppend(() => ends.push(p.end));
      await p.append(text("a"), "fsync");
      await p.append(text("b"), "memory");
      await new Promise((resolve) => setImmediate(resolve));
      leave();
      assert.equal(ends.at(-1), 2);
      await p.append(text("c"), "fsync");
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(ends.at(-1), 2);
    });

    test("a reader that follows the writer sees every record once", async () => {
      const p = await partition();
      const total = 2000;
      const seen: number[] = [];
      const finished = Promise.withResolvers<void>();
      const follow = async () => {
        for (const { body } of await p.read(seen.length, { records: 50, bytes: 1000 }))
          seen.push(Number(body));
        if (seen.length === total) finished.resolve();
        else if (seen.length < p.end) await follow();
      };
      let following = Promise.resolve();
      const leave = p.onAppend(() => {
        following = following.then(follow);
      });
      for (let i = 0; i < total; i += 10) {
        const appended = p.append(text(...Array.from({ length: 10 }, (_, j) => `${i + j}`)), "fsync");
        if (i % 70 === 0) await appended;
      }
      await finished.promise;
      leave();
      assert.deepEqual(
        seen,
        seen.map((_, i) => i),
      );
    });

    test("trim gives up what is before the offset, and nothing else", async () => {
      const p = await partition();
      for (let i = 0; i < 200; i++) await p.append([Buffer.from(`${i}`.padEnd(1000))], "os");
      for (const before of [0, 90, 90, 150, 200]) {
        await p.trim(before);
        assert.ok(p.start <= before);
        assert.equal(p.end, 200);
        const numbers = (await readAll(p)).map(Number);
        assert.deepEqual(
          numbers,
          numbers.map((_, i) => p.start + i),
        );
        if (p.start > 0) await refuses(p.read(p.start - 1, everything), "log_offset_out_of_range");
      }
      assert.equal(await p.append(text("next"), "fsync"), 200);
    });

    test("partitions of any name are apart, and the same name is the same object", async () => {
      const names = [
        "a",
        "A",
        "a/b",
        "a/B/0",
        "../up",
        ".dot",
        "spaces are fine",
        "ünï/cödé",
        "%41",
        "con",
        "a.b~c!",
      ];
      for (const name of names) await (await log.partition(name)).append(text(name), "fsync");
      for (const name of names) {
        const p = await log.partition(name);
        assert.equal(p.name, name);
        assert.deepEqual(await readAll(p), [name]);
        assert.equal(await log.partition(name), p);
      }
      const [one, two] = await Promise.all([log.partition("twice"), log.partition("twice")]);
      assert.equal(one, two);
      const listed = await log.list();
      for (const name of names) assert.ok(listed.includes(name) && (await log.has(name)), name);
      assert.equal(await log.has("never was"), false);
      await refuses(log.partition(""), "validation_failed");
      await refuses(log.partition("x".repeat(5000)), "validation_failed");
    });

    test("a removed partition is gone, also for those who hold it; its name can be used again", async () => {
      const p = await log.partition("to remove");
      await p.append(text("a", "b"), "fsync");
      await Promise.all([log.remove("to remove"), log.remove("to remove")]);
      assert.equal((await log.list()).includes("to remove"), false);
      await refuses(p.append(text("c"), "fsync"), "not_found");
      await refuses(p.read(0, everything), "not_found");
      const again = await log.partition("to remove");
      assert.deepEqual([again.start, again.end], [0, 0]);
      assert.equal(await again.append(text("new"), "fsync"), 0);
      await log.remove("never was");
    });

    test("a partition that was let go can be opened again as it was; who still holds the old one is told", async () => {
      const p = await log.partition("let go");
      const appended = p.append(text("a", "b"), "fsync");
      await Promise.all([log.letGo("let go"), log.letGo("let go")]);
      assert.equal(await appended, 0, "an append under way is finished first");
      await refuses(p.append(text("c"), "fsync"), "log_fenced");
      await refuses(p.read(0, everything), "log_fenced");
      const again = await log.partition("let go");
      assert.notEqual(again, p);
      assert.deepEqual(await readAll(again), ["a", "b"]);
      assert.equal(await again.append(text("c"), "fsync"), 2);
      await log.letGo("never was");
    });

    test("after a stop everything acknowledged is there again, of every durability", async () => {
      const p = await log.partition("kept/over/stops");
      for (const durability of durabilities) await p.append(text(durability), durability);
      const late = p.append(text("late"), "fsync");
      await log.stop();
      await log.stop();
      assert.equal(await late, 3);
      await refuses(p.append(text("x"), "fsync"), "shutting_down");
      await refuses(log.partition("x"), "shutting_down");
      log = await reopen();
      const again = await log.partition("kept/over/stops");
      assert.deepEqual(await readAll(again), ["memory", "os", "fsync", "late"]);
      assert.equal(await again.append(text("next"), "fsync"), 4);
    });
  });
}
