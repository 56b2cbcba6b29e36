/** Publishing over HTTP: one, a batch, a stream of lines; where messages go, and what a receipt says. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, take } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start({
    "http-line-limit-bytes": "4096",
    "messaging-message-limit-bytes": "2048",
  });
  ann = await server.as();
});
after(() => server?.remove());

const post = (body: unknown) => ann.post("/messages/publish", body);
const topic = async (name: string, more: object = {}) => {
  await ann.ok(ann.post("/topics", { name, ...more }));
  return name;
};

describe("publishing one message", () => {
  for (const durability of ["memory", "os", "fsync"]) {
    it(`answers with its place and the durability ${durability}`, async () => {
      const name = await topic(`one.${durability}`, { durability });
      const answer = await post({ topic: name, payload: { n: 1 } });
      assert.equal(answer.status, 201);
      const { messageId, ...rest } = answer.json;
      assert.deepEqual(rest, { topic: name, partition: 0, offset: 0, durability });
      assert.equal((await ann.ok(ann.get(`/messages/${messageId}`))).payload.n, 1);
      assert.equal((await ann.ok(post({ topic: name, payload: null }))).offset, 1);
    });
  }

  it("keeps key, headers and the payload's own text", async () => {
    const name = await topic("text");
    const payload = `{ "b" : 1.0, "a":[1e2 ,"\\u00e9\\/"],"b":12345678901234567890, "__proto__":{} }`;
    const headers = { Trace: "é ✓", constructor: "x" };
    await ann.ok(
      post(`{"topic":"text","key":"k ✓","headers":${JSON.stringify(headers)},"payload":${payload}}`),
      201,
    );
    const answer = await ann.get(`/messages/consume/${name}`);
    assert.ok(answer.text.includes(`"payload":${payload}`), answer.text);
    assert.deepEqual([answer.json.messages[0].key, answer.json.messages[0].headers], ["k ✓", headers]);
  });

  it("carries bytes of any media type, and priority", async () => {
    const name = await topic("bytes");
    const payloadBase64 = Buffer.from([0, 255, 10, 13]).toString("base64");
    const message = { payloadBase64, contentType: "image/png", priority: 9 };
    const { messageId } = await ann.ok(post({ topic: name, ...message }), 201);
    await ann.ok(post({ topic: name, payload: { a: 1 }, contentType: "application/cloudevents+json" }), 201);
    const shown = await ann.ok(ann.get(`/messages/${messageId}`));
    assert.deepEqual({ ...shown, ...message }, shown);
    const [first, second] = await take(ann, name, 2);
    assert.deepEqual({ ...first, ...message }, first);
    assert.deepEqual(second!.payload, { a: 1 });
  });

  it("takes every kind of JSON as payload", async () => {
    const name = await topic("kinds");
    const all = [null, true, 0, -1.5e300, "", "\u0000\ud800", [], {}, [[{ a: [] }]]];
    for (const payload of all) await ann.ok(post({ topic: name, payload }), 201);
    assert.deepEqual(payloads(await take(ann, name, all.length)), all);
  });

  it("refuses what does not fit, and says where", async () => {
    await topic("strict");
    const cases: [unknown, string][] = [
      [{ topic: "strict" }, "/payload"],
      [{ payload: 1 }, "/topic"],
      [{ topic: "strict", payload: 1, colour: 3 }, "/colour"],
      [{ topic: "strict", payload: 1, priority: 10 }, "/priority"],
      [{ topic: "strict", payload: 1, payloadBase64: "AA==" }, "/payload"],
      [{ topic: "strict", payloadBase64: "AA==" }, "/contentType"],
      [{ topic: "strict", payloadBase64: "A", contentType: "image/png" }, "/payloadBase64"],
      [{ topic: "strict", payload: 1, contentType: "text/plain" }, "/contentType"],
      [{ topic: "strict", payload: 1, contentType: "nonsense" }, "/contentType"],
      [{ topic: "strict", payload: 1, key: "" }, "/key"],
      [{ topic: "strict", payload: 1, key: "x".repeat(513) }, "/key"],
      [{ topic: "strict", payload: 1, headers: { a: 1 } }, "/headers/a"],
      [{ topic: "strict", messages: [] }, "/messages"],
      [{ topic: "strict", messages: [{ payload: 1 }, { payload: 2, id: 7 }] }, "/messages/1/id"],
      [{ topic: "strict", messages: [{ payload: 1 }], payload: 2 }, "/payload"],
    ];
    for (const [body, pointer] of cases) {
      const problem = assertRefused(await post(body), 400, "validation_failed");
      assert.deepEqual(
        problem.errors?.map((error) => error.pointer),
        [pointer],
      );
    }
    assertRefused(await post([]), 400, "validation_failed");
    assertRefused(await post({ topic: "unknown", payload: 1 }), 404, "topic_not_found");
    assertRefused(await post({ topic: "strict", payload: "x".repeat(2048) }), 413, "message_too_large");
    const headers = { a: "x".repeat(1500) };
    const both = { topic: "strict", payload: "x".repeat(600), headers };
    assertRefused(await post(both), 413, "message_too_large");
    const text = { headers: { "content-type": "text/plain" } };
    assertRefused(await ann.post("/messages/publish", "hello", text), 415, "media_type_unsupported");
    assert.equal((await ann.ok(ann.get("/topics/strict/stats"))).messages, 0);
  });
});

describe("publishing with an idempotency key", () => {
  it("answers a repeat with the first message, alone, in a batch and as a line", async () => {
    const name = await topic("once", { partitions: 4 });
    const once = { payload: 1, idempotencyKey: "a" };
    const first = await ann.ok(post({ topic: name, ...once }), 201);
    const repeat = { ...first, duplicate: true };
    assert.deepEqual(await ann.ok(post({ topic: name, ...once, payload: 2 }), 201), repeat);
    const { messages } = await ann.ok(
      post({ topic: name, messages: [once, { ...once, idempotencyKey: "b" }] }),
      201,
    );
    assert.deepEqual(messages[0], repeat);
    assert.equal("duplicate" in messages[1], false);
    const line = await ann.call("POST", `/messages/publish?topic=${name}`, {
      headers: { "content-type": "application/x-ndjson" },
      body: `${JSON.stringify(once)}\n`,
    });
    assert.deepEqual(JSON.parse(line.text), repeat);
    const keyed = { headers: { "idempotency-key": '"a"' } };
    const publish = (body: object) => ann.post("/messages/publish", { topic: name, ...body }, keyed);
    assert.deepEqual(await ann.ok(publish({ payload: 3 }), 201), repeat);
    assert.deepEqual(await ann.ok(publish(once), 201), repeat);
    const other = assertRefused(await publish({ payload: 3, idempotencyKey: "b" }), 400, "validation_failed");
    assert.equal(other.errors?.[0]?.pointer, "/idempotencyKey");
    const several = assertRefused(await publish({ messages: [once] }), 400, "validation_failed");
    assert.equal(several.errors?.[0]?.pointer, "header/Idempotency-Key");
    const taken = await take(ann, name, 2);
    assert.deepEqual(taken.map(({ idempotencyKey }) => idempotencyKey).toSorted(), ["a", "b"]);
    assert.equal((await ann.ok(ann.get(`/topics/${name}/stats`))).messages, 2);
  });

  it("deduplicates nothing in a topic whose window is 0", async () => {
    const name = await topic("often", { dedupWindowSeconds: 0 });
    for (const offset of [0, 1]) {
      const receipt = await ann.ok(post({ topic: name, payload: 1, idempotencyKey: "a" }), 201);
      assert.deepEqual([receipt.offset, receipt.duplicate], [offset, undefined]);
    }
  });
});

describe("publishing a batch", () => {
  it("answers in the order of the messages", async () => {
    const name = await topic("batch");
    const receipts = await publish(ann, name, ["a", "b", "c"]);
    assert.deepEqual(
      receipts.map(({ offset }: { offset: number }) => offset),
      [0, 1, 2],
    );
    for (const [index, { messageId }] of receipts.entries()) {
      assert.equal((await ann.ok(ann.get(`/messages/${messageId}`))).payload, "abc"[index]);
    }
  });

  it("keeps each key in one partition and in order, over many batches", async () => {
    const name = await topic("keys", { partitions: 8 });
    type Place = { partition: number; offsets: number[] };
    const places = new Map<string, Place>();
    for (let round = 0; round < 5; round++) {
      const messages = Array.from({ length: 40 }, (_, n) => ({
        key: `k${n % 20}`,
        payload: `${round}.${n}`,
      }));
      const { messages: receipts } = await ann.ok(post({ topic: name, messages }), 201);
      messages.forEach(({ key }, index) => {
        const { partition, offset } = receipts[index];
        const place: Place = places.get(key) ?? { partition, offsets: [] };
        places.set(key, place);
        assert.equal(partition, place.partition);
        place.offsets.push(offset);
      });
    }
    for (const { offsets } of places.values())
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
      );
    assert.ok(new Set([...places.values()].map(({ partition }) => partition)).size > 3);
    const taken = await take(ann, name, 200);
    for (const key of places.keys()) {
      const seen = taken.filter((message) => message.key === key).map(({ offset }) => offset);
      assert.deepEqual(seen, places.get(key)!.offsets);
    }
  });

  it("stores nothing when one message is wrong", async () => {
    const name = await topic("whole");
    const problem = assertRefused(
      await post({ topic: name, messages: [{ payload: 1 }, { payload: 2, key: 3 }, {}] }),
      400,
      "validation_failed",
    );
    assert.deepEqual(
      problem.errors?.map(({ pointer }) => pointer),
      ["/messages/1/key", "/messages/2/payload"],
    );
    const large = await post({ topic: name, messages: [{ payload: 1 }, { payload: "x".repeat(2048) }] });
    assert.equal(assertRefused(large, 413, "message_too_large").errors?.[0]?.pointer, "/messages/1/payload");
    assertRefused(
      await post({ topic: name, messages: Array(1001).fill({ payload: 1 }) }),
      400,
      "validation_failed",
    );
    assert.equal((await ann.ok(ann.get(`/topics/${name}/stats`))).messages, 0);
  });
});

describe("publishing lines", () => {
  const lines = (name: string, text: string) =>
    ann.call("POST", `/messages/publish?topic=${name}`, {
      body: text,
      headers: { "content-type": "application/x-ndjson" },
    });

  it("answers each line in its place, the refused ones too", async () => {
    const name = await topic("lines", { durability: "os" });
    const answer = await lines(
      name,
      [
        `{"payload":1,"key":"k"}`,
        `{"payload":`,
        `{"payload":2}\r`,
        ``,
        `{"payload":3,"color":"red"}`,
        `"text"`,
        `{"payload":"${"x".repeat(2048)}"}`,
        `{"payload":{"last":true}}`,
      ].join("\n"),
    );
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
    const answers = answer.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      answers.map((each) => each.error?.code ?? each.offset),
      [0, "json_malformed", 1, "validation_failed", "validation_failed", "message_too_large", 2],
    );
    assert.deepEqual(
      answers[3].error.errors.map(({ pointer }: { pointer: string }) => pointer),
      ["/color"],
    );
    assert.deepEqual(payloads(await take(ann, name, 3)), [1, 2, { last: true }]);
  });

  it("refuses the whole when the topic is not said, not there or not a name", async () => {
    const sent = { body: `{"payload":1}`, headers: { "content-type": "application/x-ndjson" } };
    assertRefused(await ann.call("POST", "/messages/publish", sent), 400, "validation_failed");
    assertRefused(await lines("nowhere", `{"payload":1}`), 404, "topic_not_found");
    assertRefused(await lines("a%2fb", `{"payload":1}`), 400, "validation_failed");
  });

  it("ends the stream at a line that is too long, after the answers before it", async () => {
    const name = await topic("long");
    const answer = await lines(name, `{"payload":1}\n{"payload":"${"x".repeat(5000)}"}\n{"payload":2}\n`);
    const answers = answer.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(answers.at(-1).error.code, "body_too_large");
    const stored = payloads(await consume(ann, name, { limit: 10 }));
    assert.deepEqual(
      stored,
      answers.filter((each) => each.offset !== undefined).map(() => 1),
    );
  });

  it("answers a line before the next one is sent", { timeout: 20_000 }, async () => {
    const name = await topic("dialogue");
    const headers = { authorization: `Bearer ${ann.token}`, "content-type": "application/x-ndjson" };
    const call = request(`${server.url}/api/v1/messages/publish?topic=${name}`, { method: "POST", headers });
    for (let n = 0; n < 5; n++) {
      call.write(`{"payload":${n}}\n`);
      const [response] = n === 0 ? await once(call, "response") : [undefined];
      if (response) answersOf = createInterface(response)[Symbol.asyncIterator]();
      const { value } = await answersOf!.next();
      assert.equal(JSON.parse(value).offset, n);
    }
    call.end();
    assert.equal((await answersOf!.next()).done, true);
  });
  let answersOf: AsyncIterator<string> | undefined;

  it("keeps what was accepted when the sender goes away in the middle", async () => {
    const name = await topic("broken");
    const headers = { authorization: `Bearer ${ann.token}`, "content-type": "application/x-ndjson" };
    const call = request(`${server.url}/api/v1/messages/publish?topic=${name}`, { method: "POST", headers });
    call.on("error", () => {}); // it is cut off on purpose
    call.write(`{"payload":"whole"}\n{"payload":"ha`);
    const [response] = await once(call, "response");
    const [receipt] = await once(
      createInterface(response).on("error", () => {}),
      "line",
    );
    assert.equal(JSON.parse(receipt).offset, 0);
    call.destroy();
    assert.deepEqual(payloads(await take(ann, name, 1)), ["whole"]);
    assert.equal((await ann.ok(ann.get(`/topics/${name}/stats`))).messages, 1);
  });

  it("takes thousands of lines, answered in order", async () => {
    const name = await topic("many", { partitions: 4, durability: "memory" });
    const count = 5000;
    const text = Array.from({ length: count }, (_, n) => `{"payload":${n},"key":"k${n % 7}"}`).join("\n");
    const answers = (await lines(name, text)).text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(answers.length, count);
    const byPartition = Map.groupBy(answers, ({ partition }) => partition);
    for (const receipts of byPartition.values()) {
      assert.deepEqual(
        receipts.map(({ offset }) => offset),
        receipts.map((_, index) => index),
      );
    }
    const probe = answers[4321];
    assert.equal((await ann.ok(ann.get(`/messages/${probe.messageId}`))).payload, 4321);
  });
});
