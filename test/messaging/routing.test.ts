/** How messages find consumers over HTTP: filters, strategies, priorities; and why something is not delivered. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, payloads, publish, type Received } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

let topics = 0;
async function topicOf(settings: object): Promise<string> {
  const name = `routed.${++topics}`;
  await ann.ok(ann.post("/topics", { name, ...settings }), 201);
  return name;
}
const subscribe = (topic: string, name: string, more: object = {}) =>
  ann.ok(ann.post("/subscriptions", { topic, name, from: "earliest", ...more }), 201);
async function consume(topic: string, query = ""): Promise<Received[]> {
  return (await ann.ok(ann.get(`/messages/consume/${topic}?limit=100&${query}`))).messages;
}
const explain = (messageId: string, query = "") => ann.ok(ann.get(`/messages/${messageId}/explain?${query}`));

describe("a filter", () => {
  it("lets through what fits; the rest counts as done, also after a restart", async () => {
    const topic = await topicOf({ type: "pubsub" });
    const filter = {
      all: [
        { header: "region", equals: "eu" },
        { payload: "$.amount", gte: 10 },
      ],
    };
    const { id } = await subscribe(topic, "big", { filter });
    await subscribe(topic, "all");
    const messages = [5, 10, 20].flatMap((amount) =>
      ["eu", "us"].map((region) => ({ payload: { amount }, headers: { region } })),
    );
    const sent = (await ann.ok(ann.post("/messages/publish", { topic, messages }), 201)).messages;
    await server.restart();
    const taken = await consume(topic, "subscription=big");
    assert.deepEqual(payloads(taken), [{ amount: 10 }, { amount: 20 }]);
    assert.equal((await consume(topic, "subscription=all")).length, 6);
    await ann.ok(ann.post("/messages/ack", { receipts: taken.map(({ receipt }) => receipt) }));
    await server.restart();
    assert.deepEqual(await consume(topic, "subscription=big"), []);
    const { depth, reasons } = await ann.ok(ann.get(`/subscriptions/${id}/explain`));
    assert.deepEqual([depth, reasons[0].code], [0, "nothing-waits"]);
    const [small] = sent;
    const { state, mismatch } = await explain(small.messageId, "subscription=big");
    assert.deepEqual([state, mismatch.pointer], ["filtered", "/filter/all/1"]);
  });

  it("can be tried before it is kept, changed, and taken away", async () => {
    const topic = await topicOf({ type: "pubsub" });
    const ids = (await publish(ann, topic, [1, 2, 3])).map(({ messageId }: Received) => messageId);
    const wanted = { topic, name: "s", filter: { payload: "$", gt: 1 } };
    const dry = await ann.ok(ann.post("/subscriptions?dryRun=true", wanted), 201);
    assert.deepEqual(dry.preview, { looked: 3, matched: 2, messageIds: ids.slice(1) });
    const { id, filter } = await subscribe(topic, "s", { filter: wanted.filter });
    assert.deepEqual(filter, wanted.filter);
    const headers = { "if-match": "*" };
    const wrong = await ann.put(
      `/subscriptions/${id}`,
      { filter: { any: [{ header: "a", like: "b" }] } },
      { headers },
    );
    const problem = assertRefused(wrong, 400, "validation_failed");
    assert.equal(problem.errors?.[0]?.pointer, "/filter/any/0/like");
    const changed = await ann.ok(ann.put(`/subscriptions/${id}`, { filter: null }, { headers }));
    assert.equal(changed.filter, undefined);
    assert.deepEqual(payloads(await consume(topic, "subscription=s")), [1, 2, 3]);
  });

  it("is needed by every subscription of a content-based topic", async () => {
    const topic = await topicOf({ type: "pubsub", strategy: "content-based" });
    const problem = assertRefused(
      await ann.post("/subscriptions", { topic, name: "s" }),
      400,
      "validation_failed",
    );
    assert.equal(problem.errors?.[0]?.pointer, "/filter");
    await subscribe(topic, "s", { filter: { header: "kind", equals: "a" } });
    const messages = ["a", "b"].map((kind) => ({ payload: kind, headers: { kind } }));
    await ann.ok(ann.post("/messages/publish", { topic, messages }), 201);
    assert.deepEqual(payloads(await consume(topic, "subscription=s")), ["a"]);
    const fanned = await topicOf({ type: "pubsub" });
    const { id } = await subscribe(fanned, "all");
    const change = () =>
      ann.put(`/topics/${fanned}`, { strategy: "content-based" }, { headers: { "if-match": "*" } });
    const fixed = assertRefused(await change(), 409, "topic_change_refused");
    assert.match(fixed.errors?.[0]?.message ?? "", /: all$/);
    const filter = { filter: { header: "kind" } };
    await ann.ok(ann.put(`/subscriptions/${id}`, filter, { headers: { "if-match": "*" } }));
    await ann.ok(change());
  });
});

describe("a strategy", () => {
  it("follows from the type, can be chosen, and refuses what makes no sense", async () => {
    assert.equal((await ann.ok(ann.get(`/topics/${await topicOf({})}`))).strategy, "load-balanced");
    assert.equal((await ann.ok(ann.get(`/topics/${await topicOf({ type: "pubsub" })}`))).strategy, "fan-out");
    for (const wrong of [{ strategy: "fan-out" }, { strategy: "load-balanced", type: "pubsub" }]) {
      const problem = assertRefused(
        await ann.post("/topics", { name: "wrong", ...wrong }),
        400,
        "validation_failed",
      );
      assert.equal(problem.errors?.[0]?.pointer, "/strategy");
    }
    const many = await ann.post("/topics", { name: "wrong", strategy: "priority", partitions: 26 });
    assert.equal(assertRefused(many, 400, "validation_failed").errors?.[0]?.pointer, "/partitions");
    const topic = await topicOf({});
    const headers = { "if-match": "*" };
    const changed = await ann.ok(ann.put(`/topics/${topic}`, { strategy: "direct" }, { headers }));
    assert.equal(changed.strategy, "direct");
    assertRefused(
      await ann.put(`/topics/${topic}`, { strategy: "priority" }, { headers }),
      409,
      "topic_change_refused",
    );
  });

  it("priority: delivers the most important first, and those of one priority in order", async () => {
    const topic = await topicOf({ strategy: "priority", partitions: 2 });
    const messages = [0, 5, 9, 5, 0, 9].map((priority, n) => ({
      payload: [priority, n],
      priority,
      key: "k",
    }));
    await ann.ok(ann.post("/messages/publish", { topic, messages }), 201);
    const taken: unknown[] = [];
    for (let n = 0; n < 6; n++) {
      const [message] = (await ann.ok(ann.get(`/messages/consume/${topic}?limit=1`))).messages;
      taken.push(message.payload);
      await ann.ok(ann.post(`/messages/${message.messageId}/ack`, { receipt: message.receipt }));
    }
    assert.deepEqual(taken, [
      [9, 2],
      [9, 5],
      [5, 1],
      [5, 3],
      [0, 0],
      [0, 4],
    ]);
  });

  it("priority: a late important one does not wait behind thousands that came before", async () => {
    const topic = await topicOf({ strategy: "priority" });
    const many = Array.from({ length: 1000 }, (_, n) => ({ payload: n }));
    for (let n = 0; n < 3; n++) await ann.ok(ann.post("/messages/publish", { topic, messages: many }), 201);
    assert.equal((await consume(topic)).length, 100);
    await ann.ok(ann.post("/messages/publish", { topic, payload: "urgent", priority: 9 }), 201);
    assert.equal((await consume(topic))[0]!.payload, "urgent");
  });

  it("direct: one consumer gets all, and another stands by", async () => {
    const topic = await topicOf({ strategy: "direct" });
    await publish(ann, topic, [1, 2, 3]);
    assert.equal((await ann.ok(ann.get(`/messages/consume/${topic}?limit=1&consumer=a`))).messages.length, 1);
    assert.deepEqual(await consume(topic, "consumer=b"), []);
    assert.equal((await consume(topic, "consumer=a")).length, 2);
    const [{ id }] = (await ann.ok(ann.get(`/subscriptions?topic=${topic}`))).items;
    const { consumers } = await ann.ok(ann.get(`/subscriptions/${id}/explain`));
    assert.deepEqual(
      consumers.map(({ name, state, inFlight }: Record<string, unknown>) => [name, state, inFlight]),
      [
        ["a", "active", 3],
        ["b", "standby", 0],
      ],
    );
  });

  it("load-balanced: who waits longest, or who holds least, is served first", async () => {
    for (const balancing of ["round-robin", "least-loaded"]) {
      const topic = await topicOf({ balancing });
      await publish(ann, topic, [1, 2]);
      await ann.ok(ann.get(`/messages/consume/${topic}?limit=2&consumer=busy`));
      const waiting = ["busy", "idle"].map((name) =>
        ann.get(`/messages/consume/${topic}?limit=1&wait=25&consumer=${name}`),
      );
      const [{ id }] = (await ann.ok(ann.get(`/subscriptions?topic=${topic}`))).items;
      const count = async () =>
        (await ann.ok(ann.get(`/subscriptions/${id}/explain`))).consumers.reduce(
          (sum: number, one: { waiting: number }) => sum + one.waiting,
          0,
        );
      while ((await count()) < 2);
      await publish(ann, topic, [3]);
      const winner = await Promise.race(
        waiting.map(async (answer, i) => ((await answer).json.messages.length ? i : -1)),
      );
      if (balancing === "least-loaded") assert.equal(winner, 1);
      await publish(ann, topic, [4]);
      const both = await Promise.all(waiting);
      assert.deepEqual(
        both.map(({ json }) => json.messages.length),
        [1, 1],
      );
    }
  });
});

describe("an explanation", () => {
  it("says of each message where it stands, and why", async () => {
    const topic = await topicOf({});
    const messages = ["a1", "a2", "b1", "c1"].map((payload) => ({ payload, key: payload[0] }));
    const sent = (await ann.ok(ann.post("/messages/publish", { topic, messages }), 201)).messages;
    const [a1, a2, b1, c1] = sent.map(({ messageId }: Received) => messageId);
    const [{ id }] = (await ann.ok(ann.get(`/subscriptions?topic=${topic}`))).items;
    assert.equal((await ann.ok(ann.get(`/subscriptions/${id}/explain`))).reasons[0].code, "no-consumer");
    assert.match((await explain(c1)).detail, /^3 messages .* before it.* Nobody has asked/);
    const [first] = (await ann.ok(ann.get(`/messages/consume/${topic}?limit=1&consumer=w1`))).messages;
    const [second] = (await ann.ok(ann.get(`/messages/consume/${topic}?limit=1&consumer=w1`))).messages;
    assert.deepEqual([first.payload, second.payload], ["a1", "b1"]);
    const leased = await explain(a1);
    assert.deepEqual([leased.state, leased.consumer], ["leased", "w1"]);
    assert.ok(Math.abs(Date.parse(leased.until) - Date.parse(first.leaseExpiresAt)) < 50);
    const blocked = await explain(a2);
    assert.deepEqual([blocked.state, blocked.blockedBy], ["blocked", { messageId: a1, state: "leased" }]);
    const nack = { receipt: second.receipt, delayMs: 60_000, reason: "later" };
    await ann.ok(ann.post(`/messages/${b1}/nack`, nack));
    const delayed = await explain(b1);
    assert.deepEqual([delayed.state, delayed.lastReason, delayed.attempts], ["delayed", "later", 1]);
    assert.ok(Date.parse(delayed.until) > Date.now() + 50_000);
    await ann.ok(ann.post(`/messages/${a1}/ack`, { receipt: first.receipt }));
    assert.equal((await explain(a1)).state, "done");
    assert.equal((await explain(a2)).state, "ready");
    const { reasons } = await ann.ok(ann.get(`/subscriptions/${id}/explain`));
    assert.deepEqual(
      reasons.map(({ code }: { code: string }) => code),
      ["delayed"],
    );
    assertRefused(await ann.get(`/messages/${a1}/explain?subscription=none`), 404, "subscription_not_found");
    assertRefused(await ann.get("/messages/zzzz-0-0/explain"), 404, "message_not_found");
  });

  it("finds a dead letter", async () => {
    const topic = await topicOf({});
    await publish(ann, topic, ["bad"]);
    const [{ messageId, receipt }] = (await consume(topic)) as [Received];
    await ann.ok(ann.post(`/messages/${messageId}/nack`, { receipt, deadLetter: true, reason: "r" }));
    let found = await explain(messageId);
    while (found.state === "dead-lettering") found = await explain(messageId);
    assert.deepEqual([found.state, found.attempts, found.lastReason], ["dead-lettered", 1, "r"]);
    assert.equal((await ann.ok(ann.get(`/messages/${found.deadLetter}`))).origin.messageId, messageId);
  });

  it("says of an expired message that it is", async () => {
    const topic = await topicOf({ messageTtlSeconds: 1 });
    const [{ messageId }] = await publish(ann, topic, ["short"]);
    while ((await explain(messageId)).state === "waiting");
    assert.equal((await explain(messageId)).state, "expired");
    assert.deepEqual(await consume(topic), []);
  });
});
