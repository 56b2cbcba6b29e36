/** A whole server whose messages are in a real Redis: what the API promises does not depend on where the log is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { redisServerMissing, startRedisServer } from "../../src/stores/redis.server.ts";
import { TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, receipts, take } from "./calls.ts";

const skip = redisServerMissing();
const durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

test("messages and settlements outlive a restart of the server and a kill of Redis", { skip }, async (t) => {
  const redis = await startRedisServer(durable);
  t.after(() => redis.stop());
  const server = await TestServer.start({ log: redis.url });
  t.after(() => server.remove());
  const ann = await server.as();
  await ann.ok(ann.post("/topics", { name: "kept", partitions: 3 }));
  const numbers = Array.from({ length: 30 }, (_, n) => n);
  const sent = await publish(ann, "kept", numbers);
  const taken = await take(ann, "kept", 20);
  await ann.ok(ann.post("/messages/ack", { receipts: receipts(taken.slice(0, 8)) }));

  await redis.kill();
  assertRefused(await ann.post("/messages/publish", { topic: "kept", payload: 1 }), 503, "store_unavailable");
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
