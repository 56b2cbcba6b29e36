/** What fails over HTTP: back-off, the limit of attempts, and the dead-letter queue that makes itself. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, type Received, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

let topics = 0;
/** A pubsub topic with a subscription `s` of these settings. */
async function topicWith(settings: object): Promise<string> {
  const name = `failing.${++topics}`;
  await ann.ok(ann.post("/topics", { name, type: "pubsub" }));
  await ann.ok(
    ann.post("/subscriptions", { topic: name, name: "s", backoff: { delaysMs: [0] }, ...settings }),
  );
  return name;
}

const s = { subscription: "s" };
const one = (topic: string, query: { subscription?: string; wait?: number } = s) =>
  take(ann, topic, 1, query).then(([message]) => message!);
const nack = ({ messageId, receipt }: Received, more: object = {}) =>
  ann.ok(ann.post(`/messages/${messageId}/nack`, { receipt, ...more }));
const ack = ({ messageId, receipt }: Received) => ann.ok(ann.post(`/messages/${messageId}/ack`, { receipt }));
/** The queue of dead letters comes to be some time after the first is given up. */
async function deadLetters(topic: string, count: number): Promise<Received[]> {
  while ((await ann.get(`/topics/${topic}.dlq`)).status === 404);
  return take(ann, `${topic}.dlq`, count, {});
}

