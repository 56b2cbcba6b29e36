/** A stop and a start: what was waiting is told at once, what was accepted is still there. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

const post = (path: string, body: unknown) => ann.ok(ann.post(path, body));

test("a restart keeps topics, subscriptions, messages and what was settled", async () => {
  await post("/topics", { name: "kept", type: "pubsub", partitions: 3, description: "d" });
  const made = await post("/subscriptions", { topic: "kept", name: "s", ackDeadlineSeconds: 600 });
  const messages = Array.from({ length: 30 }, (_, n) => ({
    payload: n,
    key: `k${n % 5}`,
    headers: { n: `${n}` },
  }));
  const sent = (await post("/messages/publish", { topic: "kept", messages })).messages;
  const taken = await take(ann, "kept", 20, { subscription: "s" });
  const [acked, delayed, held] = [taken.slice(0, 8), taken.slice(8, 9), taken.slice(9)];
  await post("/messages/ack", { receipts: acked.map(({ receipt }) => receipt) });
  await post("/messages/nack", { items: delayed.map(({ receipt }) => ({ receipt, delayMs: 3_600_000 })) });
  const topic = await ann.ok(ann.get("/topics/kept"));

  await server.restart();

  assert.deepEqual(await ann.ok(ann.get("/topics/kept")), topic);
  assert.deepEqual(await ann.ok(ann.get(`/subscriptions/${made.id}`)), made);
  for (const [index, { messageId }] of sent.entries()) {
    const { payload, key, headers } = await ann.ok(ann.get(`/messages/${messageId}`));
    assert.deepEqual({ payload, key, headers }, messages[index]);
  }
  const late = held.map(({ receipt }) => receipt);
  for (const path of ["ack", "nack", "extend"]) {
    const body = path === "nack" ? { items: late.map((receipt) => ({ receipt })) } : { receipts: late };
    const { failed } = await post(`/messages/${path}`, { ...body, ...(path === "extend" && { seconds: 5 }) });
    assert.ok(failed.length > 0 && failed.every(({ code }: { code: string }) => code === "lease_lost"), path);
  }
  // Whoever held a message may be gone: all that is not settled comes again, with the order of keys kept.
  const behind = new Set(delayed.map(({ key }) => key));
  const settled = new Set([...acked, ...delayed].map(({ payload }) => payload));
  const due = messages.filter(({ payload, key }) => !settled.has(payload) && !behind.has(key));
  const again = await take(ann, "kept", due.length, { subscription: "s" });
  assert.deepEqual(new Set(payloads(again)), new Set(due.map(({ payload }) => payload)));
  assert.deepEqual(await consume(ann, "kept", { subscription: "s" }), []);
  for (const key of new Set(due.map((message) => message.key))) {
    const order = again.filter((message) => message.key === key).map(({ payload }) => payload as number);
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  }
  const { receipt, messageId } = held.find(({ payload }) =>
    due.some((message) => message.payload === payload),
  )!;
  assertRefused(await ann.post(`/messages/${messageId}/ack`, { receipt }), 409, "lease_lost");
  const result = await post("/messages/ack", { receipts: acked.map((message) => message.receipt) });
  assert.equal(result.alreadySettled, acked.length);
});

test("a restart keeps idempotency keys and the audit", async () => {
  const call = () =>
    ann.post("/topics", { name: "once" }, { headers: { "idempotency-key": "over-restart" } });
  const first = await call();
  const entries = await ann.ok(ann.get("/audit?limit=1000"));
  await server.restart();
  const again = await call();
  assert.deepEqual([again.status, again.json], [201, first.json]);
  assert.deepEqual(await ann.ok(ann.get("/audit?limit=1000")), entries);
});

test("what was deleted stays deleted", async () => {
  await post("/topics", { name: "gone" });
  const [{ messageId }] = await publish(ann, "gone", ["x"]);
  await ann.ok(ann.delete("/topics/gone"));
  await server.restart();
  assertRefused(await ann.get("/topics/gone"), 404, "topic_not_found");
  assertRefused(await ann.get(`/messages/${messageId}`), 404, "message_not_found");
});

test("a stop answers those who wait at once, and lets a publish under way finish", {
  timeout: 20_000,
}, async () => {
  await post("/topics", { name: "busy" });
  const started = performance.now();
  const waiting = Array.from({ length: 10 }, () => consume(ann, "busy", { wait: 30 }));
  await ann.ok(ann.get("/topics/busy/stats"));
  const publishing = Array.from({ length: 20 }, (_, n) =>
    ann.post("/messages/publish", { topic: "busy", payload: n }),
  );
  await Promise.race(publishing);
  await server.stop();
  assert.ok(performance.now() - started < 15_000, "the stop waited for the long polls");
  const taken = (await Promise.all(waiting)).flat();
  const published = await Promise.allSettled(publishing);
  const accepted = published.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  for (const { status } of accepted) assert.ok([201, 503].includes(status), String(status));
  const offsets = accepted.flatMap(({ status, json }) => (status === 201 ? [json.offset] : []));

  await server.restart();
  assert.equal((await ann.ok(ann.get("/topics/busy/stats"))).messages >= offsets.length, true);
  const { messages } = await ann.ok(ann.get("/topics/busy/messages?from=earliest&limit=1000"));
  const stored = new Set(messages.map(({ offset }: { offset: number }) => offset));
  assert.deepEqual(
    offsets.filter((offset) => !stored.has(offset)),
    [],
  );
  assert.ok(taken.every(({ offset }) => stored.has(offset)));
});
