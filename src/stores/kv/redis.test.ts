import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, suite, type TestContext, test } from "node:test";
import { sleep, systemClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { type RedisServer, redisServerMissing, startRedisServer } from "../redis.server.ts";
import { kvConformance } from "./conformance.ts";
import { openKv } from "./index.ts";
import type { KvEvent } from "./port.ts";
import { RedisKv, type RedisKvOptions } from "./redis.ts";

const skip = redisServerMissing();
const clock = systemClock;

kvConformance(
  "redis",
  async () => {
    const server = await startRedisServer();
    const events: KvEvent[] = [];
    const kv = new RedisKv({ url: server.url, clock, report: (event) => events.push(event) });
    const other = new RedisKv({ url: server.url, clock });
    await Promise.all([kv.start(), other.start()]);
    const stop = async () => {
      await Promise.all([kv.stop(), other.stop()]);
      await server.stop();
    };
    return { kv, other, events, elapse: (ms) => sleep(clock, ms), stop };
  },
  { skip },
);

/** A store whose events can be awaited; it is stopped with the test. */
function watched(t: TestContext, server: RedisServer, options: Partial<RedisKvOptions> = {}) {
  const waiting = new Map<KvEvent["kind"], () => void>();
  const report = (event: KvEvent) => waiting.get(event.kind)?.();
  const kv = new RedisKv({ url: server.url, clock, timeoutMs: 300, report, ...options });
  t.after(() => kv.stop());
  const event = (kind: KvEvent["kind"]) => new Promise<void>((resolve) => waiting.set(kind, resolve));
  return { kv, event };
}

const isUnavailable = (error: unknown) => hasCode(error, "store_unavailable");

suite("kv: redis that fails", { skip }, () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedisServer(["--save", "", "--appendonly", "yes"]);
  });
  after(() => server.stop());

  test("calls are refused at once while the server is gone, and work again after", async (t) => {
    const { kv, event } = watched(t, server);
    await kv.start();
    await kv.set("kept", "v");
    const lost = event("lost");
    const inFlight = Array.from({ length: 100 }, () => kv.increment("counter", 1));
    const outcomes = Promise.allSettled(inFlight);
    await server.kill();
    await lost;
    for (const outcome of await outcomes) {
      if (outcome.status === "rejected") assert.ok(isUnavailable(outcome.reason));
    }
    const before = clock.monotonic();
    for (let i = 0; i < 1000; i++) await assert.rejects(kv.get("kept"), isUnavailable);
    assert.ok(clock.monotonic() - before < 1000, "refusing took as long as waiting");
    await assert.rejects(kv.ping(1000), isUnavailable);
    await assert.rejects(
      kv.subscribe("channel", () => {}),
      isUnavailable,
    );
    const restored = event("restored");
    await server.start();
    await restored;
    assert.equal(await kv.get("kept"), "v");
  });

  test("subscriptions live on after a lost connection, and listeners are told of the gap", async (t) => {
    const { kv, event } = watched(t, server);
    await kv.start();
    const heard = Promise.withResolvers<string>();
    const resumed = Promise.withResolvers<void>();
    await kv.subscribe("channel", heard.resolve, { onResume: resumed.resolve });
    const end = await kv.subscribe("ended", heard.resolve);
    const [lost, restored] = [event("lost"), event("restored")];
    await server.kill();
    await lost;
    await end();
    await server.start();
    await restored;
    await resumed.promise;
    const { kv: sender } = watched(t, server);
    await sender.start();
    await sender.publish("ended", "no");
    await sender.publish("channel", "after the crash");
    assert.equal(await heard.promise, "after the crash");
  });

  test("a server that is frozen is noticed, and calls do not pile up behind it", async (t) => {
    const { kv, event } = watched(t, server, { pendingMax: 50 });
    await kv.start();
    const lost = event("lost");
    server.pause();
    const stuck = Array.from({ length: 60 }, () => kv.get("key"));
    const outcomes = await Promise.allSettled(stuck);
    await lost;
    for (const outcome of outcomes) {
      assert.ok(outcome.status === "rejected" && isUnavailable(outcome.reason));
    }
    // The kernel still accepts connections for it.
    const { kv: late } = watched(t, server);
    await assert.rejects(late.start(), isUnavailable);
    const restored = event("restored");
    server.resume();
    await restored;
    await kv.ping(1000);
  });

  test("a server that restarted without its scripts gets them again", async (t) => {
    const { kv, event } = watched(t, server);
    await kv.start();
    const limit = { burst: 2, intervalMs: 60_000, cost: 1 };
    assert.equal((await kv.gcra("limit", limit)).remaining, 1);
    const restored = event("restored");
    await server.kill();
    await server.start();
    await restored;
    assert.equal((await kv.gcra("limit", limit)).remaining, 0);
  });

  test("a server that is full says so, and still serves what needs no memory", async (t) => {
    const small = await startRedisServer(["--save", "", "--maxmemory", "1mb"]);
    t.after(() => small.stop());
    const { kv } = watched(t, small);
    await kv.start();
    const fill = async () => {
      for (let i = 0; i < 100; i++) await kv.set(`key ${i}`, "x".repeat(100_000));
    };
    await assert.rejects(fill(), isUnavailable);
    await kv.delete("key 0");
  });

  test("two systems on one server do not see each other", async (t) => {
    const { kv: a } = watched(t, server, { prefix: "a:" });
    const { kv: b } = watched(t, server, { prefix: "b:" });
    await Promise.all([a.start(), b.start()]);
    const heard = Promise.withResolvers<string>();
    await b.subscribe("channel", heard.resolve);
    await a.set("key", "v");
    await a.publish("channel", "of a");
    await b.publish("channel", "of b");
    assert.equal(await heard.promise, "of b");
    assert.equal(await b.get("key"), undefined);
  });

  test("a pause of this process is not taken for one of the server", async (t) => {
    const timeoutMs = 400;
    const { kv } = watched(t, server, { timeoutMs, report: () => assert.fail("the connection was lost") });
    await kv.start();
    for (let i = 0; i < 3; i++) {
      const asked = kv.get("key");
      const end = clock.monotonic() + timeoutMs + 10;
      while (clock.monotonic() < end); // nothing is read meanwhile
      await asked;
    }
  });

  test("a password that is wrong or missing is named as the reason", async (t) => {
    const locked = await startRedisServer(["--save", "", "--requirepass", "secret"]);
    t.after(() => locked.stop());
    for (const login of ["", "user:wrong@"]) {
      const kv = await openKv({ url: locked.url.replace("//", `//${login}`), clock });
      const named = (error: unknown) => isUnavailable(error) && /user or password/.test(String(error));
      await assert.rejects(kv.start(), named);
    }
    const kv = await openKv({ url: locked.url.replace("//", "//default:secret@"), clock });
    await kv.start();
    await kv.stop();
  });

  test("stop is idempotent, also before start, and ends reconnecting", async (t) => {
    const { kv, event } = watched(t, server);
    await kv.stop();
    await kv.start();
    await kv.stop();
    await kv.stop();
    await assert.rejects(kv.get("key"), isUnavailable);
    await kv.start();
    const lost = event("lost");
    await server.kill();
    await lost;
    await kv.stop();
    await server.start();
    await assert.rejects(kv.get("key"), isUnavailable);
  });
});