describe("a message that keeps failing", () => {
  it("is tried as often as allowed, and then becomes a dead letter with all it was", async () => {
    const topic = await topicWith({ maxAttempts: 2 });
    const sent = { topic, payload: { n: 1 }, key: "k", headers: { h: "v" }, priority: 3 };
    const { messageId } = await ann.ok(ann.post("/messages/publish", sent));
    const first = await one(topic);
    await nack(first, { reason: "no stock" });
    const second = await one(topic);
    assert.equal((second as Received & { lastReason: string }).lastReason, "no stock");
    await nack(second, { reason: "still none" });
    const [dead] = await deadLetters(topic, 1);
    assert.deepEqual(
      { payload: dead!.payload, key: dead!.key, headers: dead!.headers },
      { payload: { n: 1 }, key: "k", headers: { h: "v" } },
    );
    const { origin, priority } = dead as Received & { origin: Record<string, unknown>; priority: number };
    assert.equal(priority, 3);
    const { deadLetterId, publishedAt, firstFailedAt, lastFailedAt, deadLetteredAt, ...rest } = origin;
    assert.deepEqual(rest, {
      messageId,
      topic,
      partition: 0,
      offset: 0,
      subscription: "s",
      cause: "attempts",
      reason: "still none",
      attempts: 2,
    });
    assert.equal(publishedAt, first.publishedAt);
    assert.ok(
      String(firstFailedAt) <= String(lastFailedAt) && String(lastFailedAt) <= String(deadLetteredAt),
    );
    assert.match(String(deadLetterId), /^[0-9a-z]+-0-0$/);
    assert.deepEqual(await consume(ann, topic, s), []);
    const { subscriptions } = await ann.ok(ann.get(`/topics/${topic}/stats`));
    assert.deepEqual([subscriptions[0].depth, subscriptions[0].deadLetteredTotal], [0, 1]);
  });

  it("becomes one at once when its consumer says that it will never do", async () => {
    const topic = await topicWith({ maxAttempts: 0 });
    await publish(ann, topic, ["bad", "good"]);
    await nack(await one(topic), { deadLetter: true, reason: "not for this world" });
    assert.equal((await one(topic)).payload, "good");
    const [dead] = await deadLetters(topic, 1);
    const { cause, reason, attempts } = (dead as Received & { origin: Record<string, unknown> }).origin;
    assert.deepEqual([dead!.payload, cause, reason, attempts], ["bad", "rejected", "not for this world", 1]);
  });

  it("is never given up twice: a dead letter waits for as long as it takes", async () => {
    const topic = await topicWith({ maxAttempts: 1 });
    await publish(ann, topic, ["x"]);
    await nack(await one(topic));
    const [dead] = await deadLetters(topic, 1);
    await nack(dead!, { deadLetter: true, delayMs: 0 });
    assert.equal((await one(`${topic}.dlq`, {})).attempt, 2);
    assertRefused(await ann.get(`/topics/${topic}.dlq.dlq`), 404, "topic_not_found");
  });

  it("lets its key go on, or holds it back, as the subscription says", async () => {
    for (const blockKeyOnDeadLetter of [false, true]) {
      const topic = await topicWith({ maxAttempts: 1, blockKeyOnDeadLetter });
      const messages = ["a1", "a2", "b1"].map((payload) => ({ payload, key: payload[0] }));
      await ann.ok(ann.post("/messages/publish", { topic, messages }));
      const a1 = await one(topic);
      await nack(a1);
      await deadLetters(topic, 1);
      const rest = await take(ann, topic, blockKeyOnDeadLetter ? 1 : 2, s);
      assert.deepEqual(payloads(rest).sort(), blockKeyOnDeadLetter ? ["b1"] : ["a2", "b1"]);
    }
  });

  it("becomes one when its time ends, where the subscription says so, and is delivered by a replay", async () => {
    const topic = await topicWith({ deadLetterExpired: true, blockKeyOnDeadLetter: true });
    const brief = { ttlSeconds: 1, key: "k" };
    const messages = [
      { payload: "tried", ...brief },
      { payload: "unseen", ...brief },
      { payload: "long", key: "k" },
    ];
    const { messages: sent } = await ann.ok(ann.post("/messages/publish", { topic, messages }));
    const tried = await one(topic);
    assert.equal(tried.payload, "tried");
    await nack(tried, { delayMs: 1100 });
    assert.equal((await one(topic)).payload, "long", "its key goes on without them");
    const dead = (await deadLetters(topic, 2)) as (Received & { origin: Record<string, unknown> })[];
    assert.deepEqual(
      dead.map(({ payload, origin }) => [payload, origin.cause, origin.reason, origin.attempts]),
      [
        ["tried", "expired", "expired", 1],
        ["unseen", "expired", "expired", 0],
      ],
    );
    await ann.ok(
      ann.post("/messages/nack", { items: dead.map(({ receipt }) => ({ receipt, release: true })) }),
    );
    const why = await ann.ok(
      ann.get(`/messages/${sent[1].messageId}/explain?subscription=${s.subscription}`),
    );
    assert.equal(why.state, "dead-lettered");
    await ann.ok(ann.post(`/topics/${topic}/dlq/replay`, { cause: "expired" }), 201);
    assert.deepEqual(payloads(await take(ann, topic, 2, s)).sort(), ["tried", "unseen"]);
  });

  it("whose lease expires fails as well, with the back-off of its attempt", async () => {
    const topic = await topicWith({ ackDeadlineSeconds: 1, backoff: { baseMs: 300, maxMs: 500 } });
    await publish(ann, topic, ["slow"]);
    const started = performance.now();
    await one(topic);
    const again = await one(topic, { ...s, wait: 20 });
    assert.ok(performance.now() - started >= 1299);
    assert.equal((again as Received & { lastReason: string }).lastReason, "lease expired");
  });
});

