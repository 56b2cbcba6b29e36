/** Several nodes as one broker: any of them answers for every topic. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { redisServerMissing } from "../../src/stores/redis.server.ts";
import { eventually } from "../gateway/backends.ts";
import { Farm } from "./farm.ts";

suite("several nodes", { skip: redisServerMissing() }, () => {
  let farm: Farm;
  before(async () => {
    farm = await Farm.start(2);
  });
  after(() => farm?.close());

  test("nodes know one another", async () => {
    for (const node of farm.nodes) {
      const { items } = await farm.ok(node, "GET", "/nodes");
      assert.deepEqual(
        items.map(({ name, status }: { name: string; status: string }) => [name, status]).sort(),
        [
          ["node-0", "started"],
          ["node-1", "started"],
        ],
      );
      const self = items.find((item: { isSelf: boolean }) => item.isSelf);
      const one = await farm.ok(node, "GET", `/nodes/${self.id}`);
      assert.equal(one.name, self.name);
    }
    assert.equal((await farm.call(farm.nodes[0]!, "GET", "/nodes/nobody")).json.code, "node_not_found");
  });

  test("a topic made on one node is published to, consumed from and settled through any", async () => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    for (let i = 0; i < 8; i++) {
      const topic = `any-${i}`;
      await farm.ok(a, "POST", "/topics", { name: topic });
      const sent = await farm.ok(b, "POST", "/messages/publish", {
        topic,
        messages: [{ payload: 1 }, { payload: 2 }],
      });
      await farm.ok(a, "POST", "/messages/publish", { topic, payload: 3 });
      const id = sent.messages[0].messageId;
      for (const node of farm.nodes) assert.equal((await farm.ok(node, "GET", `/messages/${id}`)).payload, 1);
      const first = await farm.ok(a, "GET", `/messages/consume/${topic}?limit=2&wait=5`);
      const rest = await farm.ok(b, "GET", `/messages/consume/${topic}?limit=2&wait=5`);
      const all = [...first.messages, ...rest.messages];
      assert.deepEqual(
        all.map(({ payload }) => payload),
        [1, 2, 3],
      );
      const [one, ...others] = all;
      assert.equal(
        (await farm.ok(b, "POST", `/messages/${one.messageId}/ack`, { receipt: one.receipt })).settled,
        1,
      );
      const receipts = others.map(({ receipt }) => receipt);
      assert.equal((await farm.ok(a, "POST", "/messages/ack", { receipts })).settled, 2);
      const { subscriptions } = await farm.ok(b, "GET", `/topics/${topic}/stats`);
      assert.equal(subscriptions[0].depth, 0);
    }
  });

  test("receipts of topics on both nodes are settled in one request", async () => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    const receipts: string[] = [];
    for (let i = 0; i < 8; i++) {
      await farm.ok(a, "POST", "/topics", { name: `both-${i}` });
      await farm.ok(b, "POST", "/messages/publish", { topic: `both-${i}`, payload: i });
      const { messages } = await farm.ok(a, "GET", `/messages/consume/both-${i}?wait=5`);
      receipts.push(messages[0].receipt);
    }
    const extended = await farm.ok(a, "POST", "/messages/extend", { receipts, seconds: 60 });
    assert.equal(extended.settled, 8);
    const result = await farm.ok(b, "POST", "/messages/ack", { receipts: [...receipts, "1-0-0-1"] });
    assert.deepEqual([result.settled, result.failed.length], [8, 1]);
    // Both nodes serve some; each says so with its next heartbeat.
    const served = async (): Promise<number[]> =>
      (await farm.ok(a, "GET", "/nodes")).items.map(
        ({ health }: { health: { topics: number } }) => health.topics,
      );
    await eventually(served, (counts) => counts.every((count) => count > 0));
  });

  test("subscriptions, changes and deletions made on one node are known to the others", async () => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    await farm.ok(a, "POST", "/topics", { name: "news", type: "pubsub" });
    const { id } = await farm.ok(b, "POST", "/subscriptions", { topic: "news", name: "s" });
    await farm.ok(a, "POST", "/messages/publish", { topic: "news", payload: "x" });
    for (const node of [b, a]) {
      const { messages } = await farm.ok(node, "GET", "/messages/consume/news?subscription=s&wait=5");
      assert.equal(messages.length, 1);
      const items = [{ receipt: messages[0].receipt, delayMs: 0 }];
      assert.equal((await farm.ok(node, "POST", "/messages/nack", { items })).settled, 1);
    }
    await farm.ok(b, "DELETE", `/subscriptions/${id}`);
    for (const node of farm.nodes) {
      const gone = await farm.call(node, "GET", "/messages/consume/news?subscription=s");
      assert.equal(gone.json.code, "subscription_not_found");
    }
    await farm.ok(a, "DELETE", "/topics/news");
    for (const node of farm.nodes) {
      const gone = await farm.call(node, "POST", "/messages/publish", { topic: "news", payload: 1 });
      assert.equal(gone.json.code, "topic_not_found");
    }
  });
});
