/**
 * HotSwap itself, started as a user starts it, with its own client. Variants differ in how messages go in and out:
 * one WebSocket, a stream of lines with long polls, batches, or one message per request; and in the durability
 * asked for.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { connect as connectClient, type HotSwap } from "../../client/src/node.ts";
import { startChild } from "./child.ts";
import { type Document, document, message, messageNumber } from "./message.ts";
import { startRedis } from "./redis.ts";
import { publishSingly } from "./single.ts";
import {
  type Client,
  type Endpoint,
  type Page,
  type Running,
  type Stretch,
  type System,
  slide,
  turnPages,
} from "./system.ts";

const topic = "bench";

const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

async function start(
  folder: string,
  cpus: string | undefined,
  env: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const { version } = JSON.parse(readFileSync(fileOf("../../package.json"), "utf8")) as { version: string };
  const args = [fileOf("../../bin/hotswap.js"), "dev", "--data", folder, "--port", "0", "--json"];
  const child = await startChild(
    { file: process.execPath, args, folder, cpus, env: { HOTSWAP_GATEWAY_PORT: "0", ...env } },
    (line) => line.startsWith("{"),
  );
  const { api, token } = JSON.parse(child.readyLine) as { api: string; token: string };
  return { pid: child.pid, version, endpoint: { url: new URL(api).origin, token }, stop: child.stop };
}

/** With its messages in the very Redis that plain Redis Streams are measured on. */
async function startOnRedis(folder: string, cpus: string | undefined): Promise<Running> {
  const redis = await startRedis(folder, cpus);
  const url = `redis://127.0.0.1:${redis.endpoint.port}`;
  const hotswap = await start(folder, cpus, { HOTSWAP_LOG: url }).catch(async (error) => {
    await redis.stop();
    throw error;
  });
  return {
    ...hotswap,
    besides: redis.pid,
    version: `${hotswap.version}, ${redis.version}`,
    stop: async () => {
      await hotswap.stop();
      await redis.stop();
    },
  };
}

type Publish = (hotswap: HotSwap, endpoint: Endpoint, stretch: Stretch) => Promise<void>;

/** One request streams lines out and receipts in. */
const publishLines: Publish = (hotswap, _, stretch) => {
  const publisher = hotswap.messages.publisher<Document>(topic, {
    maxInFlight: stretch.window,
    maxBatch: stretch.window / 2,
  });
  return slide(stretch, (number) => publisher.publish({ payload: document(number) }));
};

/** A window is one request; the next goes out when its receipts are there. */
const publishBatches: Publish = async (hotswap, _, { first, count, window, latency, ledger, expired }) => {
  for (let next = 0; next < count && !expired(); ) {
    const numbers = Array.from(
      { length: Math.min(window, count - next) },
      (_, index) => first + next + index,
    );
    const sentAt = performance.now();
    await hotswap.messages.publishBatch(
      topic,
      numbers.map((number) => ({ payload: document(number) })),
    );
    const took = performance.now() - sentAt;
    for (const number of numbers) {
      ledger.mark(number);
      latency.record(took);
    }
    next += numbers.length;
  }
};

async function lease(hotswap: HotSwap, limit: number): Promise<Page> {
  const messages = await hotswap.messages.pull<Document>(topic, { limit, waitSeconds: 1 });
  const receipts = messages.map((each) => each.receipt);
  return {
    numbers: messages.map((each) => Number(each.payload.number)),
    acknowledge: async () => {
      const { failed } = await hotswap.messages.ack(receipts);
      if (failed.length > 0)
        throw new Error(`${failed.length} acks failed, the first with ${failed[0]?.code}`);
    },
  };
}

const consumePages = (hotswap: HotSwap, stretch: Stretch) =>
  turnPages(stretch, (limit) => lease(hotswap, limit));