describe("the settings of a subscription", () => {
  it("have defaults, can be changed, and count from the next delivery on", async () => {
    const topic = `changed.${++topics}`;
    await ann.ok(ann.post("/topics", { name: topic }));
    const [subscription] = (await ann.ok(ann.get(`/subscriptions?topic=${topic}`))).items;
    assert.deepEqual(
      [
        subscription.ackMode,
        subscription.maxAttempts,
        subscription.backoff,
        subscription.blockKeyOnDeadLetter,
        subscription.deadLetterExpired,
      ],
      ["at-least-once", 6, { delaysMs: [2000, 4000, 8000, 16_000, 32_000] }, false, false],
    );
    const path = `/subscriptions/${subscription.id}`;
    await publish(ann, topic, ["x"]);
    const change = { maxAttempts: 1, ackDeadlineSeconds: 90 };
    assertRefused(await ann.put(path, change), 428, "if_match_required");
    const headers = { "if-match": (await ann.get(path)).headers.get("etag")! };
    const changed = await ann.ok(ann.put(path, change, { headers }));
    assert.deepEqual([changed.maxAttempts, changed.ackDeadlineSeconds, changed.version], [1, 90, 2]);
    assertRefused(await ann.put(path, change, { headers }), 412, "etag_mismatch");
    const message = await one(topic, {});
    assert.ok(Date.parse(message.leaseExpiresAt) - Date.now() > 60_000);
    await nack(message);
    assert.equal((await deadLetters(topic, 1))[0]!.payload, "x");
    assert.deepEqual(await ann.ok(ann.get(path)), changed);
  });

  it("refuse what makes no sense, with a pointer", async () => {
    const name = `refused.${++topics}`;
    await ann.ok(ann.post("/topics", { name, type: "pubsub" }));
    for (const wrong of [
      { maxAttempts: -1 },
      { ackMode: "exactly-once" },
      { backoff: { delaysMs: [] } },
      { backoff: { baseMs: 1 } },
      { backoff: { baseMs: 2, maxMs: 1 } },
      { retries: 3 },
    ]) {
      const problem = assertRefused(
        await ann.post("/subscriptions", { topic: name, name: "s", ...wrong }),
        400,
        "validation_failed",
      );
      assert.match(problem.errors?.[0]?.pointer ?? "", new RegExp(`^/${Object.keys(wrong)[0]}`));
    }
  });

  it("leave the names of dead-letter queues to HotSwap", async () => {
    for (const name of ["orders.dlq", "x".repeat(125)]) {
      const problem = assertRefused(await ann.post("/topics", { name }), 400, "validation_failed");
      assert.equal(problem.errors?.[0]?.pointer, "/name");
    }
    await ann.ok(ann.post("/topics", { name: "x".repeat(124) }));
  });
});

describe("at most once", () => {
  it("settles before it hands out, and nothing comes again, not even after a restart", async () => {
    const topic = await topicWith({ ackMode: "at-most-once", ackDeadlineSeconds: 1 });
    await publish(ann, topic, [1, 2, 3]);
    const [first] = await take(ann, topic, 1, s);
    assert.deepEqual(await ack(first!), { settled: 0, alreadySettled: 1, failed: [] });
    assert.deepEqual(payloads(await take(ann, topic, 1, s)), [2]);
    await server.restart();
    assert.deepEqual(payloads(await consume(ann, topic, { ...s, wait: 2, limit: 10 })), [3]);
    assert.deepEqual(await consume(ann, topic, { ...s, wait: 1.2 }), []);
  });
});

describe("dead letters over a restart", () => {
  it("stay where they are, and parked keys stay parked", async () => {
    const topic = await topicWith({ maxAttempts: 1, blockKeyOnDeadLetter: true });
    const messages = ["a1", "a2"].map((payload) => ({ payload, key: "a" }));
    await ann.ok(ann.post("/messages/publish", { topic, messages }));
    await nack(await one(topic));
    await deadLetters(topic, 1);
    await server.restart();
    assert.deepEqual(await consume(ann, topic, s), []);
    assert.deepEqual(payloads(await take(ann, `${topic}.dlq`, 1, {})), ["a1"]);
    assert.equal((await ann.ok(ann.get(`/topics/${topic}.dlq`))).deadLettersOf, topic);
  });
});

interface Replay {
  id: string;
  status: string;
  matched: number;
  processed: number;
  failed: number;
  sample: string[];
}

/** A replay, when it has come to its end. */
async function replayed(topic: string, request: object): Promise<Replay> {
  const begun: Replay = await ann.ok(ann.post(`/topics/${topic}/dlq/replay`, request), 201);
  for (;;) {
    const now: Replay = await ann.ok(ann.get(`/topics/${topic}/dlq/replays/${begun.id}`));
    if (now.status !== "running") return now;
  }
}

/** A topic whose messages were all given up, each with its own payload as the reason. */
async function failed(settings: object, messages: readonly object[]): Promise<string> {
  const topic = await topicWith({ maxAttempts: 1, ...settings });
  await ann.ok(ann.post("/messages/publish", { topic, messages }), 201);
  for (let left = messages.length; left > 0; ) {
    const taken = await consume(ann, topic, { ...s, wait: 5, limit: 100 });
    const items = taken.map(({ receipt, payload }) => ({ receipt, reason: String(payload) }));
    if (items.length > 0) await ann.ok(ann.post("/messages/nack", { items }));
    left -= taken.length;
  }
  while ((await ann.get(`/topics/${topic}.dlq`)).status === 404);
  while ((await dlq(topic)).total < messages.length);
  return topic;
}

