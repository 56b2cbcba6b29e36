import assert from "node:assert/strict";
import { after, before, suite, type TestContext, test } from "node:test";
import { createClient } from "redis";
import type { ErrorCode } from "../../core/catalogue.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { type RedisServer, redisServerMissing, startRedisServer } from "../redis.server.ts";
import { logConformance } from "./conformance.ts";
import { openRedisLog } from "./index.ts";
import type { Durability, LogPartition } from "./port.ts";
import { RedisLog, type RedisLogOptions } from "./redis.log.ts";

const skip = redisServerMissing();
const durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
const limits = { recordBytes: 100_000, cacheBytes: 10_000 };
const text = (...bodies: string[]) => bodies.map((body) => Buffer.from(body));

const refuses = (promise: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(promise, (error) => hasCode(error, code) || assert.fail(`${code}, not ${error}`));

for (const [driver, more] of [
  ["redis", {}],
  ["redis, no cache, small groups", { cacheBytes: 0, groupBytes: 2000 }],
] as const) {
  logConformance(
    driver,
    async () => {
      const server = await startRedisServer(durable);
      let log: RedisLog;
      const open = async () => {
        log = new RedisLog({ url: server.url, limits: { ...limits, ...more } });
        await log.start();
        return log;
      };
      const stop = async () => {
        await log.stop();
        await server.stop();
      };
      return { log: await open(), reopen: open, stop };
    },
    { skip, recordBytes: 100_000 },
  );
}

/** A log whose losses and returns can be awaited; it is stopped with the test. */
async function started(t: TestContext, server: RedisServer, options: Partial<RedisLogOptions> = {}) {
  const waiting = new Map<string, () => void>();
  const report: RedisLogOptions["report"] = ({ kind }) => waiting.get(kind)?.();
  const log = new RedisLog({ url: server.url, timeoutMs: 1000, limits, report, ...options });
  t.after(() => log.stop());
  await log.start();
  const event = (kind: "lost" | "restored") => new Promise<void>((resolve) => waiting.set(kind, resolve));
  return { log, event };
}

async function bodies(partition: LogPartition): Promise<string[]> {
  const out: string[] = [];
  while (partition.start + out.length < partition.end) {
    const from = partition.start + out.length;
    for (const { body } of await partition.read(from, { records: 1000, bytes: 1 << 20 })) {
      out.push(body.toString());
    }
  }
  return out;
}

suite("log: redis that fails, and writers that are replaced", { skip }, () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedisServer(durable);
  });
  after(() => server.stop());

  test("a writer that was replaced is refused, and what it had on the way is never seen", async (t) => {
    const { log: old } = await started(t, server);
    const { log: young } = await started(t, server);
    const before = await old.partition("fenced", { epoch: 3 });
    assert.equal(await before.append(text("a"), "fsync"), 0);
    const now = await young.partition("fenced", { epoch: 4 });
    await refuses(before.append(text("late"), "fsync"), "log_fenced");
    await refuses(before.append(text("later"), "fsync"), "log_fenced");
    await refuses(before.read(0, { records: 1, bytes: 1 }), "log_fenced");
    assert.equal(await now.append(text("b"), "fsync"), 1);
    assert.deepEqual(await bodies(now), ["a", "b"]);
    await refuses(old.partition("fenced", { epoch: 3 }), "log_fenced");
    const back = await old.partition("fenced", { epoch: 5 });
    await refuses(now.trim(1), "log_fenced");
    assert.deepEqual(await bodies(back), ["a", "b"]);
  });

  test("who waits for records of a partition that was taken over is woken", async (t) => {
    const { log: old } = await started(t, server);
    const { log: young } = await started(t, server);
    const before = await old.partition("woken", { epoch: 1 });
    await young.partition("woken", { epoch: 2 });
    const woken = new Promise<void>((resolve) => before.onAppend(resolve));
    await refuses(before.append(text("late"), "fsync"), "log_fenced");
    await woken;
  });

  test("appends under way when the server is killed have one outcome each; nothing acknowledged is lost", async (t) => {
    const { log, event } = await started(t, server, {
      timeoutMs: 5000,
      limits: { ...limits, groupBytes: 200 },
    });
    const partition = await log.partition("killed");
    const acknowledged = new Map<number, string>();
    const failed: string[] = [];
    const publish = async (body: string) => {
      try {
        acknowledged.set(await partition.append(text(body), "fsync"), body);
      } catch (error) {
        assert.ok(error instanceof HotSwapError);
        assert.equal(error.code, "store_unavailable");
        failed.push(body);
      }
    };
    for (let round = 0; round < 3; round++) {
      const [lost, restored] = [event("lost"), event("restored")];
      const publishing = Array.from({ length: 2000 }, (_, i) => publish(`${round}/${i}`));
      await Promise.race(publishing);
      await server.kill();
      await lost;
      await server.start();
      await restored;
      await Promise.all(publishing);
      await publish(`${round}/after`);
      assert.equal(acknowledged.get(partition.end - 1), `${round}/after`);
    }
    // In this time the server came back, so that no outcome stayed unknown.
    const stored = await bodies(partition);
    assert.equal(stored.length, acknowledged.size);
    for (const [offset, body] of stored.entries()) assert.equal(acknowledged.get(offset), body);
    assert.equal(stored.length + failed.length, 3 * 2001);
  });

  test("while the server is gone publishes fail at once; after it they work again by themselves", async (t) => {
    const { log, event } = await started(t, server);
    const partition = await log.partition("gone");
    await partition.append(text("before"), "fsync");
    const [lost, restored] = [event("lost"), event("restored")];
    await server.kill();
    await lost;
    const begun = performance.now();
    for (let i = 0; i < 100; i++) await refuses(partition.append(text("x"), "fsync"), "store_unavailable");
    assert.ok(performance.now() - begun < 30_000, "each waited for something");
    assert.equal((await partition.read(0, { records: 1, bytes: 1 })).length, 1, "what is cached can be read");
    await server.start();
    await restored;
    assert.equal(await partition.append(text("after"), "fsync"), 1);
    assert.deepEqual(await bodies(partition), ["before", "after"]);
  });

  test("an append whose reply never came is reported as unknown, and shows up or not as a whole", async (t) => {
    const { log, event } = await started(t, server, { timeoutMs: 200 });
    const partition = await log.partition("doubt");
    await partition.append(text("before"), "fsync");
    server.pause();
    const restored = event("restored");
    await refuses(partition.append(text("a", "b"), "fsync"), "log_outcome_unknown");
    server.resume();
    await restored;
    await partition.certain();
    const { end } = partition;
    const next = await partition.append(text("next"), "fsync");
    assert.ok(next === 1 || next === 3);
    assert.equal(next, end, "what was in doubt is certain before the next append");
    assert.deepEqual(await bodies(partition), next === 3 ? ["before", "a", "b", "next"] : ["before", "next"]);
  });

  test("a server that comes back with less than it had acknowledged closes the partition", async (t) => {
    const forgetful = await startRedisServer(["--save", ""]);
    t.after(() => forgetful.stop());
    const { log, event } = await started(t, forgetful, { durability: "memory" });
    const partition = await log.partition("lost", { epoch: 1 });
    await partition.append(text("a"), "memory");
    const restored = event("restored");
    await forgetful.kill();
    await forgetful.start();
    await restored;
    await refuses(partition.append(text("b"), "memory"), "log_records_lost");
    await refuses(partition.append(text("b"), "memory"), "log_records_lost");
    const again = await log.partition("lost", { epoch: 2 });
    assert.equal(await again.append(text("c"), "memory"), 0);
  });

  test("a full server refuses, keeps what it has, and takes more when there is room", async (t) => {
    const small = await startRedisServer([...durable, "--maxmemory", "4mb"]);
    t.after(() => small.stop());
    const { log } = await started(t, small);
    const partition = await log.partition("full");
    const fill = async () => {
      for (let i = 0; i < 100; i++) await partition.append([Buffer.alloc(90_000, `${i}`)], "fsync");
    };
    await refuses(fill(), "store_unavailable");
    const { end } = partition;
    assert.ok(end > 5);
    await partition.trim(end);
    assert.deepEqual([partition.start, partition.bytes], [end, 0]);
    assert.equal(await partition.append(text("next"), "fsync"), end);
  });

  test("chunks that were removed or changed by others are reported, and what is around them can be read", async (t) => {
    const { log } = await started(t, server, { limits: { ...limits, cacheBytes: 0 } });
    const partition = await log.partition("damage");
    for (const body of ["a", "b", "c"]) await partition.append(text(body, body), "fsync");
    const client = createClient({ url: server.url });
    await client.connect();
    t.after(() => client.destroy());
    await client.xDel("hotswap-log:{damage}:chunks", "2-2");
    const everything = { records: 10, bytes: 1000 };
    assert.equal((await partition.read(0, everything)).length, 2);
    await assert.rejects(partition.read(3, everything), (error) => {
      assert.ok(hasCode(error, "log_corrupt"));
      assert.equal(error.data?.next, 4);
      return true;
    });
    assert.equal((await partition.read(4, everything)).length, 2);
  });

  test("large partitions: trimmed by chunks, read in slices, with sizes that add up", async (t) => {
    const { log } = await started(t, server, { limits: { ...limits, cacheBytes: 0 } });
    const partition = await log.partition("large");
    const body = Buffer.alloc(1000, "x");
    for (let i = 0; i < 200; i++)
      await partition.append(
        Array.from({ length: 50 }, () => body),
        "fsync",
      );
    assert.equal(partition.end, 10_000);
    const full = partition.bytes;
    await partition.trim(5025);
    assert.equal(partition.start, 5000);
    assert.equal(partition.bytes, full / 2);
    const records = await partition.read(5001, { records: 4000, bytes: 100 << 20 });
    assert.deepEqual([records.length, records.at(-1)?.offset], [4000, 9000]);
    const other = new RedisLog({ url: server.url });
    await other.start();
    t.after(() => other.stop());
    const again = await other.partition("large");
    assert.deepEqual([again.start, again.end, again.bytes], [5000, 10_000, full / 2]);
  });
});

