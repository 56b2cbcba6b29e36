/** Messages for later over HTTP: delays, times, lists, cancelling, and what a restart keeps. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, payloads, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

const post = (body: unknown) => ann.post("/messages/publish", body);
const topic = async (name: string, more: object = {}) => {
  await ann.ok(ann.post("/topics", { name, ...more }), 201);
  return name;
};
const list = async (name: string, query = "") => ann.ok(ann.get(`/topics/${name}/scheduled${query}`));
const later = () => new Date(Date.now() + 3_600_000).toISOString();

describe("messages for later", () => {
  it("come when they are due, in that order, and say so", async () => {
    const name = await topic("due");
    const messages = [700, 300, 500].map((delayMs) => ({ payload: delayMs, delayMs }));
    const { messages: receipts } = await ann.ok(
      post({ topic: name, messages: [...messages, { payload: 0 }] }),
      201,
    );
    for (const { messageId, scheduledFor, ...rest } of receipts.slice(0, 3)) {
      assert.deepEqual(rest, { topic: name, durability: "fsync" });
      assert.ok(Date.parse(scheduledFor) > Date.now() - 100, messageId);
    }
    assert.equal(receipts[3].offset, 0);
    const [none, ...waited] = await take(ann, name, 4);
    assert.deepEqual(payloads([none!, ...waited]), [0, 300, 500, 700]);
    for (const { publishedAt, scheduledFor } of waited) assert.ok(publishedAt >= scheduledFor!);
    assert.deepEqual((await list(name)).items, []);
    assertRefused(await ann.get(`/messages/${receipts[0].messageId}`), 404, "message_not_found");
    assertRefused(await ann.delete(`/messages/${receipts[0].messageId}`), 404, "message_not_found");
  });

  it("are listed in pages, read, and taken back", async () => {
    const name = await topic("plans");
    const deliverAt = later();
    const messages = Array.from({ length: 5 }, (_, payload) => ({ payload, deliverAt, headers: { h: "1" } }));
    const { messages: receipts } = await ann.ok(post({ topic: name, messages }), 201);
    const first = await list(name, "?limit=2");
    const second = await list(name, `?limit=2&cursor=${first.next}`);
    const third = await list(name, `?limit=2&cursor=${second.next}`);
    assert.equal(third.next, null);
    const all = [...first.items, ...second.items, ...third.items];
    assert.deepEqual(payloads(all), [0, 1, 2, 3, 4]);
    assert.deepEqual(
      all.map(({ messageId }) => messageId),
      receipts.map(({ messageId }: { messageId: string }) => messageId),
    );
    const { messageId } = receipts[1];
    const read = await ann.ok(ann.get(`/messages/${messageId}`));
    assert.deepEqual(read, all[1]);
    assert.equal(read.scheduledFor, deliverAt);
    assert.deepEqual(await ann.ok(ann.delete(`/messages/${messageId}`)), read);
    assertRefused(await ann.delete(`/messages/${messageId}`), 404, "message_not_found");
    assertRefused(await ann.get(`/messages/${messageId}`), 404, "message_not_found");
    assert.deepEqual(payloads((await list(name)).items), [0, 2, 3, 4]);
    const { text: metrics } = await ann.get("//metrics");
    assert.match(metrics, /messages_scheduled_waiting\{[^}]*topic="plans"[^}]*\} 4/);
  });

  it("are stored once under an idempotency key", async () => {
    const name = await topic("once.later");
    const message = { topic: name, payload: 1, deliverAt: later(), idempotencyKey: "a" };
    const receipt = await ann.ok(post(message), 201);
    assert.deepEqual(await ann.ok(post({ ...message, payload: 2 }), 201), { ...receipt, duplicate: true });
    assert.equal((await list(name)).items.length, 1);
    const soon = await ann.ok(post({ topic: name, payload: 3, delayMs: 1, idempotencyKey: "b" }), 201);
    assert.equal((await take(ann, name, 1)).length, 1);
    await server.restart();
    // By now the log of what waits has marks between its messages.
    const again = await ann.ok(post({ topic: name, payload: 4, idempotencyKey: "b" }), 201);
    assert.deepEqual([again.messageId, again.duplicate], [soon.messageId, true]);
    assert.equal((await ann.ok(post({ topic: name, payload: 5, idempotencyKey: "c" }), 201)).offset, 1);
  });

  it("go at once when their time is past, and are refused when it makes no sense", async () => {
    const name = await topic("past");
    const deliverAt = "2001-01-01T00:00:00Z";
    assert.equal((await ann.ok(post({ topic: name, payload: 1, deliverAt }), 201)).offset, 0);
    assert.equal((await ann.ok(post({ topic: name, payload: 2, delayMs: 0 }), 201)).offset, 1);
    for (const [more, pointer] of [
      [{ deliverAt, delayMs: 5 }, "/deliverAt"],
      [{ deliverAt: "tomorrow" }, "/deliverAt"],
      [{ delayMs: -1 }, "/delayMs"],
    ] as const) {
      const problem = assertRefused(
        await post({ topic: name, payload: 1, ...more }),
        400,
        "validation_failed",
      );
      assert.equal(problem.errors?.[0]?.pointer, pointer);
    }
  });

  it("live through a restart, and go with their topic", async () => {
    const name = await topic("kept");
    const soon = await ann.ok(post({ topic: name, payload: "soon", delayMs: 1500 }), 201);
    await ann.ok(post({ topic: name, payload: "late", deliverAt: later() }), 201);
    await server.restart();
    assert.deepEqual(payloads(await take(ann, name, 1)), ["soon"]);
    assert.deepEqual(payloads((await list(name)).items), ["late"]);
    assertRefused(await ann.get(`/messages/${soon.messageId}`), 404, "message_not_found");
    await ann.ok(ann.delete(`/topics/${name}`), 204);
    await topic(name);
    assert.deepEqual((await list(name)).items, []);
  });
});
