/** Going back and forth in a topic: subscriptions that seek, and messages by their time. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

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
