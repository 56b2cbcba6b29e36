/** Consuming over HTTP: leases, their ends, and every way to settle a message or to fail at it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, type Received, receipts, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

let topics = 0;
/** A queue of its own with these messages in it. */
async function queue(...messages: unknown[]): Promise<string> {
  const name = `queue.${++topics}`;
  await ann.ok(ann.post("/topics", { name }));
  if (messages.length > 0) await publish(ann, name, messages);
  return name;
}

/** A pubsub topic whose subscription `s` leases for `ackDeadlineSeconds`. */
async function leased(ackDeadlineSeconds: number, ...messages: unknown[]): Promise<string> {
  const name = `leased.${++topics}`;
  await ann.ok(ann.post("/topics", { name, type: "pubsub" }));
  await ann.ok(ann.post("/subscriptions", { topic: name, name: "s", ackDeadlineSeconds }));
  await publish(ann, name, messages);
  return name;
}

const one = (topic: string, query: { subscription?: string; wait?: number } = {}) =>
  take(ann, topic, 1, query).then(([message]) => message!);
const ack = ({ messageId, receipt }: Pick<Received, "messageId" | "receipt">) =>
  ann.post(`/messages/${messageId}/ack`, { receipt });
const nack = ({ messageId, receipt }: Received, more: object = {}) =>
  ann.post(`/messages/${messageId}/nack`, { receipt, ...more });
const statsOf = async (topic: string) => (await ann.ok(ann.get(`/topics/${topic}/stats`))).subscriptions[0];
const s = { subscription: "s" };

describe("consuming", () => {
  it("takes up to the limit, in order, and what is taken is not given again", async () => {
    const topic = await queue(1, 2, 3, 4, 5);
    const first = await consume(ann, topic, { limit: 2 });
    assert.deepEqual(payloads(first), [1, 2]);
    assert.deepEqual(payloads(await consume(ann, topic, { limit: 1000 })), [3, 4, 5]);
    assert.deepEqual(await consume(ann, topic), []);
    const { depth, inFlight, deliveredTotal } = await statsOf(topic);
    assert.deepEqual([depth, inFlight, deliveredTotal], [5, 5, 5]);
    for (const { attempt, leaseExpiresAt, publishedAt } of first) {
      assert.equal(attempt, 1);
      const leaseMs = Date.parse(leaseExpiresAt) - Date.parse(publishedAt);
      assert.ok(leaseMs >= 29_000 && leaseMs < 60_000, String(leaseMs)); // 30 s from the delivery on
    }
  });

  it("gives no message to two who ask at once", async () => {
    const all = Array.from({ length: 60 }, (_, n) => n);
    const topic = await queue(...all);
    const taken = await Promise.all(Array.from({ length: 12 }, () => consume(ann, topic, { limit: 7 })));
    const rest = await consume(ann, topic, { limit: 1000 });
    assert.deepEqual(
      [...taken.flat(), ...rest].map(({ payload }) => payload as number).sort((a, b) => a - b),
      all,
    );
  });

  it("waits for a message and is woken by its publish", async () => {
    const topic = await queue();
    const started = performance.now();
    const waiting = consume(ann, topic, { wait: 25 });
    await ann.ok(ann.get(`/topics/${topic}/stats`));
    await publish(ann, topic, ["news"]);
    assert.deepEqual(payloads(await waiting), ["news"]);
    assert.ok(performance.now() - started < 20_000);
  });

  it("wakes as many who wait as there are messages", async () => {
    const topic = await queue();
    const waiting = Array.from({ length: 5 }, () => consume(ann, topic, { wait: 25, limit: 1 }));
    await ann.ok(ann.get(`/topics/${topic}/stats`));
    await publish(ann, topic, [1, 2, 3, 4, 5]);
    const taken = (await Promise.all(waiting)).flat();
    assert.deepEqual(taken.map(({ payload }) => payload).sort(), [1, 2, 3, 4, 5]);
  });

  it("answers with nothing after the wait", async () => {
    const topic = await queue();
    const started = performance.now();
    assert.deepEqual(await consume(ann, topic, { wait: 0.3 }), []);
    assert.ok(performance.now() - started >= 299);
  });

  it("loses nothing when the one who waits goes away", async () => {
    const topic = await queue();
    const gone = new AbortController();
    const lost = ann.get(`/messages/consume/${topic}?wait=25`, { signal: gone.signal });
    await ann.ok(ann.get(`/topics/${topic}/stats`));
    gone.abort();
    await assert.rejects(lost);
    const next = one(topic, { wait: 25 });
    await publish(ann, topic, ["kept"]);
    assert.equal((await next).payload, "kept");
  });

  it("refuses limits, waits and names that are none", async () => {
    const topic = await queue();
    for (const query of [
      "limit=0",
      "limit=1001",
      "limit=x",
      "limit=1.5",
      "wait=-1",
      "wait=31",
      "wait=x",
      "max=1",
    ]) {
      const problem = assertRefused(
        await ann.get(`/messages/consume/${topic}?${query}`),
        400,
        "validation_failed",
      );
      assert.equal(problem.errors?.[0]?.pointer, `query/${query.split("=")[0]}`);
    }
    const other = await ann.get(`/messages/consume/${topic}?subscription=other`);
    assertRefused(other, 404, "subscription_not_found");
    assertRefused(await ann.get("/messages/consume/none"), 404, "topic_not_found");
  });

  it("keeps the order of a key: what follows waits for what is in work", async () => {
    const topic = await queue();
    const messages = ["a1", "b1", "a2", "b2"].map((payload) => ({ payload, key: payload[0] }));
    await ann.ok(ann.post("/messages/publish", { topic, messages }));
    const a1 = await one(topic);
    assert.equal(a1.payload, "a1");
    assert.deepEqual(payloads(await consume(ann, topic, { limit: 10 })), ["b1", "b2"]);
    assert.deepEqual(await consume(ann, topic), []);
    await ann.ok(nack(a1, { delayMs: 0 }));
    const again = await one(topic);
    assert.deepEqual([again.payload, again.attempt], ["a1", 2]);
    const waiting = one(topic, { wait: 25 });
    await ann.ok(ack(again));
    assert.equal((await waiting).payload, "a2");
  });
});

