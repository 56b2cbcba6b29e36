/** A whole server whose messages are in a real Redis: what the API promises does not depend on where the log is. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { connect } from "../../client/src/node.ts";
import { hasCode } from "../../src/core/errors.ts";
import { type RedisServer, redisServerMissing, startRedisServer } from "../../src/stores/redis.server.ts";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, receipts, take } from "./calls.ts";
import { startReceiver } from "./receiver.ts";

const skip = redisServerMissing();
const durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

suite("a server whose messages are in Redis", { skip }, () => {
  let redis: RedisServer;
  let server: TestServer;
  let ann: Caller;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  before(async () => {
    redis = await startRedisServer(durable);
    receiver = await startReceiver();
    server = await TestServer.start({ log: redis.url, "messaging-push-private-targets": "true" });
    ann = await server.as();
  });
  after(async () => {
    receiver?.close();
    await server?.remove();
    await redis?.stop();
  });

  test("whatever uses a topic first claims it: stream, events, webhook, CloudEvents", async (t) => {
    const client = connect({ url: server.url, token: ann.token! });
    t.after(() => client.close());
    for (const name of ["in", "out", "text", "page", "hook", "events"]) {
      await ann.ok(ann.post("/topics", { name }));
    }
    await using stream = client.stream();

    const { offset } = await stream.publisher("in").publish({ payload: 1 });
    assert.equal(offset, 0);

    const consumer = stream.consume("out", { count: 1 });
    const first = consumer.next();
    await publish(ann, "out", ["x"]);
    assert.equal((await first).value?.payload, "x");
    await consumer.close();

    const { status } = await ann.post("/topics/events/events", "1", {
      headers: {
        "content-type": "text/plain",
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/",
        "ce-type": "t",
      },
    });
    assert.equal(status, 201);

    const page = await fetch(`${server.url}/api/v1/messages/consume/page/events`, {
      headers: { authorization: `Bearer ${ann.token}` },
    });
    const reader = page.body!.getReader();
    assert.match(Buffer.from((await reader.read()).value!).toString(), /^retry/);
    await publish(ann, "page", ["seen"]);
    assert.match(Buffer.from((await reader.read()).value!).toString(), /"seen"/);
    await reader.cancel();

    const { items } = await ann.ok(ann.get("/subscriptions?topic=hook"));
    await ann.ok(ann.put(`/subscriptions/${items[0].id}/push`, { url: receiver.url }));
    await publish(ann, "hook", ["pushed"]);
    assert.equal((await receiver.until(1))[0]!.json.data.payload, "pushed");
  });

  test("messages and settlements outlive a restart of the server and a kill of Redis", async (t) => {
    await ann.ok(ann.post("/topics", { name: "kept", partitions: 3 }));
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    const sent = await publish(ann, "kept", numbers);
    const taken = await take(ann, "kept", 20);
    await ann.ok(ann.post("/messages/ack", { receipts: receipts(taken.slice(0, 8)) }));

    await redis.kill();
    assertRefused(
      await ann.post("/messages/publish", { topic: "kept", payload: 1 }),
      503,
      "store_unavailable",
    );
    assert.equal((await ann.get("//ready")).status, 503);
    await redis.start();
    await server.restart();

    for (const [n, { messageId }] of sent.entries()) {
      assert.equal((await ann.ok(ann.get(`/messages/${messageId}`))).payload, n);
    }
    const done = new Set(payloads(taken.slice(0, 8)));
    const again = await take(ann, "kept", 22);
    assert.deepEqual(new Set(payloads(again)), new Set(numbers.filter((n) => !done.has(n))));
    assert.deepEqual(await consume(ann, "kept"), []);

    const client = connect({ url: server.url, token: ann.token! });
    t.after(() => client.close());
    await using stream = client.stream();
    await stream.publisher("hook").publish({ payload: "after a restart" });
    assert.equal((await receiver.until(2))[1]!.json.data.payload, "after a restart");
  });
});

test("a Redis that keeps less is refused, or said so by topics that ask for more", { skip }, async (t) => {
  const redis = await startRedisServer(["--save", ""]);
  t.after(() => redis.stop());
  await assert.rejects(TestServer.start({ log: redis.url }), (error) => hasCode(error, "setting_invalid"));
  const server = await TestServer.start({ log: redis.url, "log-durability": "memory" });
  t.after(() => server.remove());
  const ann = await server.as();
  const refused = await ann.post("/topics", { name: "t" });
  const problem = assertRefused(refused, 422, "durability_unavailable");
  assert.equal(problem.errors?.[0]?.pointer, "/durability");
  await ann.ok(ann.post("/topics", { name: "t", durability: "memory" }));
  await publish(ann, "t", ["a", "b"]);
  const messages = await take(ann, "t", 2);
  assert.deepEqual(payloads(messages), ["a", "b"]);
  assert.equal((await ann.ok(ann.post("/messages/ack", { receipts: receipts(messages) }))).settled, 2);
});
