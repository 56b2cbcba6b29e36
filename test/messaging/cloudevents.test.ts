/** CloudEvents 1.0 in and out: what goes in comes out, in every mode, and what is none is refused with its place. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../src/core/errors.ts";
import { parseBinaryEvent, parseEvent } from "../../src/messaging/cloudevents.in.ts";
import { eventHeaders, eventText } from "../../src/messaging/cloudevents.out.ts";
import { encodeMessage } from "../../src/messaging/message.ts";
import { type Caller, TestServer } from "../server.ts";

const limits = { jsonDepth: 64, messageBytes: 1 << 20, batch: 1000 };
const topic = { name: "t", number: 7 };
const readable = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((text) => !/\p{Cc}/u.test(text));
const event = fc.record(
  {
    specversion: fc.constant("1.0"),
    id: readable,
    source: fc.webUrl(),
    type: readable,
    subject: readable,
    time: fc.constant("2026-01-31T00:00:00Z"),
    traceparent: readable,
    partitionkey: readable,
    data: fc.jsonValue(),
  },
  { requiredKeys: ["specversion", "id", "source", "type", "data"], noNullPrototype: true },
);

const stored = (message: Parameters<typeof encodeMessage>[0]) => ({
  partition: 0,
  offset: 0,
  body: encodeMessage(message, 0),
});

describe("an event", () => {
  test("comes out as it went in, structured", () => {
    const property = fc.property(event, (given) => {
      const text = Buffer.from(JSON.stringify(given));
      const out = JSON.parse(eventText(topic, stored(parseEvent(text, limits))).toString());
      assert.deepEqual(out, { ...JSON.parse(text.toString()), datacontenttype: "application/json" });
    });
    fc.assert(property);
  });

  test("comes out as it went in, binary, with any bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array));
    const property = fc.property(event, bytes, ({ data: _, ...given }, body) => {
      const message = { ...parseEvent(Buffer.from(JSON.stringify(given)), limits), payload: body };
      const octets = { ...message, contentType: "application/octet-stream" };
      const headers = { ...eventHeaders(topic, stored(octets)), "content-type": "application/octet-stream" };
      for (const value of Object.values(headers)) assert.match(value, /^[!-~]*$/);
      assert.deepEqual(parseBinaryEvent(headers, body, limits), octets);
    });
    fc.assert(property);
  });

  test("is refused with the place of what is wrong, whatever it is", () => {
    const property = fc.property(fc.jsonValue(), (value) => {
      try {
        parseEvent(Buffer.from(JSON.stringify(value)), limits);
      } catch (error) {
        assert.ok(hasCode(error, "validation_failed"), String(error));
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
  await ann.ok(ann.post("/topics", { name: "events", dedupWindowSeconds: 60 }));
});
after(() => server?.remove());

const send = (body: unknown, type: string, headers: Record<string, string> = {}) =>
  ann.post("/topics/events/events", body, { headers: { "content-type": type, ...headers } });
const structured = "application/cloudevents+json";
const batched = "application/cloudevents-batch+json";
const one = { specversion: "1.0", id: "1", source: "/s", type: "t" };

describe("events over HTTP", () => {
  test("go in structured, binary and batched, and out as a batch; a repeat is stored once", async () => {
    const first = await ann.ok(send({ ...one, data: { a: 1 }, partitionkey: "k" }, structured), 201);
    const repeat = await ann.ok(send({ ...one, data: { a: 1 } }, structured), 201);
    assert.deepEqual([repeat.messageId, repeat.duplicate], [first.messageId, true]);
    const binary = {
      "ce-specversion": "1.0",
      "ce-id": "2",
      "ce-source": "/s",
      "ce-type": "t",
      "ce-x": "%C3%BC",
    };
    await ann.ok(send(Buffer.from([0, 255]), "image/png", binary), 201);
    const two = [
      { ...one, id: "3", datacontenttype: "text/plain", data: "ü" },
      { ...one, id: "4", n: 5 },
    ];
    assert.equal((await ann.ok(send(two, batched), 201)).messages.length, 2);
    const answer = await ann.get("/messages/consume/events?limit=10", { headers: { accept: batched } });
    assert.equal(answer.headers.get("content-type"), batched);
    const shown = answer.json.map(
      ({ receipt, leaseexpiresat, attempt, ...rest }: Record<string, unknown>) => rest,
    );
    assert.deepEqual(shown, [
      { ...one, partitionkey: "k", datacontenttype: "application/json", data: { a: 1 } },
      { ...one, id: "2", x: "ü", datacontenttype: "image/png", data_base64: "AP8=" },
      { ...one, id: "3", datacontenttype: "text/plain", data_base64: "w7w=" },
      { ...one, id: "4", n: "5", datacontenttype: "application/json", data: null },
    ]);
    const receipts = answer.json.map(({ receipt }: { receipt: string }) => receipt);
    assert.equal((await ann.ok(ann.post("/messages/ack", { receipts }))).settled, 4);
  });

  test("a message that is none becomes one", async () => {
    await ann.ok(
      ann.post("/messages/publish", {
        topic: "events",
        payload: 1,
        key: "k",
        headers: { region: "eu", "X-Y": "z" },
      }),
    );
    const answer = await ann.get("/messages/consume/events", { headers: { accept: batched } });
    const { id, source, type, partitionkey, region, data } = answer.json[0];
    assert.deepEqual(
      [source, type, partitionkey, region, data],
      ["/topics/events", "hotswap.message", "k", "eu", 1],
    );
    assert.match(id, /^\w+-0-\w+$/);
  });

  test("what is none is refused, with its place", async () => {
    const wrong: [unknown, string, string][] = [
      [{ ...one, specversion: "0.3" }, structured, "/specversion"],
      [{ specversion: "1.0", id: "1", type: "t" }, structured, "/source"],
      [{ ...one, id: "" }, structured, "/id"],
      [{ ...one, time: "yesterday" }, structured, "/time"],
      [{ ...one, myExtension: "x" }, structured, "/myExtension"],
      [{ ...one, x: { a: 1 } }, structured, "/x"],
      [{ ...one, dataschema: "rel" }, structured, "/dataschema"],
      [{ ...one, data: 1, data_base64: "AA==" }, structured, "/data_base64"],
      [{ ...one, datacontenttype: "image/png", data: 1 }, structured, "/data"],
      [{ ...one, data_base64: "AA==" }, structured, "/data_base64"],
      [[one, { ...one, type: 7 }], batched, "/1/type"],
    ];
    for (const [body, type, pointer] of wrong) {
      const { status, json } = await send(body, type);
      assert.deepEqual([status, json.code, json.errors?.[0]?.pointer], [400, "validation_failed", pointer]);
    }
    const headers = { "ce-specversion": "1.0", "ce-id": "%zz", "ce-source": "/s", "ce-type": "t" };
    assert.equal((await send("{}", "application/json", headers)).json.errors[0].pointer, "header/ce-id");
    assert.equal((await send("{}", "application/json")).json.code, "media_type_unsupported");
    assert.equal(
      (await send("{", "application/json", { ...headers, "ce-id": "1" })).json.code,
      "json_malformed",
    );
  });
});