describe("a lease", () => {
  it("that ends gives the message to the next, and a late ack is refused", async () => {
    const topic = await leased(1, "work");
    const first = await one(topic, s);
    const second = await one(topic, { ...s, wait: 25 });
    assert.deepEqual([second.payload, second.attempt, second.messageId], ["work", 2, first.messageId]);
    assert.notEqual(second.receipt, first.receipt);
    assert.ok(Date.parse(second.leaseExpiresAt) > Date.parse(first.leaseExpiresAt));
    assertRefused(await ack(first), 409, "lease_lost");
    assertRefused(await nack(first), 409, "lease_lost");
    const late = await ann.ok(ann.post("/messages/ack", { receipts: [first.receipt] }));
    assert.deepEqual([late.settled, late.failed[0].code], [0, "lease_lost"]);
    const kept = await ann.ok(ann.post("/messages/extend", { receipts: [first.receipt], seconds: 60 }));
    assert.equal(kept.failed[0].code, "lease_lost");
    assert.equal((await ann.ok(ack(second))).settled, 1);
    const { depth, redeliveredTotal, ackedTotal } = await statsOf(topic);
    assert.deepEqual([depth, redeliveredTotal, ackedTotal], [0, 1, 1]);
  });

  it("that is extended holds beyond its first end", async () => {
    const topic = await leased(1, "long work");
    const held = await one(topic, s);
    const { settled } = await ann.ok(ann.post("/messages/extend", { receipts: [held.receipt], seconds: 60 }));
    assert.equal(settled, 1);
    assert.deepEqual(await consume(ann, topic, { ...s, wait: 2 }), []);
    assert.equal((await ann.ok(ack(held))).settled, 1);
  });

  it("can be extended to end sooner", async () => {
    const topic = await leased(600, "short work");
    const held = await one(topic, s);
    await ann.ok(ann.post("/messages/extend", { receipts: [held.receipt], seconds: 1 }));
    assert.equal((await one(topic, { ...s, wait: 25 })).attempt, 2);
  });
});

