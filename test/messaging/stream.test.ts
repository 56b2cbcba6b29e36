/** The stream end to end, through the client over both of its sockets, and by hand where a client would not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { WebSocket as RawSocket } from "ws";
import { writeAck, writePublish } from "../../client/src/frames.ts";
import {
  HotSwap,
  type HotSwapProblem,
  type Stream,
  type StreamConsumeOptions,
} from "../../client/src/index.ts";
import { connect } from "../../client/src/node.ts";
import type { ErrorCode } from "../../src/core/catalogue.ts";
import { type Caller, TestServer } from "../server.ts";
import { payloads, take } from "./calls.ts";

const range = (length: number) => Array.from({ length }, (_, index) => index);

let server: TestServer;
let ann: Caller;
let clients: Record<string, HotSwap>;
before(async () => {
  server = await TestServer.start({
    "messaging-stream-idle-ms": "2000",
    "http-cors-origins": "https://page.example",
  });
  ann = await server.as();
  const options = { url: server.url, token: ann.token };
  clients = { "node:http": connect(options), WebSocket: new HotSwap(options) };
});
after(async () => {
  for (const client of Object.values(clients ?? {})) client.close();
  await server?.remove();
});

const topic = (name: string, more: object = {}) => ann.ok(ann.post("/topics", { name, ...more }));

for (const socket of ["node:http", "WebSocket"]) {
  const word = socket.replace(":", "");
  describe(`a stream over ${socket}`, { timeout: 60_000 }, () => {
    test("publishes to and consumes from several topics at once, everything once and in order", async () => {
      const names = range(3).map((number) => `many-${word}-${number}`);
      for (const name of names) await topic(name);
      await using stream = clients[socket]!.stream();
      const received = names.map(async (name) => {
        const numbers: unknown[] = [];
        const messages = stream.consume<number>(name, { credit: 100, count: 1_500 });
        for await (const message of messages) {
          numbers.push(message.payload);
          void message.ack();
        }
        return numbers;
      });
      const published = names.map(async (name) => {
        const publisher = stream.publisher<number>(name, { maxBatch: 70 });
        const receipts = range(1_500).map((number) => publisher.publish({ payload: number }));
        return (await Promise.all(receipts)).map(({ offset }) => offset);
      });
      for (const offsets of await Promise.all(published)) assert.deepEqual(offsets, range(1_500));
      for (const numbers of await Promise.all(received)) assert.deepEqual(numbers, range(1_500));
      for (const name of names) {
        const stats = await ann.ok(ann.get(`/topics/${name}/stats`));
        assert.equal(stats.subscriptions[0].depth, 0);
      }
    });

    test("keeps within its credit of messages and of bytes, and never runs out of either", async () => {
      const name = `credit-${word}`;
      await topic(name);
      await using stream = clients[socket]!.stream();
      const consumer = stream.consume<number>(name, { credit: 10_000, creditBytes: 50_000, count: 3_000 });
      const publisher = stream.publisher<number>(name);
      await Promise.all(range(3_000).map((payload) => publisher.publish({ payload })));
      for await (const message of consumer) void message.ack();

      const texts = range(24).map((number) => String(number).padEnd(4_000, "."));
      const texter = stream.publisher<string>(name);
      await Promise.all(texts.map((payload) => texter.publish({ payload })));
      const received: string[] = [];
      const few = stream.consume<string>(name, { credit: 8, creditBytes: 10_000, count: texts.length });
      for await (const message of few) {
        received.push(message.payload);
        await message.ack();
        const { subscriptions } = await ann.ok(ann.get(`/topics/${name}/stats`));
        assert.ok(subscriptions[0].inFlight <= 8, `${subscriptions[0].inFlight} on lease with a credit of 8`);
      }
      assert.deepEqual(received, texts);
    });

    test("each connection is a consumer of its own: with `direct` one gets all until it ends", async () => {
      const name = `direct-${word}`;
      await topic(name, { strategy: "direct" });
      const [{ id }] = (await ann.ok(ann.get(`/subscriptions?topic=${name}`))).items;
      const known = async () => {
        const { consumers } = await ann.ok(ann.get(`/subscriptions/${id}/explain`));
        return consumers.map((one: Record<string, unknown>) => `${one.name} ${one.state} ${one.priority}`);
      };
      const consuming = async (stream: Stream, options: StreamConsumeOptions) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const consumer = stream.consume<number>(name, { ...options, onConsuming: resolve });
        await promise;
        return consumer;
      };
      await using first = clients[socket]!.stream();
      await using second = clients[socket]!.stream();
      const one = await consuming(first, {});
      const other = await consuming(second, { consumer: "other", consumerPriority: 0 });
      const publish = (payload: number) =>
        ann.ok(ann.post("/messages/publish", { topic: name, payload }), 201);
      for (const payload of range(3)) {
        await publish(payload);
        const { value } = await one.next();
        assert.equal(value?.payload, payload);
        await value?.ack();
      }
      const [active, standby] = await known();
      assert.match(active, /^consumer-\w+ active 0$/);
      assert.equal(standby, "other standby 0");
      await one.close();
      await publish(3);
      assert.equal((await other.next()).value?.payload, 3);
      assert.match((await known())[0], / gone 0$/);
    });

    test("keeps keys, headers and every byte of a payload; ids and receipts are those of HTTP", async () => {
      const name = `bytes-${word}`;
      await topic(name);
      await using stream = clients[socket]!.stream();
      const text = '{ "big": 12345678901234567890.123456789, "é": "\\u00e9" }';
      const publisher = stream.publisher(name);
      const receipt = await publisher.publishRaw({
        payload: text,
        key: "schlüssel",
        headers: { "x-ä": "1" },
      });
      assert.equal(receipt.durability, "fsync");
      const [peeked] = (await ann.ok(ann.get(`/topics/${name}/messages?from=earliest`))).messages;
      assert.equal(receipt.messageId, peeked.messageId);
      for await (const message of stream.consume(name, { count: 1 })) {
        assert.equal(message.payloadText, text);
        const { messageId, key, headers, attempt } = message;
        assert.deepEqual(
          [messageId, key, headers, attempt],
          [receipt.messageId, "schlüssel", { "x-ä": "1" }, 1],
        );
        assert.equal(message.publishedAt, peeked.publishedAt);
        const settled = await ann.ok(ann.post("/messages/ack", { receipts: [message.receipt] }));
        assert.equal(settled.settled, 1);
      }
    });

    test("carries bytes of any type, and says which is a repeat", async () => {
      const name = `any-${word}`;
      await topic(name, { dedupWindowSeconds: 60 });
      await using stream = clients[socket]!.stream();
      const publisher = stream.publisher(name);
      const bytes = Uint8Array.from([0, 255, 10, 128]);
      const message = {
        payload: bytes,
        contentType: "application/octet-stream",
        idempotencyKey: "once",
        priority: 7,
      };
      const [first, second] = await Promise.all([
        publisher.publishRaw(message),
        publisher.publishRaw(message),
      ]);
      assert.deepEqual([second.messageId, second.duplicate], [first.messageId, true]);
      for await (const received of stream.consume(name, { count: 1 })) {
        assert.deepEqual(received.payload, bytes);
        assert.equal(received.contentType, "application/octet-stream");
        assert.equal(received.extras.priority, 7);
        assert.equal(JSON.parse(JSON.stringify(received)).payloadBase64, "AP8KgA==");
        await received.ack();
      }
    });

    test("answers each message for itself; one that is refused does not stop the others", async () => {
      const name = `mixed-${word}`;
      await topic(name);
      await using stream = clients[socket]!.stream();
      const publisher = stream.publisher(name);
      const outcomes = await Promise.allSettled([
        publisher.publishRaw({ payload: "1" }),
        publisher.publishRaw({ payload: "{" }),
        publisher.publishRaw({ payload: "2", headers: { a: 7 as unknown as string } }),
        publisher.publishRaw({ payload: "3", key: "k".repeat(600) }),
        publisher.publishRaw({ payload: `"${"x".repeat(1 << 20)}"` }),
        publisher.publishRaw({ payload: `${"[".repeat(70)}${"]".repeat(70)}` }),
        publisher.publishRaw({ payload: "4" }),
      ]);
      const shown = outcomes.map((one) => (one.status === "fulfilled" ? one.value.offset : one.reason.code));
      const codes: (number | ErrorCode)[] = [0, "json_malformed", "validation_failed", "validation_failed"];
      assert.deepEqual(shown, [...codes, "message_too_large", "too_deep", 1]);
      const reason = (outcomes[2] as PromiseRejectedResult).reason as HotSwapProblem;
      assert.deepEqual(reason.errors, [{ pointer: "/messages/2/headers/a", message: "must be string" }]);
    });

    test("gives back with a delay, extends, and says so when a lease was lost", async () => {
      const name = `leases-${word}`;
      await topic(name);
      await clients[socket]!.messages.publish(name, { payload: "one" });
      await using stream = clients[socket]!.stream();
      const failures: unknown[] = [];
      const consumer = stream.consume(name, {
        onSettleFailure: (_, error) => failures.push((error as HotSwapProblem).code),
      });
      const first = (await consumer.next()).value!;
      await first.extend(60);
      await first.nack({ reason: "not now", delayMs: 0 });
      const second = (await consumer.next()).value!;
      assert.deepEqual([second.attempt, second.extras], [2, { lastReason: "not now" }]);
      await assert.rejects(first.ack(), { code: "lease_lost" });
      await second.ack();
      await second.ack(); // settled before: nothing to complain about
      assert.deepEqual(failures, ["lease_lost"]);
    });

    test("leaving the loop hands back what was not looked at", async () => {
      const name = `left-${word}`;
      await topic(name);
      await clients[socket]!.messages.publishBatch(
        name,
        range(50).map((payload) => ({ payload })),
      );
      await using stream = clients[socket]!.stream();
      for await (const message of stream.consume<number>(name)) {
        await message.ack();
        if (message.payload === 9) break;
      }
      const rest = await take(ann, name, 40);
      assert.deepEqual(
        rest.map(({ payload }) => payload),
        range(50).slice(10),
      );
    });

    test("says what is missing", async () => {
      await using stream = clients[socket]!.stream();
      await assert.rejects(stream.publisher("no-such").publish({ payload: 1 }), { code: "topic_not_found" });
      await assert.rejects(stream.consume("no-such").next(), { code: "topic_not_found" });
    });
  });
}

/** A connection by hand, with what came over it. */
async function raw(token = ann.token, headers: Record<string, string> = {}) {
  const url = `${server.url.replace("http", "ws")}/api/v1/messages/stream`;
  const socket = new RawSocket(url, ["hotswap.v1"], {
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
  });
  // biome-ignore lint/suspicious/noExplicitAny: frames of many shapes
  const frames: any[] = [];
  const waiting: (() => void)[] = [];
  socket.on("message", (data, isBinary) => {
    frames.push(isBinary ? data : JSON.parse(String(data)));
    for (const wake of waiting.splice(0)) wake();
  });
  const closed = new Promise<[number, string]>((resolve) => {
    socket.once("close", (code, reason) => resolve([code, String(reason)]));
  });
  await Promise.race([once(socket, "open"), once(socket, "error").then(([error]) => Promise.reject(error))]);
  const next = async (type: string) => {
    for (;;) {
      const at = frames.findIndex((frame) => frame.type === type);
      if (at >= 0) return frames.splice(at, 1)[0];
      await Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), closed]);
      if (socket.readyState === RawSocket.CLOSED && !frames.some((frame) => frame.type === type)) {
        throw new Error(`closed without ${type}: ${JSON.stringify(frames)}`);
      }
    }
  };
  const say = (frame: object | Uint8Array) =>
    socket.send(frame instanceof Uint8Array ? frame : JSON.stringify(frame));
  return { socket, next, say, closed };
}