async function connect(
  endpoint: Endpoint,
  durability: "fsync" | "os",
  publish: Publish,
  consume = consumePages,
): Promise<Client> {
  const hotswap = connectClient({ url: endpoint.url!, token: endpoint.token! });
  await hotswap.topics.create({ name: topic, durability });
  return {
    publish: (stretch) => publish(hotswap, endpoint, stretch),
    consume: (stretch) => consume(hotswap, stretch),
    close: async () => hotswap.close(),
  };
}

const promises = { fsync: "fsync per group", os: "page cache" } as const;

function variant(
  details: Pick<System, "name" | "title"> & Partial<System>,
  publishMethod: string,
  durability: "fsync" | "os",
  publish: Publish,
): System {
  return {
    method: { publish: publishMethod, consume: "two loops of GET 250 and POST ack 250" },
    promise: { publish: promises[durability], consume: "page cache" },
    consumeLatency: "delivery → answer to the ack",
    phases: ["publish", "consume"],
    window: 500,
    start,
    connect: (endpoint) => connect(endpoint, durability, publish),
    ...details,
  };
}

const lines = "one NDJSON stream, sliding window";
const streamed = {
  publish: "one WebSocket, sliding window",
  consume: "one WebSocket, credit of two windows",
};

/** One WebSocket, frames of many messages out and receipts in. */
const publishStream: Publish = async (hotswap, _, stretch) => {
  await using stream = hotswap.stream();
  const publisher = stream.publisher(topic, { maxInFlight: stretch.window, maxBatch: stretch.window / 2 });
  await slide(stretch, (number) => publisher.publishRaw({ payload: message(number) }));
};

/** What has come is acknowledged in one go, while more of it comes. */
async function consumeStream(hotswap: HotSwap, stretch: Stretch): Promise<void> {
  const { count, window, latency, ledger } = stretch;
  await using stream = hotswap.stream();
  const consumer = stream.consume(topic, { credit: 2 * window, count, ackBatch: window / 2 });
  const settled: Promise<void>[] = [];
  for await (const first of consumer) {
    const deliveredAt = performance.now();
    const page = [first, ...consumer.takeAvailable(window / 2 - 1)];
    for (const { payloadBytes } of page) ledger.mark(messageNumber(payloadBytes));
    const acks = page.map((delivery) => delivery.ack());
    const done = Promise.all(acks).then(() => {
      const took = performance.now() - deliveredAt;
      for (let index = 0; index < page.length; index++) latency.record(took);
    });
    settled.push(done);
    if (stretch.expired()) break;
  }
  await Promise.all(settled);
}

/** The one that peers are compared with. */
export const hotswap = variant(
  {
    name: "hotswap",
    title: "HotSwap",
    method: streamed,
    connect: (endpoint) => connect(endpoint, "fsync", publishStream, consumeStream),
  },
  streamed.publish,
  "fsync",
  publishStream,
);

export const hotswapHttp = variant(
  { name: "hotswap-http", title: "HotSwap, HTTP" },
  lines,
  "fsync",
  publishLines,
);

/** To be compared with plain Redis Streams: the same server, with the same settings. */
export const hotswapRedis = variant(
  {
    name: "hotswap-redis",
    title: "HotSwap on Redis",
    promise: { publish: "fsync per group", consume: "fsync per group" },
    start: startOnRedis,
    connect: (endpoint) => connect(endpoint, "fsync", publishStream, consumeStream),
    method: streamed,
  },
  streamed.publish,
  "fsync",
  publishStream,
);

export const hotswapOs = variant({ name: "hotswap-os", title: "HotSwap (os)" }, lines, "os", publishLines);

export const hotswapBatch = variant(
  { name: "hotswap-batch", title: "HotSwap, batches of 500", phases: ["publish"] },
  "POST of 500, one after the other",
  "fsync",
  publishBatches,
);

export const hotswapSingle = variant(
  { name: "hotswap-single", title: "HotSwap, one per request", phases: ["publish"], window: 64 },
  "POST of one, 64 connections",
  "fsync",
  (_, endpoint, stretch) => publishSingly(endpoint, topic, stretch),
);