describe("giving back", () => {
  it("makes the message available after the back-off, and at once when the consumer says so", async () => {
    const topic = await queue("x");
    const usual = await one(topic);
    const started = performance.now();
    await ann.ok(nack(usual));
    const first = await one(topic, { wait: 25 });
    assert.ok(performance.now() - started >= 1999);
    assert.equal((await ann.ok(nack(first, { reason: "not now", delayMs: 0 }))).settled, 1);
    const second = await one(topic, { wait: 0 });
    assert.equal(second.attempt, 3);
    assertRefused(await ack(first), 409, "lease_lost");
    await ann.ok(ack(second));
  });

  it("with a delay keeps it back for that long", async () => {
    const topic = await queue("x");
    const first = await one(topic);
    const started = performance.now();
    await ann.ok(nack(first, { delayMs: 700 }));
    assert.deepEqual(await consume(ann, topic), []);
    assert.equal((await statsOf(topic)).delayed, 1);
    const second = await one(topic, { wait: 25 });
    assert.ok(performance.now() - started >= 699);
    assert.equal(second.attempt, 2);
  });

  it("untried does not count as an attempt", async () => {
    const topic = await queue("x");
    await ann.ok(nack(await one(topic), { release: true }));
    const again = await one(topic, { wait: 0 });
    assert.equal(again.attempt, 1);
    const both = assertRefused(await nack(again, { release: true, delayMs: 0 }), 400, "validation_failed");
    assert.equal(both.errors?.[0]?.pointer, "/release");
    const item = { receipt: again.receipt, deadLetter: true, release: true };
    const many = assertRefused(await ann.post("/messages/nack", { items: [item] }), 400, "validation_failed");
    assert.equal(many.errors?.[0]?.pointer, "/items/0/release");
  });

  it("works for many at once, each with its own outcome", async () => {
    const topic = await queue(1, 2, 3);
    const [a, b, c] = await take(ann, topic, 3);
    await ann.ok(ack(c!));
    const items = [
      { receipt: a!.receipt, delayMs: 0 },
      { receipt: b!.receipt, delayMs: 60_000 },
      { receipt: c!.receipt },
    ];
    const result = await ann.ok(ann.post("/messages/nack", { items }));
    assert.deepEqual(result, { settled: 2, alreadySettled: 1, failed: [] });
    assert.deepEqual(payloads(await consume(ann, topic, { limit: 10 })), [1]);
  });
});