describe("a stream of text", { timeout: 60_000 }, () => {
  test("publishes, consumes within the credit, and settles", async () => {
    await topic("text");
    const { next, say, socket } = await raw();
    const welcome = await next("welcome");
    assert.ok(welcome.publish.messages > 0);
    const messages = range(5).map((payload) => ({ payload, key: "k" }));
    say({ type: "publish", id: 3, topic: "text", messages: [...messages, { payload: 1, nokey: 1 }] });
    const { id, receipts } = await next("receipts");
    assert.equal(id, 3);
    assert.deepEqual(
      receipts.slice(0, 5).map((one: { offset: number }) => one.offset),
      range(5),
    );
    assert.equal(receipts[5].error.code, "validation_failed");
    say({ type: "consume", channel: 9, topic: "text", messages: 3, bytes: 1 });
    await next("consuming");
    const first = await next("messages"); // one byte of credit is enough for one message
    assert.deepEqual(payloads(first.messages), [0]);
    const onLease = async () => (await ann.ok(ann.get("/topics/text/stats"))).subscriptions[0].inFlight;
    while ((await onLease()) > 1) {} // what the credit does not carry is given back at once
    say({ type: "ack", id: 4, receipts: [first.messages[0].receipt] });
    assert.deepEqual(await next("settled"), {
      type: "settled",
      id: 4,
      settled: 1,
      alreadySettled: 0,
      failed: [],
    });
    say({ type: "credit", channel: 9, messages: 0, bytes: 10_000 });
    const more = await next("messages");
    assert.deepEqual(payloads(more.messages), [1, 2]);
    say({ type: "ping", id: 5 });
    assert.deepEqual(await next("pong"), { type: "pong", id: 5 });
    say({ type: "close", channel: 9 });
    await next("closed");
    socket.close();
  });

  test("takes a later token of the same person, and ends with the token", async () => {
    const { next, say, socket } = await raw(await server.token({ ttlSeconds: 100 }));
    say({ type: "token", token: await server.token({ ttlSeconds: 1000 }) });
    await next("renewed");
    say({ type: "token", token: await server.token({ subject: "bob" }) });
    assert.equal((await next("error")).error.code, "token_invalid");
    await once(socket, "close");
  });
});