const dlq = (topic: string, query = "") => ann.ok(ann.get(`/topics/${topic}/dlq?${query}`));

describe("the dead letters of a topic", () => {
  it("are listed page by page, and grouped by why", async () => {
    const topic = await failed(
      {},
      ["a", "b", "a", "a"].map((payload) => ({ payload })),
    );
    const { total, complete, groups, messages, next } = await dlq(topic, "limit=3");
    assert.deepEqual([total, complete, messages.length], [4, true, 3]);
    assert.deepEqual(
      groups.map(({ subscription, cause, reason, count }: Record<string, unknown>) => [
        subscription,
        cause,
        reason,
        count,
      ]),
      [
        ["s", "attempts", "a", 3],
        ["s", "attempts", "b", 1],
      ],
    );
    const rest = await dlq(topic, `limit=3&cursor=${next}`);
    assert.deepEqual([payloads(rest.messages), rest.next], [["a"], null]);
    assert.deepEqual(payloads((await dlq(topic, "reason=b")).messages), ["b"]);
    assert.equal((await dlq(topic, "subscription=other")).total, 0);
    assert.equal((await dlq(topic, "to=2020-01-01T00:00:00Z")).total, 0);
    const [taken] = await take(ann, `${topic}.dlq`, 1, {});
    await ack(taken!);
    assert.equal((await dlq(topic)).total, 3);
  });

  it("of a topic that never had any are none", async () => {
    const topic = await topicWith({});
    assert.deepEqual(await dlq(topic), { messages: [], total: 0, complete: true, groups: [], next: null });
    assertRefused(await ann.get("/topics/none/dlq"), 404, "topic_not_found");
    assert.deepEqual((await replayed(topic, {})).status, "done");
  });
});