describe("acknowledging", () => {
  it("counts a repeat as settled before", async () => {
    const topic = await queue("x");
    const message = await one(topic);
    assert.deepEqual(await ann.ok(ack(message)), { settled: 1, alreadySettled: 0, failed: [] });
    assert.deepEqual(await ann.ok(ack(message)), { settled: 0, alreadySettled: 1, failed: [] });
    assert.deepEqual(await ann.ok(nack(message)), { settled: 0, alreadySettled: 1, failed: [] });
    assert.equal((await statsOf(topic)).depth, 0);
  });

  it("needs the receipt of this very message", async () => {
    const topic = await queue("x", "y");
    const [x, y] = await take(ann, topic, 2);
    assertRefused(await ack({ messageId: x!.messageId, receipt: y!.receipt }), 400, "receipt_invalid");
    const other = await queue("z");
    const z = await one(other);
    assertRefused(await ack({ messageId: x!.messageId, receipt: z.receipt }), 400, "receipt_invalid");
    for (const receipt of [
      "no receipt",
      "1-2-3-4",
      `${x!.receipt}0`,
      x!.receipt.toUpperCase(),
      `${x!.receipt}-1`,
    ]) {
      const answer = await ack({ messageId: x!.messageId, receipt });
      assert.ok(["receipt_invalid", "lease_lost"].includes(answer.json.code), `${receipt}: ${answer.text}`);
    }
    assertRefused(await ack({ messageId: "no message", receipt: x!.receipt }), 404, "message_not_found");
    assertRefused(await ann.post(`/messages/${x!.messageId}/ack`, {}), 400, "validation_failed");
    assert.equal((await ann.ok(ack(x!))).settled, 1);
  });

  it("works for many, over topics, each with its own outcome", async () => {
    const [first, second] = [await queue(1, 2), await queue(3)];
    const taken = [...(await take(ann, first, 2)), ...(await take(ann, second, 1))];
    await ann.ok(ack(taken[0]!));
    const result = await ann.ok(ann.post("/messages/ack", { receipts: [...receipts(taken), "made up"] }));
    assert.deepEqual([result.settled, result.alreadySettled], [2, 1]);
    assert.deepEqual(
      result.failed.map(({ receipt, code }: Record<string, string>) => [receipt, code]),
      [["made up", "receipt_invalid"]],
    );
    assert.deepEqual([(await statsOf(first)).depth, (await statsOf(second)).depth], [0, 0]);
  });

  it("refuses more receipts than a batch may have, whole", async () => {
    const answer = await ann.post("/messages/ack", { receipts: Array(1001).fill("1-2-3-4") });
    assertRefused(answer, 400, "validation_failed");
    assertRefused(await ann.post("/messages/ack", { receipts: [] }), 400, "validation_failed");
  });
});

describe("looking without consuming", () => {
  it("reads one message by its id, also after its acknowledgement", async () => {
    const topic = await queue();
    const sent = { topic, payload: { a: 1 }, key: "k", headers: { h: "v" } };
    const { messageId, partition, offset } = await ann.ok(ann.post("/messages/publish", sent));
    const { publishedAt, ...shown } = await ann.ok(ann.get(`/messages/${messageId}`));
    assert.deepEqual(shown, { messageId, partition, offset, ...sent });
    await ann.ok(ack(await one(topic)));
    assert.equal((await ann.ok(ann.get(`/messages/${messageId}`))).publishedAt, publishedAt);
    const [number] = messageId.split("-");
    for (const id of [`${number}-0-zz`, `${number}-7-0`, "zzzz-0-0", "not-an-id", "0-0-0-0", "-1-0-0"]) {
      assertRefused(await ann.get(`/messages/${id}`), 404, "message_not_found");
    }
  });

  it("peeks at a partition from anywhere, and changes nothing", async () => {
    const topic = await queue("a", "b", "c", "d");
    const peek = async (query: string) => {
      const { messages } = await ann.ok(ann.get(`/topics/${topic}/messages?${query}`));
      return messages.map(({ payload }: { payload: string }) => payload).join("");
    };
    assert.equal(await peek(""), "abcd");
    assert.equal(await peek("limit=2"), "cd");
    assert.equal(await peek("from=earliest&limit=3"), "abc");
    assert.equal(await peek("from=2"), "cd");
    assert.equal(await peek("from=4"), "");
    const { depth, inFlight, deliveredTotal } = await statsOf(topic);
    assert.deepEqual([depth, inFlight, deliveredTotal], [4, 0, 0]);
    assert.equal((await one(topic)).attempt, 1);
    for (const query of ["partition=1", "partition=-1", "from=last", "from=-1", "limit=0"]) {
      assertRefused(await ann.get(`/topics/${topic}/messages?${query}`), 400, "validation_failed");
    }
    assertRefused(await ann.get("/topics/none/messages"), 404, "topic_not_found");
  });

  it("at an offset beyond the end finds nothing yet", async () => {
    const topic = await queue("a");
    assert.deepEqual(await ann.ok(ann.get(`/topics/${topic}/messages?from=99`)), { messages: [] });
  });
});