test("where nobody listens, start rejects and does not go on trying", async () => {
  const kv = await openKv({ url: "redis://127.0.0.1:1", clock });
  await assert.rejects(kv.start(), isUnavailable);
  await kv.stop();
});

test("a server that is not Redis, or too old, is refused", async () => {
  let attempts = 0;
  const old = createServer((socket) => {
    attempts++;
    socket.setEncoding("latin1").on("data", (text: string) => {
      const commands = text.split(/\*\d+\r\n/).slice(1);
      for (const command of commands) {
        if (/INFO/.test(command)) socket.write("$24\r\nredis_version:6.2.11\r\n\r\n\r\n");
        else socket.write(/HELLO/.test(command) ? "%0\r\n" : "+OK\r\n");
      }
    });
  });
  const web = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  for (const [server, code] of [
    [old, "setting_invalid"],
    [web, "store_unavailable"],
  ] as const) {
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    const kv = await openKv({ url: `redis://127.0.0.1:${port}`, clock, timeoutMs: 500 });
    await assert.rejects(kv.start(), (error) => hasCode(error, code));
    server.close();
  }
  assert.equal(attempts, 1);
});

test("a URL that cannot be used is refused without showing its password", async () => {
  for (const url of ["http://u:hunter2@host", "redis:hunter2", "redis://u:hunter2@host:port"]) {
    await assert.rejects(openKv({ url, clock }), (error) => {
      assert.ok(hasCode(error, "setting_invalid"));
      return !error.message.includes("hunter2");
    });
  }
});