describe("a replay", () => {
  it("delivers again to the subscription that failed, and to no other, as the message that it was", async () => {
    const topic = await failed({}, [{ payload: "x", key: "k", headers: { h: "v" } }]);
    await ann.ok(ann.post("/subscriptions", { topic, name: "other", from: "earliest" }), 201);
    const [before] = await take(ann, topic, 1, { subscription: "other" });
    const { status, matched, processed, failed: refused } = await replayed(topic, {});
    assert.deepEqual([status, matched, processed, refused], ["done", 1, 1, 0]);
    const again = await one(topic);
    const { messageId, partition, offset, key, headers, publishedAt, attempt } = again;
    assert.deepEqual(
      { messageId, partition, offset, key, headers, publishedAt, attempt },
      {
        messageId: before!.messageId,
        partition: 0,
        offset: 0,
        key: "k",
        headers: { h: "v" },
        publishedAt: before!.publishedAt,
        attempt: 1,
      },
    );
    assert.deepEqual(await consume(ann, topic, { subscription: "other" }), []);
    assert.equal((await dlq(topic)).total, 0);
    await nack(again, { reason: "still not" });
    while ((await dlq(topic)).total === 0);
    const { origin } = (await dlq(topic)).messages[0];
    assert.deepEqual(
      [origin.messageId, origin.reason, origin.publishedAt],
      [messageId, "still not", publishedAt],
    );
  });

  it("takes what was selected, and says before what that would be", async () => {
    const messages = ["a", "b", "c"].map((payload) => ({ payload, headers: { kind: payload } }));
    const topic = await failed({}, messages);
    const ids = (await dlq(topic)).messages.map(({ messageId }: Received) => messageId);
    const dry = await ann.ok(ann.post(`/topics/${topic}/dlq/replay?dryRun=true`, { reason: "b" }), 201);
    assert.deepEqual([dry.matched, dry.sample], [1, [ids[1]]]);
    assert.deepEqual((await ann.ok(ann.get(`/topics/${topic}/dlq/replays`))).items, []);
    assert.equal((await dlq(topic)).total, 3);
    const backwards = { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" };
    const refused = await ann.post(`/topics/${topic}/dlq/replay`, backwards);
    assert.equal(assertRefused(refused, 400, "validation_failed").errors?.[0]?.pointer, "/to");
    await replayed(topic, { reason: "b" });
    await replayed(topic, { headers: { kind: "a" }, ratePerSecond: 1000 });
    assert.deepEqual(payloads(await take(ann, topic, 2, s)), ["b", "a"]);
    await replayed(topic, { messageIds: [ids[2]], action: "discard" });
    assert.equal((await dlq(topic)).total, 0);
    assert.deepEqual(await consume(ann, topic, s), []);
  });

  it("of one message goes by the id of the dead letter, or of what it was", async () => {
    const topic = await failed({}, [{ payload: 1 }, { payload: 2 }]);
    const [first, second] = (await dlq(topic)).messages;
    const { messageId } = second.origin;
    assert.deepEqual(await ann.ok(ann.post(`/messages/${messageId}/replay`)), {
      messageId,
      subscription: "s",
    });
    await ann.ok(ann.post(`/messages/${first.messageId}/replay`));
    assert.deepEqual(payloads(await take(ann, topic, 2, s)), [2, 1]);
    assertRefused(await ann.post(`/messages/${messageId}/replay`), 404, "message_not_found");
  });

  it("tries a parked message again in its place, and its key goes on behind it", async () => {
    const messages = ["a1", "a2"].map((payload) => ({ payload, key: "a" }));
    const topic = await topicWith({ maxAttempts: 1, blockKeyOnDeadLetter: true });
    await ann.ok(ann.post("/messages/publish", { topic, messages }), 201);
    await nack(await one(topic));
    while ((await ann.get(`/topics/${topic}.dlq`)).status === 404);
    while ((await dlq(topic)).total === 0);
    await replayed(topic, {});
    assert.deepEqual(payloads(await take(ann, topic, 2, s)), ["a1", "a2"]);
  });

  it("runs one at a time, can be cancelled, and goes on after a restart", async () => {
    const topic = await failed(
      {},
      Array.from({ length: 30 }, (_, n) => ({ payload: n })),
    );
    const begun = await ann.ok(ann.post(`/topics/${topic}/dlq/replay`, { ratePerSecond: 1 }), 201);
    assertRefused(await ann.post(`/topics/${topic}/dlq/replay`, {}), 409, "replay_running");
    const path = `/topics/${topic}/dlq/replays/${begun.id}`;
    while ((await ann.ok(ann.get(path))).processed === 0);
    await server.restart();
    while ((await ann.ok(ann.get(path))).processed < 2);
    const { status, processed } = await ann.ok(ann.post(`${path}/cancel`));
    assert.equal(status, "cancelled");
    const rest = (await dlq(topic)).total;
    assert.ok(
      processed < 30 && rest <= 30 - processed && rest >= 30 - processed - 1,
      `${processed} and ${rest}`,
    );
    assert.equal((await replayed(topic, {})).matched, rest);
    const all = await take(ann, topic, 30, s);
    assert.deepEqual(
      payloads(all),
      Array.from({ length: 30 }, (_, n) => n),
    );
    assertRefused(
      await ann.get(`/topics/${topic}/dlq/replays/${crypto.randomUUID()}`),
      404,
      "replay_not_found",
    );
  });

  it("leaves what nobody can take any more where it is, and says so", async () => {
    const topic = await failed({}, [{ payload: 1 }]);
    const [{ id }] = (await ann.ok(ann.get(`/subscriptions?topic=${topic}`))).items;
    await ann.ok(ann.delete(`/subscriptions/${id}`));
    const { status, processed, failed: refused } = await replayed(topic, {});
    assert.deepEqual([status, processed, refused], ["done", 0, 1]);
    const [{ messageId }] = (await dlq(topic)).messages;
    assertRefused(await ann.post(`/messages/${messageId}/replay`), 409, "replay_refused");
  });

  it("needs its permission", async () => {
    const topic = await topicWith({});
    const consumer = await server.as({ roles: ["consumer"] });
    assertRefused(await consumer.post(`/topics/${topic}/dlq/replay`, {}), 403, "permission_denied");
  });
});
