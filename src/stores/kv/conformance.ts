/**
 * What every key-value driver must do. `elapse` lets that much time pass for the store, by its own clock;
 * times are long enough that a slow machine does not see a key end early.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type Kv, type KvEvent, keyLengthMax, valueLengthMax } from "./port.ts";

export interface KvUnderTest {
  kv: Kv;
  /** Another client of the same state; the same one for a store in this process. */
  other: Kv;
  /** What the store has reported. */
  events: KvEvent[];
  elapse(ms: number): Promise<void>;
  stop(): Promise<void>;
}

export function kvConformance(
  driver: string,
  open: () => Promise<KvUnderTest>,
  options: { skip?: string | false } = {},
): void {
  suite(`kv: ${driver}`, { skip: options.skip ?? false }, () => {
    let store: KvUnderTest;
    let kv: Kv;
    let sequence = 0;
    const freshKey = () => `key/${sequence++}`;
    before(async () => {
      store = await open();
      kv = store.kv;
    });
    after(() => store.stop());

    test("a value is what was set last, whatever the text", async () => {
      const key = freshKey();
      assert.equal(await kv.get(key), undefined);
      assert.equal(await kv.set(key, "one"), true);
      assert.equal(await kv.set(key, ""), true);
      assert.equal(await kv.get(key), "");
      for (const text of ["line\r\n\0 ünïcødé 🚀", "x".repeat(valueLengthMax)]) {
        await kv.set(key, text);
        assert.equal((await store.other.get(key)) === text, true);
      }
      await kv.set("k".repeat(keyLengthMax), "long");
      assert.equal(await kv.get("k".repeat(keyLengthMax)), "long");
    });

    test("a key ends with its time to live, and without one stays", async () => {
      const [short, long, forever] = [freshKey(), freshKey(), freshKey()];
      await kv.set(short, "v", { ttlMs: 150 });
      await kv.set(long, "v", { ttlMs: 60_000 });
      await kv.set(forever, "v", { ttlMs: 150 });
      await kv.set(forever, "v");
      await store.elapse(151);
      assert.equal(await kv.get(short), undefined);
      assert.equal(await kv.delete(short), false);
      assert.equal(await kv.get(long), "v");
      assert.equal(await kv.get(forever), "v");
    });

    test("set when absent happens once, until the key is gone", async () => {
      const key = freshKey();
      assert.equal(await kv.set(key, "a", { when: "absent", ttlMs: 150 }), true);
      assert.equal(await store.other.set(key, "b", { when: "absent" }), false);
      assert.equal(await kv.get(key), "a");
      await store.elapse(151);
      assert.equal(await store.other.set(key, "b", { when: "absent" }), true);
      assert.equal(await kv.get(key), "b");
    });

    test("set when equal compares and swaps, and sets the time to live anew", async () => {
      const key = freshKey();
      assert.equal(await kv.set(key, "b", { when: { equals: "a" } }), false);
      assert.equal(await kv.get(key), undefined);
      await kv.set(key, "a");
      assert.equal(await kv.set(key, "c", { when: { equals: "b" } }), false);
      assert.equal(await kv.set(key, "b", { when: { equals: "a" }, ttlMs: 150 }), true);
      assert.equal(await kv.set(key, "c", { when: { equals: "b" } }), true);
      await store.elapse(151);
      assert.equal(await kv.get(key), "c");
      assert.equal(await kv.set(key, "d", { when: { equals: "c" }, ttlMs: 150 }), true);
      await store.elapse(151);
      assert.equal(await kv.get(key), undefined);
    });

    test("of many who swap at once, one wins", async () => {
      const key = freshKey();
      await kv.set(key, "start");
      const swaps = Array.from({ length: 50 }, (_, i) =>
        (i % 2 ? kv : store.other).set(key, `by ${i}`, { when: { equals: "start" } }),
      );
      const won = (await Promise.all(swaps)).flatMap((set, i) => (set ? [i] : []));
      assert.equal(won.length, 1);
      assert.equal(await kv.get(key), `by ${won[0]}`);
    });

    test("delete says whether there was a key, and spares another's value", async () => {
      const key = freshKey();
      assert.equal(await kv.delete(key), false);
      await kv.set(key, "mine");
      assert.equal(await kv.delete(key, { equals: "yours" }), false);
      assert.equal(await kv.get(key), "mine");
      assert.equal(await kv.delete(key, { equals: "mine" }), true);
      assert.equal(await kv.delete(key, { equals: "mine" }), false);
      await kv.set(key, "");
      assert.equal(await kv.delete(key, { equals: "" }), true);
      await kv.set(key, "mine");
      assert.equal(await kv.delete(key), true);
      assert.equal(await kv.get(key), undefined);
    });

    test("increments add up from all sides", async () => {
      const key = freshKey();
      assert.equal(await kv.increment(key, -3), -3);
      const sums = await Promise.all(
        Array.from({ length: 100 }, (_, i) => (i % 2 ? kv : store.other).increment(key, 1)),
      );
      assert.equal(new Set(sums).size, 100);
      assert.equal(await kv.get(key), "97");
      assert.equal(await kv.increment(key, 0), 97);
    });

    test("an increment sets the time to live when it makes the key, not later", async () => {
      const key = freshKey();
      await kv.increment(key, 1, { ttlMs: 300 });
      await store.elapse(151);
      await kv.increment(key, 1, { ttlMs: 300 });
      await store.elapse(151);
      assert.equal(await kv.increment(key, 1, { ttlMs: 60_000 }), 1);
      const plain = freshKey();
      await kv.increment(plain, 1);
      await kv.increment(plain, 1, { ttlMs: 150 });
      await store.elapse(151);
      assert.equal(await kv.get(plain), "2");
    });

    test("what is not an integer is not incremented", async () => {
      const key = freshKey();
      for (const value of ["text", "", "1.5", " 1", "01", "1e3"]) {
        await kv.set(key, value);
        await assert.rejects(kv.increment(key, 1), Error, value);
        assert.equal(await kv.get(key), value);
      }
    });

    test("a rate limit gives its burst, then one per interval", async () => {
      const key = freshKey();
      const limit = { burst: 3, intervalMs: 60_000, cost: 1 };
      for (const remaining of [2, 1, 0]) {
        const result = await kv.gcra(key, limit);
        assert.deepEqual([result.allowed, result.remaining, result.retryAfterMs], [true, remaining, 0]);
      }
      const refused = await store.other.gcra(key, limit);
      assert.deepEqual([refused.allowed, refused.remaining], [false, 0]);
      assert.ok(refused.retryAfterMs > 50_000 && refused.retryAfterMs <= 60_000, `${refused.retryAfterMs}`);
      assert.ok(refused.resetMs > 170_000 && refused.resetMs <= 180_000, `${refused.resetMs}`);
    });

    test("a rate limit fills up again, as far as its burst", async () => {
      const key = freshKey();
      const limit = { burst: 2, intervalMs: 20, cost: 1 };
      assert.equal((await kv.gcra(key, { ...limit, cost: 2 })).allowed, true);
      await store.elapse(200);
      const look = await kv.gcra(key, { ...limit, cost: 0 });
      assert.deepEqual([look.allowed, look.remaining, look.resetMs], [true, 2, 0]);
    });

    test("more than the burst needs a whole limit and is paid off after", async () => {
      const key = freshKey();
      const limit = { burst: 10, intervalMs: 60_000, cost: 25 };
      const taken = await kv.gcra(key, limit);
      assert.deepEqual([taken.allowed, taken.remaining], [true, 0]);
      const refused = await kv.gcra(key, { ...limit, cost: 1 });
      assert.equal(refused.allowed, false);
      assert.equal(Math.ceil(refused.retryAfterMs / 60_000), 16);
      const other = freshKey();
      await kv.gcra(other, { ...limit, cost: 1 });
      assert.equal((await kv.gcra(other, limit)).allowed, false);
    });

    test("every subscriber of the channel hears a message, in order, until it ends", async () => {
      const channel = freshKey();
      const heard: string[] = [];
      const collector = gather(4);
      const listen = (name: string) => (message: string) => collector.add(heard.push(`${name} ${message}`));
      await kv.subscribe(channel, listen("a"));
      const end = await kv.subscribe(channel, listen("b"));
      await store.other.subscribe(`${channel}/else`, () => assert.fail("not its channel"));
      await store.other.publish(channel, "1");
      await store.other.publish(channel, "2 🚀\r\n");
      await collector.done;
      assert.deepEqual(
        heard.filter((line) => line.startsWith("a")),
        ["a 1", "a 2 🚀\r\n"],
      );
      assert.deepEqual(
        heard.filter((line) => line.startsWith("b")),
        ["b 1", "b 2 🚀\r\n"],
      );
      await end();
      await end();
      const last = gather(1);
      await kv.subscribe(channel, (message) => last.add(message));
      await kv.publish(channel, "3");
      await last.done;
      assert.deepEqual(heard.slice(4), ["a 3"]);
    });

    test("a listener that throws is reported and disturbs nobody", async () => {
      const channel = freshKey();
      const heard = gather(2);
      await kv.subscribe(channel, () => {
        throw new Error("a defect");
      });
      await kv.subscribe(channel, heard.add);
      await kv.publish(channel, "1");
      await kv.publish(channel, "2");
      assert.deepEqual(await heard.done, ["1", "2"]);
      const failures = store.events.filter((event) => event.kind === "listener_failed");
      assert.equal(failures.length, 2);
      assert.match(failures[0]!.channel, new RegExp(`${channel}$`));
    });

    test("what no driver could keep is refused", async () => {
      const key = freshKey();
      await assert.rejects(async () => kv.get(""), RangeError);
      await assert.rejects(async () => kv.set("k".repeat(keyLengthMax + 1), "v"), RangeError);
      await assert.rejects(async () => kv.set(key, "x".repeat(valueLengthMax + 1)), RangeError);
      await assert.rejects(async () => kv.set(key, "\ud800"), TypeError);
      for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await assert.rejects(async () => kv.set(key, "v", { ttlMs }), RangeError);
      }
      await assert.rejects(async () => kv.increment(key, 1.5), RangeError);
      for (const wrong of [{ burst: 0 }, { intervalMs: 0 }, { cost: -1 }, { cost: 0.5 }]) {
        await assert.rejects(
          async () => kv.gcra(key, { burst: 1, intervalMs: 1, cost: 1, ...wrong }),
          RangeError,
        );
      }
      assert.equal(await kv.get(key), undefined);
    });

    test("ping answers", () => kv.ping(5000));
  });
}

/** Resolves `done` with everything added once there are `count`. */
function gather(count: number) {
  const items: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  const add = (item: unknown): void => {
    if (items.push(item) >= count) resolve(items);
  };
  return { add, done: promise };
}
