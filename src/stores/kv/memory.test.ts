import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { kvConformance } from "./conformance.ts";
import { MemoryKv } from "./memory.ts";
import type { KvEvent } from "./port.ts";
import { RecentMap } from "./recent.ts";

kvConformance("memory", async () => {
  const clock = new ManualClock();
  const events: KvEvent[] = [];
  const kv = new MemoryKv({ clock, report: (event) => events.push(event) });
  await kv.start();
  return { kv, other: kv, events, elapse: async (ms) => clock.advance(ms), stop: () => kv.stop() };
});

test("a key ends at its time to the millisecond, whatever the wall clock does", async () => {
  const clock = new ManualClock();
  const kv = new MemoryKv({ clock });
  await kv.set("key", "v", { ttlMs: 1500 });
  clock.jump(0);
  clock.advance(1499);
  assert.equal(await kv.get("key"), "v");
  clock.advance(1);
  assert.equal(await kv.get("key"), undefined);
});

test("a full store refuses new keys, keeps the old, and takes new ones as soon as keys end", async () => {
  const clock = new ManualClock();
  const kv = new MemoryKv({ clock, keysMax: 3 });
  await kv.set("lock", "v");
  await kv.set("short", "v", { ttlMs: 100 });
  await kv.set("long", "v", { ttlMs: 5000 });
  await assert.rejects(kv.set("new", "v"), (error) => hasCode(error, "overloaded"));
  await assert.rejects(kv.increment("new", 1), (error) => hasCode(error, "overloaded"));
  assert.equal(await kv.set("long", "w", { ttlMs: 9000 }), true);
  clock.advance(1000); // nobody looked at `short`
  assert.equal(await kv.set("new", "v"), true);
  assert.deepEqual(await Promise.all(["lock", "short", "long", "new"].map((key) => kv.get(key))), [
    "v",
    undefined,
    "w",
    "v",
  ]);
  await kv.delete("new");
  assert.equal(await kv.set("newer", "v"), true);
});

test("keys that nobody reads again are freed, also after a long silence", async () => {
  const clock = new ManualClock();
  const kv = new MemoryKv({ clock, keysMax: 100 });
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 99; i++) await kv.set(`${round}/${i}`, "v", { ttlMs: 1 + 37 * i });
    await kv.set("moved", "v", { ttlMs: round % 2 ? 1 : 86_400_000 });
    clock.advance(round % 3 ? 5000 : 86_400_000);
  }
});

test("a key that was given more time, or was made anew, does not end at its old time", async () => {
  const clock = new ManualClock();
  const kv = new MemoryKv({ clock });
  await kv.set("longer", "v", { ttlMs: 1500 });
  await kv.set("longer", "v", { ttlMs: 60_000 });
  await kv.set("anew", "v", { ttlMs: 1500 });
  await kv.delete("anew");
  await kv.increment("anew", 1);
  clock.advance(5000);
  await kv.set("any write", "frees what is over");
  assert.deepEqual([await kv.get("longer"), await kv.get("anew")], ["v", "1"]);
});

test("a flood of rate limits forgets the idle ones and never those in use", () => {
  const kv = new MemoryKv({ clock: new ManualClock(), keysMax: 100 });
  const limit = { burst: 1000, intervalMs: 3_600_000, cost: 1 };
  kv.gcra("idle", limit);
  for (let i = 0; i < 500; i++) {
    kv.gcra(`flood ${i}`, limit);
    assert.equal(kv.gcra("busy", limit).remaining, 999 - i);
  }
  assert.equal(kv.gcra("idle", limit).remaining, 999);
});

test("a recent map holds no more than it may, and the latest half of that for certain", () => {
  const map = new RecentMap<number>(10);
  for (let i = 0; i < 1000; i++) {
    map.set(`${i}`, i);
    assert.ok(map.size <= 10);
    for (let back = 0; back < 5 && back <= i; back++) assert.equal(map.get(`${i - back}`), i - back);
  }
});