suite("log: what a redis keeps", { skip }, () => {
  const kept: [string, Durability, string[]][] = [
    ["nothing", "memory", ["--save", ""]],
    ["a file that is synced each second", "os", ["--save", "", "--appendonly", "yes"]],
    ["a file that is always synced", "fsync", durable],
  ];
  for (const [what, strongest, args] of kept) {
    test(`${what}: ${strongest}, and more is refused with the setting to mend`, async (t) => {
      const server = await startRedisServer(args);
      t.after(() => server.stop());
      for (const durability of ["memory", "os", "fsync"] as const) {
        const log = new RedisLog({ url: server.url, durability, limits });
        t.after(() => log.stop());
        const fits = durability === strongest || strongest === "fsync" || durability === "memory";
        if (!fits) {
          await assert.rejects(log.start(), (error) => {
            assert.ok(hasCode(error, "setting_invalid"), String(error));
            return /appendonly yes/.test(error.message);
          });
          continue;
        }
        await log.start();
        const partition = await log.partition(durability);
        await partition.append(text("a"), durability);
        if (durability !== "fsync") {
          await refuses(partition.append(text("a"), "fsync"), "durability_unavailable");
        }
      }
    });
  }

  test("a server that is set to keep less while we are away is not used again", async (t) => {
    const server = await startRedisServer(durable);
    t.after(() => server.stop());
    const changed = Promise.withResolvers<unknown>();
    const { log } = await started(t, server, {
      report: (event) =>
        event.kind === "lost" && hasCode(event.error, "setting_invalid") && changed.resolve(event),
    });
    const partition = await log.partition("a");
    await server.kill();
    await server.start(["--appendfsync", "everysec"]);
    await changed.promise;
    await refuses(partition.append(text("a"), "fsync"), "store_unavailable");
  });

  test("a server that would throw messages away is refused", async (t) => {
    const server = await startRedisServer([...durable, "--maxmemory-policy", "allkeys-lru"]);
    t.after(() => server.stop());
    await refuses(new RedisLog({ url: server.url }).start(), "setting_invalid");
  });

  test("a URL that cannot be used is refused without showing its password", async () => {
    for (const url of ["http://u:hunter2@host", "redis:hunter2", "redis://u:hunter2@host:port"]) {
      await assert.rejects(openRedisLog({ url }), (error) => {
        assert.ok(hasCode(error, "setting_invalid"));
        return !error.message.includes("hunter2");
      });
    }
  });
});
