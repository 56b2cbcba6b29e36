/** The client against a real server, over both wires. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Delivery } from "./consumer.ts";
import { HotSwap } from "./index.ts";
import { connect } from "./node.ts";
import { startServer, type TestServer } from "./server.testing.ts";

const range = (length: number) => Array.from({ length }, (_, index) => index);

/** The first `count` deliveries, acknowledged. */
async function take<Payload>(
  messages: AsyncIterable<Delivery<Payload>>,
  count: number,
): Promise<Delivery<Payload>[]> {
  const taken: Delivery<Payload>[] = [];
  for await (const message of messages) {
    taken.push(message);
    void message.ack();
    if (taken.length === count) break;
  }
  return taken;
}

describe("client", { timeout: 120_000 }, () => {
  let server: TestServer;
  const clients: HotSwap[] = [];
  before(async () => {
    server = await startServer();
    const options = { url: server.api, token: server.token };
    clients.push(connect(options), new HotSwap(options));
  });
  after(async () => {
    for (const client of clients) client.close();
    await server?.remove();
  });
  const node = () => clients[0]!;

  it("creates, reads, lists, changes and deletes topics", async () => {
    const { topics } = node();
    const names = ["life.a", "life.b", "life.c"];
    for (const name of names) await topics.create({ name, partitions: 2, durability: "os" });
    const topic = await topics.get("life.a");
    assert.deepEqual([topic.type, topic.partitions, topic.durability], ["queue", 2, "os"]);

    const listed: string[] = [];
    for (let cursor: string | undefined, more = true; more; ) {
      const page = await topics.list({ limit: 2, cursor });
      listed.push(...page.items.map(({ name }) => name));
      more = page.next !== null;
      cursor = page.next ?? undefined;
    }
    assert.deepEqual(
      listed.filter((name) => name.startsWith("life.")),
      names,
    );

    const changed = await topics.update("life.a", topic.version, { partitions: 3 });
    assert.equal(changed.partitions, 3);
    await assert.rejects(topics.update("life.a", topic.version, { partitions: 4 }), {
      code: "etag_mismatch",
    });
    await topics.delete("life.a");
    await assert.rejects(topics.get("life.a"), { code: "topic_not_found", status: 404 });
  });

  it("says which field is wrong", async () => {
    const error = await node()
      .topics.create({ name: "no/slash", partitions: 0 })
      .catch((thrown: unknown) => thrown as { code: string; errors: { pointer: string }[] });
    assert.ok("errors" in error && error.code === "validation_failed");
    assert.deepEqual(error.errors.map(({ pointer }) => pointer).toSorted(), ["/name", "/partitions"]);
  });

  it("publishes one, several and many, in order of their keys, and consumes each once", async () => {
    for (const [index, client] of clients.entries()) {
      const topic = `flow.${index}`;
      await client.topics.create({ name: topic, partitions: 4, durability: "os" });
      const first = await client.messages.publish(topic, {
        payload: { n: 0 },
        key: "k0",
        headers: { h: "1" },
      });
      assert.equal(first.durability, "os");
      const batch = range(3).map((n) => ({ payload: { n: n + 1 }, key: `k${(n + 1) % 5}` }));
      assert.equal((await client.messages.publishBatch(topic, batch)).length, 3);
      {
        await using publisher = client.messages.publisher<{ n: number }>(topic, { maxBatch: 100 });
        for (let n = 4; n < 2000; n++) {
          await publisher.ready();
          void publisher.publish({ payload: { n }, key: `k${n % 5}` });
        }
      }
      const peeked = await client.messages.get<{ n: number }>(first.messageId);
      assert.deepEqual([peeked.payload, peeked.key, peeked.headers], [{ n: 0 }, "k0", { h: "1" }]);

      const consumer = client.messages.consume<{ n: number }>(topic, { limit: 300, prefetch: index === 0 });
      const taken = await take(consumer, 2000);
      assert.equal(new Set(taken.map(({ payload }) => payload.n)).size, 2000);
      for (const key of range(5)) {
        const ofKey = taken.filter((message) => message.key === `k${key}`).map(({ payload }) => payload.n);
        assert.deepEqual(
          ofKey,
          ofKey.toSorted((a, b) => a - b),
        );
      }
      const stats = await client.topics.stats(topic);
      assert.equal(stats.subscriptions[0]!.depth, 0);
      assert.equal(stats.subscriptions[0]!.ackedTotal, 2000);
    }
  });

  it("reads a partition from its start, from an offset and from its end", async () => {
    const { topics, messages } = node();
    await topics.create({ name: "peek", durability: "memory" });
    await messages.publishBatch(
      "peek",
      range(10).map((payload) => ({ payload })),
    );
    const offsets = async (from?: number | "earliest" | "latest") => {
      const page = await topics.peek("peek", { limit: 3, ...(from !== undefined && { from }) });
      return page.map(({ offset }) => offset);
    };
    assert.deepEqual(await offsets("earliest"), [0, 1, 2]);
    assert.deepEqual(await offsets(4), [4, 5, 6]);
    assert.deepEqual(await offsets(), [7, 8, 9]);
    assert.equal((await topics.stats("peek")).subscriptions[0]!.depth, 10);
  });

  it("gives a message again that was handed back", async () => {
    const { topics, messages } = node();
    await topics.create({ name: "again" });
    await messages.publish("again", { payload: "x" });
    await using consumer = messages.consume("again");
    const { value: first } = await consumer.next();
    await first!.nack({ reason: "not yet", delayMs: 0 });
    const { value: second } = await consumer.next();
    assert.deepEqual([first!.attempt, second!.attempt], [1, 2]);
    await second!.ack();
  });

  it("hands back what was leased but not looked at when the loop ends", async () => {
    const { topics, messages } = node();
    await topics.create({ name: "left" });
    await messages.publishBatch(
      "left",
      range(10).map((payload) => ({ payload })),
    );
    await take(messages.consume("left", { limit: 10 }), 1);
    const rest = await take(messages.consume("left", { limit: 10 }), 9); // the leases would have run for 30 s
    assert.deepEqual(rest.map(({ payload }) => payload).toSorted(), range(10).slice(1));
  });

  it("keeps leases alive while asked to, and tells of a lease that was lost", async () => {
    const { topics, subscriptions, messages } = node();
    await topics.create({ name: "lease", type: "pubsub" });
    for (const name of ["kept", "lost"]) {
      await subscriptions.create({ name, topic: "lease", ackDeadlineSeconds: 1 });
    }
    await messages.publish("lease", { payload: "work" });
    const failures: unknown[] = [];
    const onSettleFailure = (_receipt: string, error: unknown) => failures.push(error);
    const keepLease = { seconds: 2, capSeconds: 60 };
    await using keeper = messages.consume("lease", { subscription: "kept", keepLease, onSettleFailure });
    await using loser = messages.consume("lease", { subscription: "lost", onSettleFailure });
    const { value: kept } = await keeper.next();
    const { value: lost } = await loser.next();
    const [stolen, taken] = await Promise.all([
      messages.pull("lease", { subscription: "kept", waitSeconds: 3 }),
      messages.pull("lease", { subscription: "lost", waitSeconds: 10 }),
    ]);
    assert.deepEqual(stolen, []);
    assert.equal(taken[0]!.attempt, 2);
    await kept!.ack();
    await assert.rejects(lost!.ack(), { code: "lease_lost" });
    assert.equal(failures.length, 1);
  });

  it("ends quietly when aborted, also while it waits", async () => {
    const { topics, messages } = node();
    await topics.create({ name: "quiet" });
    const stop = new AbortController();
    const looking = take(messages.consume("quiet", { signal: stop.signal }), 1);
    stop.abort();
    assert.deepEqual(await looking, []);
  });

  it("throws what will not pass by itself", async () => {
    await assert.rejects(take(node().messages.consume("nowhere"), 1), { code: "topic_not_found" });
    const stranger = new HotSwap({ url: server.api, token: "forged" });
    await assert.rejects(stranger.topics.list(), { code: "token_invalid", status: 401 });
  });

  it("reads the audit and asks for approvals", async () => {
    const { topics, audit, approvals } = node();
    await topics.create({ name: "audited" });
    const entries = await audit.list({ resource: "topics/audited", limit: 1 });
    const [entry] = entries.items.length > 0 ? entries.items : (await audit.list({ limit: 1 })).items;
    assert.equal(entry!.action, "topic.create");
    const asked = await approvals.request({ kind: "test.change", resource: "x/1", content: { a: 1 } });
    assert.equal((await approvals.get(asked.id)).state, "pending");
    assert.equal((await approvals.list({ kind: "test.change" })).items[0]!.id, asked.id);
    await assert.rejects(approvals.approve(asked.id), { code: "approval_self" });
    let chain = "";
    for await (const text of audit.export()) chain += text;
    assert.ok(chain.trim().split("\n").length > 2);
  });

  it("sees the server", async () => {
    const { system } = node();
    assert.deepEqual([await system.health(), await system.ready()], [true, true]);
    const overview = await system.overview();
    assert.equal(overview.mode, "development");
    assert.equal(overview.health.status, "ok");
    assert.ok(overview.messaging.publishedTotal > 0);
  });

  it("goes on consuming when the server comes back", async () => {
    const { topics, messages } = node();
    await topics.create({ name: "outage" });
    const retried = Promise.withResolvers<void>();
    const looking = take(messages.consume("outage", { onRetry: () => retried.resolve() }), 1);
    await server.stop();
    await retried.promise;
    server = await startServer({ data: server.data, port: Number(new URL(server.api).port) });
    await messages.publish("outage", { payload: "after" });
    assert.equal((await looking)[0]!.payload, "after");
  });
});