describe("a stream that breaks the rules", { timeout: 60_000 }, () => {
  const endsWith = async (code: number, reason: ErrorCode, ...frames: (object | Uint8Array)[]) => {
    const { say, next, closed } = await raw();
    await next("welcome");
    for (const frame of frames) say(frame);
    assert.deepEqual(await closed, [code, reason]);
  };

  test("ends with the code of what was wrong", async () => {
    await topic("rules");
    const invalid = [4400, "frame_invalid"] as const;
    await endsWith(...invalid, new Uint8Array([1, 2, 3]));
    await endsWith(...invalid, { type: "nonsense" });
    await endsWith(...invalid, { type: "ping", more: 1 });
    await endsWith(...invalid, writePublish(1, 1, [{ key: undefined, fields: "", payload: "1" }]));
    await endsWith(...invalid, writeAck(1, 1, [{ partition: 0, offset: 0, fence: 1 }]));
    await endsWith(
      ...invalid,
      { type: "open", channel: 1, topic: "rules" },
      { type: "open", channel: 1, topic: "rules" },
    );
    await endsWith(...invalid, { type: "consume", channel: 1, topic: "rules", messages: 10_001 });
    await endsWith(...invalid, ...range(257).map((channel) => ({ type: "open", channel, topic: "rules" })));
    const heavy = range(10_001).map(() => ({ key: undefined, fields: "", payload: "1" }));
    await endsWith(
      4429,
      "credit_exceeded",
      { type: "open", channel: 1, topic: "rules" },
      writePublish(1, 1, heavy),
    );
    const { messages } = await ann.ok(ann.get("/topics/rules/messages?from=earliest"));
    assert.deepEqual(messages, []);
  });

  test("ends when nothing is heard of it, pings included", async () => {
    const { socket, next, closed } = await raw();
    await next("welcome");
    socket.pong = () => {};
    (socket as unknown as { _autoPong: boolean })._autoPong = false;
    (
      socket as unknown as { _receiver: { removeAllListeners(name: string): void } }
    )._receiver.removeAllListeners("ping");
    assert.deepEqual(await closed, [4408, "stream_idle"]);
  });

  test("may do what its token allows, and no more", async () => {
    await topic("allowed");
    const consumer = await raw(await server.token({ roles: ["consumer"] }));
    consumer.say({ type: "publish", topic: "allowed", messages: [{ payload: 1 }] });
    assert.deepEqual(await consumer.closed, [4403, "permission_denied"]);
    const producer = await raw(await server.token({ roles: ["producer"] }));
    producer.say({ type: "publish", topic: "allowed", messages: [{ payload: 1 }] });
    await producer.next("receipts");
    producer.say({ type: "consume", channel: 1, topic: "allowed", messages: 1 });
    assert.equal((await producer.next("closed")).error.code, "permission_denied");
    producer.socket.close();
    const stranger = await raw(await server.token({ tenant: "other" }));
    stranger.say({ type: "consume", channel: 1, topic: "allowed", messages: 1 });
    assert.equal((await stranger.next("closed")).error.code, "topic_not_found");
    stranger.socket.close();
  });

  test("is refused before it begins: no token, no subprotocol, a foreign page, no upgrade", async () => {
    await assert.rejects(raw(""), /Unexpected server response: 401/);
    await assert.rejects(
      raw(ann.token, { origin: "https://evil.example" }),
      /Unexpected server response: 403/,
    );
    const { socket } = await raw(ann.token, { origin: "https://page.example" });
    socket.close();
    const plain = await ann.get("/messages/stream");
    assert.deepEqual([plain.status, plain.json.code], [426, "upgrade_required"]);
    assert.equal(plain.headers.get("upgrade"), "websocket");
    const url = `${server.url.replace("http", "ws")}/api/v1/messages/stream`;
    const other = new RawSocket(url, ["mqtt"], { headers: { authorization: `Bearer ${ann.token}` } });
    const [error] = await once(other, "error");
    assert.match(String(error), /Unexpected server response: 426/);
    const { stream } = { stream: connect({ url: server.url, token: "x.y.z" }).stream() };
    await assert.rejects(stream.publisher("a").publish({ payload: 1 }), { code: "token_invalid" });
  });
});

describe("a stopping server", { timeout: 60_000 }, () => {
  test("says goodbye, answers what is under way; the client goes on with the next one, and nothing is lost", async () => {
    const own = await TestServer.start({ port: "0" });
    try {
      const caller = await own.as({ ttlSeconds: 600 });
      await caller.ok(caller.post("/topics", { name: "t" }));
      const port = new URL(own.url).port;
      const client = connect({
        url: own.url,
        token: caller.token,
        retry: { attempts: 100, baseMs: 20, maxMs: 100 },
      });
      const stream = client.stream();
      const publisher = stream.publisher<number>("t", { atLeastOnce: true });
      const seen = new Set<number>();
      const consumed = (async () => {
        for await (const message of stream.consume<number>("t")) {
          seen.add(message.payload);
          void message.ack();
          if (seen.size === 2_000) break;
        }
      })();
      const first = range(1_000).map((number) => publisher.publish({ payload: number }));
      await own.restart({ port });
      const second = range(1_000).map((number) => publisher.publish({ payload: 1_000 + number }));
      await Promise.all([...first, ...second, consumed]);
      await stream.drain();
      client.close();
    } finally {
      await own.remove();
    }
  });
});
