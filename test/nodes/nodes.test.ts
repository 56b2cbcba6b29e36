/** Several nodes as one broker: any of them answers for every topic. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { WebSocket } from "ws";
import { connect } from "../../client/src/node.ts";
import { redisServerMissing } from "../../src/stores/redis.server.ts";
import { EventReader } from "../configuration/stream.ts";
import { eventually } from "../gateway/backends.ts";
import { startReceiver } from "../messaging/receiver.ts";
import { Farm } from "./farm.ts";

// biome-ignore lint/suspicious/noExplicitAny: frames of many shapes
type Frame = any;

/** Frames of text by hand; what is not waited for yet is kept. */
class TextStream {
  readonly #socket: WebSocket;
  readonly #frames: Frame[] = [];
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (text) => {
      this.#frames.push(JSON.parse(String(text)));
      this.#wake();
    });
  }

  static async open(api: string, token: string): Promise<TextStream> {
    const url = new URL("/api/v1/messages/stream", api.replace(/^http/, "ws"));
    const socket = new WebSocket(url, "hotswap.v1", { headers: { authorization: `Bearer ${token}` } });
    const stream = new TextStream(socket);
    await stream.next("welcome");
    return stream;
  }

  async next(type: string): Promise<Frame> {
    for (;;) {
      const at = this.#frames.findIndex((frame) => frame.type === type);
      if (at >= 0) return this.#frames.splice(at, 1)[0];
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  ask(frame: object, type: string): Promise<Frame> {
    this.#socket.send(JSON.stringify(frame));
    return this.next(type);
  }

  close(): void {
    this.#socket.close();
  }
}

suite("several nodes", { skip: redisServerMissing() }, () => {
  let farm: Farm;
  before(async () => {
    // What a node hears of configurations within the time of a test, it hears through Redis.
    farm = await Farm.start(2, { HOTSWAP_CONFIGURATION_POLL_MS: "600000" });
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

  test("who reads by a schema is known on every node, wherever it consumes", async () => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    const schema = { subject: "read", schema: { type: "object" }, submit: true };
    const { id, state } = await farm.ok(a, "POST", "/schemas", schema);
    assert.equal(state, "approved");
    const names = Array.from({ length: 8 }, (_, i) => `read-${i}`);
    for (const name of names) await farm.ok(a, "POST", "/topics", { name, schema: { subject: "read" } });
    const consumers = names.map((name) => `${name}/default reader of ${name}`);
    const usageOf = (node: (typeof farm.nodes)[0], kind = "") =>
      farm.ok(node, "GET", `/schemas/${id}/usage${kind}`);
    const seenBy = async (node: (typeof farm.nodes)[0]) => {
      const { items, total, missing } = await usageOf(node);
      const found = (kind: string) => items.filter((item: { kind: string }) => item.kind === kind);
      const readers = found("consumer").map(({ of, name }: { of: string; name: string }) => `${of} ${name}`);
      const alone = (await usageOf(node, "?kind=consumer")).total;
      const counts = [alone, found("topic").length, items.length, total];
      return JSON.stringify([readers.sort(), counts, missing, ...(await refusalsBy(node))]);
    };
    const refusalsBy = async (node: (typeof farm.nodes)[0]) => {
      const { status, json } = await farm.call(node, "POST", `/schemas/${id}/deprecate`, {});
      const { usage, missing } = json.data;
      const readers = usage.filter(({ kind }: { kind: string }) => kind === "consumer");
      // The surface of the Confluent registry lies at the root.
      const whole = await farm.call(node, "DELETE", "/../../subjects/read");
      const version = await farm.call(node, "DELETE", "/../../subjects/read/versions/1");
      const [, more] = /^read version 1 is used by topic .* and (\d+) more\.$/.exec(whole.json.message)!;
      assert.equal(version.json.error_code, 42_206);
      return [status, readers.length, usage.length, missing, Number(more)];
    };
    const wanted = JSON.stringify([consumers, [8, 8, 24, 24], [], 409, 8, 24, [], 21]);
    // A topic may move between the nodes meanwhile, and who consumed is heard of again with what it asks next.
    const consume = (name: string, i: number) =>
      farm.ok(i % 2 ? a : b, "GET", `/messages/consume/${name}?consumer=reader%20of%20${name}`);
    do await Promise.all(names.map(consume));
    while ((await seenBy(a)) !== wanted || (await seenBy(b)) !== wanted);
    assert.equal((await usageOf(a, "?kind=topic")).total, 8);
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

  test("one stream to one node publishes to and consumes from topics of both", async () => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    const names = Array.from({ length: 8 }, (_, i) => `stream-${i}`);
    for (const name of names) await farm.ok(a, "POST", "/topics", { name });
    const client = connect({ url: new URL(b.facts.api).origin, token: farm.token });
    await using stream = client.stream();
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const consumed = names.map(async (name) => {
      const seen: number[] = [];
      const consumer = stream.consume<number>(name, { credit: 50, count: numbers.length });
      for await (const message of consumer) {
        seen.push(message.payload);
        if (seen.length % 20 === 1) await message.extend(30);
        void message.ack();
      }
      return seen;
    });
    for (const name of names) {
      const publisher = stream.publisher<number>(name, { maxBatch: 40 });
      const receipts = await Promise.all(numbers.map((number) => publisher.publish({ payload: number })));
      assert.deepEqual(
        receipts.map(({ offset }) => offset),
        numbers,
      );
      await publisher.close();
    }
    for (const seen of await Promise.all(consumed)) assert.deepEqual(seen, numbers);
    for (const name of names) {
      const { subscriptions } = await farm.ok(a, "GET", `/topics/${name}/stats`);
      assert.equal(subscriptions[0].depth, 0);
    }
    client.close();
  });

  test("a stream of text settles receipts of both nodes, and says what does not exist", async (t) => {
    const [a] = farm.nodes as [(typeof farm.nodes)[0]];
    const names = Array.from({ length: 8 }, (_, i) => `text-${i}`);
    for (const name of names) await farm.ok(a, "POST", "/topics", { name });
    const stream = await TextStream.open(a.facts.api, farm.token);
    t.after(() => stream.close());
    const receipts: string[] = [];
    for (const [i, topic] of names.entries()) {
      const published = await stream.ask(
        { type: "publish", id: i, topic, messages: [{ payload: i }] },
        "receipts",
      );
      assert.equal(published.id, i);
      assert.equal(published.receipts[0].topic, topic);
      await stream.ask({ type: "consume", channel: i, topic, messages: 1 }, "consuming");
      const { messages } = await stream.next("messages");
      assert.equal(messages[0].payload, i);
      receipts.push(messages[0].receipt);
    }
    const { settled, failed } = await stream.ask(
      { type: "ack", id: 99, receipts: [...receipts, "1-0-0-1"] },
      "settled",
    );
    assert.deepEqual([settled, failed.length], [8, 1]);
    const { error } = await stream.ask({ type: "open", channel: 50, topic: "nowhere" }, "error");
    assert.equal(error.code, "topic_not_found");
    for (const [i] of names.entries()) await stream.ask({ type: "close", channel: i }, "closed");
  });

  test("events and webhooks come through either node, whichever serves the topic", async (t) => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    const receiver = await startReceiver();
    t.after(receiver.close);
    const names = Array.from({ length: 4 }, (_, i) => `out-${i}`);
    for (const [i, name] of names.entries()) {
      await farm.ok(a, "POST", "/topics", { name });
      const { items } = await farm.ok(b, "GET", `/subscriptions?topic=${name}`);
      await farm.ok(i % 2 ? a : b, "PUT", `/subscriptions/${items[0].id}/push`, { url: receiver.url });
      await farm.ok(a, "POST", "/messages/publish", { topic: name, payload: name });
      assert.equal((await receiver.until(i + 1))[i]!.json.data.payload, name);
      await farm.ok(b, "DELETE", `/subscriptions/${items[0].id}/push`);
      for (const node of farm.nodes) {
        const { body } = await fetch(new URL(`/api/v1/messages/consume/${name}/events`, node.facts.api), {
          headers: { authorization: `Bearer ${farm.token}` },
        });
        const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
        await farm.ok(b, "POST", "/messages/publish", { topic: name, payload: "seen" });
        let text = "";
        while (!text.includes('"seen"')) text += (await reader.read()).value;
        await reader.cancel();
      }
    }
  });

  test("instances of one node hear what is changed on the other, and both know what they say", async (t) => {
    const [a, b] = farm.nodes as [(typeof farm.nodes)[0], (typeof farm.nodes)[0]];
    const place = { service: "shop", environment: "staging" };
    await farm.ok(b, "POST", "/configs", { name: "limits", ...place, format: "json" });
    await farm.ok(a, "POST", "/instances", { instanceId: "i-1", ...place });
    const reader = await EventReader.open(new URL("/api/v1/instances/i-1/stream", a.facts.api).href, {
      authorization: `Bearer ${farm.token}`,
    });
    t.after(() => reader.close());
    for (const version of [1, 2]) {
      await farm.ok(b, "POST", "/configs/limits/versions", { text: JSON.stringify({ version }) });
      const deployment = { kind: "config", config: "limits", version, strategy: "direct", probeSeconds: 0 };
      const { id } = await farm.ok(b, "POST", "/deployments", { ...deployment, bakeSeconds: 0 });
      const { data } = await reader.next(({ event }) => event === "config");
      assert.deepEqual([data.version, data.deployment, data.value], [version, id, { version }]);
      const applied = [{ config: "limits", version, status: "applied" }];
      await farm.ok(a, "POST", "/instances/i-1/heartbeat", { applied });
      const deployed = () => farm.ok(b, "GET", `/deployments/${id}`);
      await eventually(deployed, ({ status }) => status === "succeeded");
      const [shown] = (await farm.ok(b, "GET", "/instances/i-1")).configs;
      assert.deepEqual([shown.running, shown.desired, shown.status], [version, version, "applied"]);
    }
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
