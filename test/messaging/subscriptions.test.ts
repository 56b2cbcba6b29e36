/** Subscriptions over HTTP: who gets what, from where on, what comes and goes with them, and how they seek. */
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

/** A topic with messages 0 to 9 and a subscription, by its id. */
async function prepared(name: string, partitions = 1): Promise<string> {
  await ann.ok(ann.post("/topics", { name, type: "pubsub", partitions }), 201);
  const { id } = await ann.ok(ann.post("/subscriptions", { topic: name, name: "s", from: "earliest" }), 201);
  await publish(ann, name, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  return id;
}
const seek = (id: string, target: object, query = "") =>
  ann.post(`/subscriptions/${id}/seek${query}`, target);
const all = (name: string, count: number) => take(ann, name, count, { subscription: "s" });
const ack = async (messages: { receipt: string }[]) =>
  ann.ok(ann.post("/messages/ack", { receipts: messages.map(({ receipt }) => receipt) }));

describe("a subscription that seeks", () => {
  it("goes back, and receipts from before settle nothing", async () => {
    const id = await prepared("back");
    const first = await all("back", 10);
    await ack(first.slice(0, 5));
    const answer = await ann.ok(seek(id, { to: "earliest" }));
    assert.deepEqual(answer, { id, name: "s", topic: "back", partitions: [{ partition: 0, offset: 0 }] });
    assert.equal((await ack(first.slice(5))).settled, 0);
    const again = await all("back", 10);
    assert.deepEqual(payloads(again), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual((await ack(first)).failed.length, 10);
    assert.equal((await ack(again)).settled, 10);
  });

  it("goes forward, and what it passed is done, also after a restart", async () => {
    const id = await prepared("forward");
    await all("forward", 2);
    await ann.ok(seek(id, { partition: 0, offset: 7 }));
    const { subscriptions } = await ann.ok(ann.get("/topics/forward/stats"));
    assert.deepEqual([subscriptions[0].depth, subscriptions[0].inFlight], [3, 0]);
    await server.restart();
    assert.deepEqual(payloads(await all("forward", 3)), [7, 8, 9]);
    await ann.ok(seek(id, { to: "latest" }));
    assert.deepEqual(await consume(ann, "forward", { subscription: "s" }), []);
    await publish(ann, "forward", ["new"]);
    assert.deepEqual(payloads(await all("forward", 1)), ["new"]);
  });

  it("goes to a time in every partition", async () => {
    const id = await prepared("times", 3);
    const [last] = await publish(ann, "times", ["then"]);
    const { publishedAt } = await ann.ok(ann.get(`/messages/${last.messageId}`));
    await publish(ann, "times", ["later"]);
    await ann.ok(seek(id, { time: publishedAt }));
    assert.ok(payloads(await all("times", 2)).includes("later"));
    await ann.ok(seek(id, { time: "2001-01-01T00:00:00Z" }));
    assert.equal((await all("times", 12)).length, 12);
  });

  it("wakes a consumer that waits", async () => {
    const id = await prepared("waits");
    await ack(await all("waits", 10));
    const waiting = consume(ann, "waits", { subscription: "s", wait: 20, limit: 3 });
    await ann.ok(seek(id, { partition: 0, offset: 4 }));
    assert.deepEqual(payloads(await waiting), [4, 5, 6]);
  });

  it("is tried without being moved, audited, and refused what it has not", async () => {
    const id = await prepared("tried");
    await ack(await all("tried", 10));
    const tried = await ann.ok(seek(id, { to: "earliest" }, "?dryRun=true"));
    assert.deepEqual(tried.partitions, [{ partition: 0, offset: 0 }]);
    assert.deepEqual(await consume(ann, "tried", { subscription: "s" }), []);
    await ann.ok(seek(id, { time: new Date().toISOString() }));
    const { items } = await ann.ok(ann.get("/audit?limit=1000"));
    const own = ({ action, resource }: { action: string; resource: string }) =>
      action === "subscription.seek" && resource === "topics/tried/subscriptions/s";
    assert.equal(items.filter(own).length, 1);
    assertRefused(await seek(id, { partition: 1, offset: 0 }), 400, "validation_failed");
    assertRefused(await seek(id, {}), 400, "validation_failed");
    assertRefused(await seek(crypto.randomUUID(), { to: "latest" }), 404, "subscription_not_found");
  });
});

describe("a peek", () => {
  it("begins at a time", async () => {
    await prepared("peeked");
    const [one] = await publish(ann, "peeked", ["then"]);
    const { publishedAt } = await ann.ok(ann.get(`/messages/${one.messageId}`));
    const peek = async (from: string) =>
      (await ann.ok(ann.get(`/topics/peeked/messages?from=${from}`))).messages;
    assert.ok(payloads(await peek(publishedAt)).includes("then"));
    assert.equal((await peek("2001-01-01T00:00:00Z")).length, 11);
    assert.deepEqual(await peek("2901-01-01T00:00:00Z"), []);
    assertRefused(
      await ann.get("/topics/peeked/messages?from=2001-99-01T00:00:00Z"),
      400,
      "validation_failed",
    );
    assertRefused(await ann.get("/topics/peeked/messages?from=yesterday"), 400, "validation_failed");
  });
});
