/** Topics that move to another node while they are used: lines, frames and webhooks go on as if nothing had been. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import type { HotSwap } from "../../client/src/index.ts";
import { connect } from "../../client/src/node.ts";
import { redisServerMissing } from "../../src/stores/redis.server.ts";
import type { Server } from "../e2e/hotswap.ts";
import { startReceiver } from "../messaging/receiver.ts";
import { Farm } from "./farm.ts";

interface Stream {
  sent: number;
  receipts: { messageId?: string; error?: object }[];
  end(): Promise<void>;
  abort(): void;
}

/** Publishes a line every few milliseconds until it is ended. */
function openStream(farm: Farm, node: Server, topic: string): Stream {
  const stream: Stream = { sent: 0, receipts: [], end: async () => {}, abort: () => {} };
  const outgoing = request(new URL(`/api/v1/messages/publish?topic=${topic}`, node.facts.api), {
    method: "POST",
    headers: { authorization: `Bearer ${farm.token}`, "content-type": "application/x-ndjson" },
  });
  const finished = once(outgoing, "response").then(async ([answer]) => {
    for await (const line of createInterface(answer)) stream.receipts.push(JSON.parse(line));
  });
  finished.catch(() => {}); // is awaited at the end
  const timer = setInterval(() => {
    outgoing.write(`${JSON.stringify({ payload: `${topic}/${stream.sent}` })}\n`);
    stream.sent += 1;
  }, 5);
  stream.abort = () => {
    clearInterval(timer);
    outgoing.destroy();
  };
  stream.end = async () => {
    clearInterval(timer);
    outgoing.end();
    await finished;
  };
  return stream;
}

/** Publishes to the topic and consumes from it over a stream of the client, until it is ended. */
function openLoop(stream: ReturnType<HotSwap["stream"]>, topic: string) {
  const seen = new Set<number>();
  let sent = 0;
  let isOver = false;
  const publisher = stream.publisher<number>(topic, { idempotencyKeys: true });
  const consumer = stream.consume<number>(topic);
  const publishing = (async () => {
    for (; !isOver; sent++) {
      await publisher.publish({ payload: sent });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const consuming = (async () => {
    for await (const message of consumer) {
      seen.add(message.payload);
      message.ack().catch(() => {}); // of a lease that was lost: it comes again
      if (isOver && seen.size === sent) break;
    }
  })();
  let failure: unknown;
  for (const loop of [publishing, consuming]) {
    loop.catch((error) => {
      failure = error;
    });
  }
  return {
    /** Throws what has ended the loop. */
    get sent() {
      if (failure) throw failure;
      return sent;
    },
    async end() {
      isOver = true;
      await publishing;
      await publisher.publish({ payload: sent++ });
      await consuming;
      assert.equal(seen.size, sent);
    },
  };
}

suite("a topic that moves", { skip: redisServerMissing() }, () => {
  test("streams of lines and of frames go on, each message is stored once; webhooks are called by the new node", async (t) => {
    const farm = await Farm.start(1);
    t.after(() => farm.close());
    const [first] = farm.nodes as [Server];
    const topics = Array.from({ length: 6 }, (_, i) => `moving-${i}`);
    for (const name of topics) await farm.ok(first, "POST", "/topics", { name });
    const streams = topics.map((topic) => openStream(farm, first, topic));
    t.after(() => Promise.all(streams.map((stream) => stream.abort())));
    const client = connect({ url: new URL(first.facts.api).origin, token: farm.token });
    t.after(() => client.close());
    const receiver = await startReceiver();
    t.after(receiver.close);
    const stream = client.stream();
    const loops = [];
    for (const topic of topics) {
      await farm.ok(first, "POST", "/topics", { name: `${topic}-loop` });
      loops.push(openLoop(stream, `${topic}-loop`));
      await farm.ok(first, "POST", "/topics", { name: `${topic}-hook` });
      const { items } = await farm.ok(first, "GET", `/subscriptions?topic=${topic}-hook`);
      await farm.ok(first, "PUT", `/subscriptions/${items[0].id}/push`, { url: receiver.url });
    }
    const second = await farm.add();
    await farm.balanced([first, second]);
    const goals = [
      ...streams.map((one) => ({ one, goal: one.sent + 100 })),
      ...loops.map((one) => ({ one, goal: one.sent + 10 })),
    ];
    while (goals.some(({ one, goal }) => one.sent < goal)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await Promise.all(loops.map((loop) => loop.end()));
    await stream.drain();
    for (const topic of topics) {
      await farm.ok(first, "POST", "/messages/publish", { topic: `${topic}-hook`, payload: topic });
    }
    const pushed = await receiver.until(topics.length);
    assert.deepEqual(new Set(pushed.map(({ json }) => json.data.payload)), new Set(topics));
    await Promise.all(streams.map((stream) => stream.end()));
    for (const [index, { sent, receipts }] of streams.entries()) {
      const errors = receipts.filter(({ error }) => error);
      assert.deepEqual(errors, []);
      assert.equal(receipts.length, sent);
      const { messages, partitions } = await farm.ok(second, "GET", `/topics/${topics[index]}/stats`);
      assert.equal(messages, sent, JSON.stringify(partitions));
      for (const place of [0, Math.floor(sent / 2), sent - 1]) {
        const { payload } = await farm.ok(second, "GET", `/messages/${receipts[place]!.messageId}`);
        assert.equal(payload, `${topics[index]}/${place}`);
      }
    }
  });
});
