/** A topic that moves to another node while somebody streams into it: the stream goes on as if nothing had happened. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import { redisServerMissing } from "../../src/stores/redis.server.ts";
import type { Server } from "../e2e/hotswap.ts";
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

suite("a topic that moves", { skip: redisServerMissing() }, () => {
  test("streams into it go on, each line is stored once and receipted in order", async (t) => {
    const farm = await Farm.start(1);
    t.after(() => farm.close());
    const [first] = farm.nodes as [Server];
    const topics = Array.from({ length: 6 }, (_, i) => `moving-${i}`);
    for (const name of topics) await farm.ok(first, "POST", "/topics", { name });
    const streams = topics.map((topic) => openStream(farm, first, topic));
    t.after(() => Promise.all(streams.map((stream) => stream.abort())));
    const second = await farm.add();
    await farm.balanced([first, second]);
    const before = streams.map(({ sent }) => sent);
    while (streams.some(({ sent }, index) => sent < before[index]! + 100)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
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
