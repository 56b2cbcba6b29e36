/** Two tenants on one server: for each it is as if the other did not exist. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, take } from "./calls.ts";

let server: TestServer;
let ann: Caller; // of acme
let bob: Caller; // of bravo, with every right there
before(async () => {
  server = await TestServer.start();
  ann = await server.as({ subject: "ann", tenant: "acme" });
  bob = await server.as({ subject: "bob", tenant: "bravo" });
});
after(() => server?.remove());

test("a tenant sees nothing of another's topic, and can do nothing to it", async () => {
  await ann.ok(ann.post("/topics", { name: "secret", type: "pubsub" }));
  const { id } = await ann.ok(ann.post("/subscriptions", { topic: "secret", name: "s", from: "earliest" }));
  const [{ messageId }] = await publish(ann, "secret", ["a"]);
  const [held] = await take(ann, "secret", 1, { subscription: "s" });

  for (const path of ["/topics", "/subscriptions", "/audit", "/approvals"]) {
    assert.deepEqual((await bob.ok(bob.get(path))).items, [], path);
  }
  assert.ok(!(await bob.get("/audit/export")).text.includes("secret"));
  assert.equal((await bob.ok(bob.get("/overview"))).messaging.topics, 0);

  const anywhere = { headers: { "if-match": "*" } };
  assertRefused(await bob.get("/topics/secret"), 404, "topic_not_found");
  assertRefused(await bob.get("/topics/secret/stats"), 404, "topic_not_found");
  assertRefused(await bob.get("/topics/secret/messages"), 404, "topic_not_found");
  assertRefused(await bob.put("/topics/secret", { description: "mine" }, anywhere), 404, "topic_not_found");
  assertRefused(await bob.delete("/topics/secret"), 404, "topic_not_found");
  assertRefused(await bob.post("/messages/publish", { topic: "secret", payload: 1 }), 404, "topic_not_found");
  assertRefused(await bob.get("/messages/consume/secret?subscription=s"), 404, "topic_not_found");
  assertRefused(await bob.post("/subscriptions", { topic: "secret", name: "spy" }), 404, "topic_not_found");
  assertRefused(await bob.get(`/subscriptions/${id}`), 404, "subscription_not_found");
  assertRefused(await bob.delete(`/subscriptions/${id}`), 404, "subscription_not_found");
  assertRefused(await bob.get(`/messages/${messageId}`), 404, "message_not_found");

  // A receipt that has leaked is worth nothing to another tenant, and looks like one that never was.
  const { receipt } = held!;
  assertRefused(await bob.post(`/messages/${messageId}/ack`, { receipt }), 400, "receipt_invalid");
  assertRefused(await bob.post(`/messages/${messageId}/nack`, { receipt }), 400, "receipt_invalid");
  for (const [path, body] of [
    ["/messages/ack", { receipts: [receipt] }],
    ["/messages/nack", { items: [{ receipt }] }],
    ["/messages/extend", { receipts: [receipt], seconds: 1 }],
  ] as const) {
    const { settled, alreadySettled, failed } = await bob.ok(bob.post(path, body));
    assert.deepEqual([settled, alreadySettled, failed[0].code], [0, 0, "receipt_invalid"], path);
  }
  const made = await bob.ok(bob.post("/messages/ack", { receipts: ["zzz-0-0-zzz"] }));
  const leaked = await bob.ok(bob.post("/messages/ack", { receipts: [receipt] }));
  assert.equal(leaked.failed[0].detail, made.failed[0].detail);

  assert.deepEqual(await consume(ann, "secret", { subscription: "s" }), []);
  const { settled } = await ann.ok(ann.post(`/messages/${messageId}/ack`, { receipt }));
  assert.equal(settled, 1);
});

test("the same names are other things in another tenant", async () => {
  for (const [caller, text] of [
    [ann, "of acme"],
    [bob, "of bravo"],
  ] as const) {
    await caller.ok(caller.post("/topics", { name: "orders", description: text }));
    await publish(caller, "orders", [text]);
  }
  for (const [caller, text] of [
    [ann, "of acme"],
    [bob, "of bravo"],
  ] as const) {
    assert.equal((await caller.ok(caller.get("/topics/orders"))).description, text);
    assert.deepEqual(payloads(await take(caller, "orders", 1)), [text]);
  }
  await bob.ok(bob.delete("/topics/orders"));
  assert.equal((await ann.ok(ann.get("/topics/orders/stats"))).messages, 1);
});

test("an idempotency key is the tenant's own", async () => {
  const headers = { "idempotency-key": "same" };
  const a = await ann.ok(ann.post("/topics", { name: "keyed", description: "a" }, { headers }), 201);
  const b = await bob.ok(bob.post("/topics", { name: "keyed", description: "b" }, { headers }), 201);
  assert.deepEqual([a.description, b.description], ["a", "b"]);
});

test("counts of the overview are the tenant's own", async () => {
  const cem = await server.as({ tenant: "charlie" });
  await cem.ok(cem.post("/topics", { name: "t" }));
  await publish(cem, "t", [1, 2, 3]);
  await take(cem, "t", 1);
  const { messaging } = await cem.ok(cem.get("/overview"));
  const { topics, subscriptions, publishedTotal, deliveredTotal, depth, inFlight } = messaging;
  assert.deepEqual(
    [topics, subscriptions, publishedTotal, deliveredTotal, depth, inFlight],
    [1, 1, 3, 1, 3, 1],
  );
});
