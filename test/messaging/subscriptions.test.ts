/** Subscriptions over HTTP: who gets what, from where on, and what comes and goes with them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, receipts, take, walk } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

const feed = async (name: string) => {
  await ann.ok(ann.post("/topics", { name, type: "pubsub" }));
  return name;
};
const subscribe = (topic: string, name: string, more: object = {}) =>
  ann.ok(ann.post("/subscriptions", { topic, name, ...more }), 201);

describe("subscriptions of a pubsub topic", () => {
  it("each get every message", async () => {
    const topic = await feed("fan");
    for (const name of ["red", "blue"]) await subscribe(topic, name);
    await publish(ann, topic, [1, 2, 3]);
    for (const subscription of ["red", "blue"]) {
      const taken = await take(ann, topic, 3, { subscription });
      assert.deepEqual(payloads(taken), [1, 2, 3]);
      if (subscription === "red") await ann.ok(ann.post("/messages/ack", { receipts: receipts(taken) }));
    }
    const stats = await ann.ok(ann.get(`/topics/${topic}/stats`));
    const depths = stats.subscriptions.map(({ name, depth }: { name: string; depth: number }) => [
      name,
      depth,
    ]);
    assert.deepEqual(new Map(depths), new Map(Object.entries({ red: 0, blue: 3 })));
  });

  it("begin at the latest message unless they ask for the earliest", async () => {
    const topic = await feed("begin");
    await publish(ann, topic, ["before"]);
    await subscribe(topic, "latest");
    await subscribe(topic, "late", { from: "latest" });
    await subscribe(topic, "early", { from: "earliest" });
    await publish(ann, topic, ["after"]);
    assert.deepEqual(payloads(await take(ann, topic, 1, { subscription: "latest" })), ["after"]);
    assert.deepEqual(payloads(await take(ann, topic, 1, { subscription: "late" })), ["after"]);
    assert.deepEqual(payloads(await take(ann, topic, 2, { subscription: "early" })), ["before", "after"]);
  });

  it("are read, listed by topic and page, and unique by name", async () => {
    const [topic, other] = [await feed("listed"), await feed("other")];
    const made = [];
    for (const name of ["a", "b", "c", "d", "e"])
      made.push(await subscribe(topic, name, { ackDeadlineSeconds: 7 }));
    const same = await subscribe(other, "a");
    assert.equal(made[0].ackDeadlineSeconds, 7);
    assert.equal(same.ackDeadlineSeconds, 30);
    assert.deepEqual(await ann.ok(ann.get(`/subscriptions/${same.id}`)), same);
    assert.deepEqual(await walk(ann, `/subscriptions?topic=${topic}`, 2), made);
    const all = await walk(ann, "/subscriptions", 4);
    assert.ok([...made, same].every(({ id }) => all.some((each) => each.id === id)));
    assert.deepEqual((await ann.ok(ann.get("/subscriptions?topic=none"))).items, []);
    assertRefused(await ann.post("/subscriptions", { topic, name: "a" }), 409, "subscription_exists");
    const twins = await Promise.all([1, 2].map(() => ann.post("/subscriptions", { topic, name: "twin" })));
    assert.deepEqual(twins.map(({ status }) => status).sort(), [201, 409]);
  });

  it("go without the messages, and without one another", async () => {
    const topic = await feed("leave");
    const { id } = await subscribe(topic, "leaver");
    await subscribe(topic, "stayer");
    await publish(ann, topic, ["x"]);
    const [held] = await take(ann, topic, 1, { subscription: "leaver" });
    assert.equal((await ann.delete(`/subscriptions/${id}`)).status, 204);
    assertRefused(await ann.delete(`/subscriptions/${id}`), 404, "subscription_not_found");
    const gone = await ann.get(`/messages/consume/${topic}?subscription=leaver`);
    assertRefused(gone, 404, "subscription_not_found");
    const late = await ann.post(`/messages/${held!.messageId}/ack`, { receipt: held!.receipt });
    assertRefused(late, 400, "receipt_invalid");
    assert.deepEqual(payloads(await take(ann, topic, 1, { subscription: "stayer" })), ["x"]);
    await subscribe(topic, "leaver", { from: "earliest" });
    assert.equal((await take(ann, topic, 1, { subscription: "leaver" }))[0]!.attempt, 1);
  });

  it("that go end the wait of their consumers, and say why", async () => {
    const topic = await feed("waited");
    const { id } = await subscribe(topic, "s");
    const waiting = ann.get(`/messages/consume/${topic}?subscription=s&wait=25`);
    await ann.ok(ann.get(`/topics/${topic}/stats`));
    await ann.ok(ann.delete(`/subscriptions/${id}`));
    assertRefused(await waiting, 404, "subscription_not_found");
  });

  it("refuse what does not fit", async () => {
    const topic = await feed("strict");
    const cases: [object, string][] = [
      [{ name: "s" }, "/topic"],
      [{ topic }, "/name"],
      [{ topic, name: "a/b" }, "/name"],
      [{ topic, name: "s", ackDeadlineSeconds: 0 }, "/ackDeadlineSeconds"],
      [{ topic, name: "s", ackDeadlineSeconds: 43_201 }, "/ackDeadlineSeconds"],
      [{ topic, name: "s", ackDeadlineSeconds: "30" }, "/ackDeadlineSeconds"],
      [{ topic, name: "s", from: "middle" }, "/from"],
      [{ topic, name: "s", filter: "x" }, "/filter"],
    ];
    for (const [body, pointer] of cases) {
      const problem = assertRefused(await ann.post("/subscriptions", body), 400, "validation_failed");
      assert.deepEqual(
        problem.errors?.map((error) => error.pointer),
        [pointer],
      );
    }
    assertRefused(await ann.post("/subscriptions", { topic: "none", name: "s" }), 404, "topic_not_found");
    assertRefused(await ann.get("/subscriptions/not-a-uuid"), 400, "validation_failed");
    const none = "/subscriptions/00000000-0000-7000-8000-000000000000";
    assertRefused(await ann.get(none), 404, "subscription_not_found");
  });
});

describe("the subscription of a queue", () => {
  it("is named default, begins at the first message, and is the only one", async () => {
    await ann.ok(ann.post("/topics", { name: "queue" }));
    await publish(ann, "queue", ["first"]);
    const { items } = await ann.ok(ann.get("/subscriptions?topic=queue"));
    assert.deepEqual(
      items.map(({ name }: { name: string }) => name),
      ["default"],
    );
    assert.deepEqual(payloads(await consume(ann, "queue")), ["first"]);
    assertRefused(
      await ann.post("/subscriptions", { topic: "queue", name: "more" }),
      409,
      "subscription_fixed",
    );
    assertRefused(await ann.delete(`/subscriptions/${items[0].id}`), 409, "subscription_fixed");
    await ann.ok(ann.delete("/topics/queue"));
    assertRefused(await ann.get(`/subscriptions/${items[0].id}`), 404, "subscription_not_found");
  });
});
