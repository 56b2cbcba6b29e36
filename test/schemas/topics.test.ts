/** Topics that name a schema: every way in is checked, versions are followed, and users are known. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let dev: Caller;
before(async () => {
  server = await TestServer.start();
  dev = await server.as({ subject: "dev" });
});
after(() => server?.remove());

const order = (properties: object = {}) => ({
  type: "object",
  properties: { id: { type: "string" }, ...properties },
  required: ["id"],
  additionalProperties: false,
});

async function approved(subject: string, schema: unknown) {
  const version = await dev.ok(dev.post("/schemas", { subject, schema, submit: true }), 201);
  assert.equal(version.state, "approved");
  return version;
}

const publish = (topic: string, payload: unknown) => dev.post("/messages/publish", { topic, payload });
const countOf = async (topic: string) => (await dev.ok(dev.get(`/topics/${topic}/stats`))).messages;

test("one message, a batch and lines are held against the schema, with pointers", async () => {
  await approved("checked", order());
  const topic = await dev.ok(dev.post("/topics", { name: "checked", schema: { subject: "checked" } }), 201);
  assert.deepEqual(topic.schema, { subject: "checked", version: null, enforcement: "strict" });
  assert.equal((await publish("checked", { id: "1" })).status, 201);
  const single = await publish("checked", { id: 1 });
  assert.deepEqual([single.status, single.json.code], [422, "schema_violated"]);
  assert.deepEqual(single.json.errors, [{ pointer: "/payload/id", message: "must be string" }]);

  const batch = await dev.post("/messages/publish", {
    topic: "checked",
    messages: [{ payload: { id: "2" } }, { payload: {} }],
  });
  assert.deepEqual([batch.status, batch.json.code], [422, "schema_violated"]);
  assert.deepEqual(batch.json.errors, [{ pointer: "/messages/1/payload/id", message: "is required" }]);
  assert.equal(await countOf("checked"), 1, "a batch is all or nothing");

  const lines = ['{"payload":{"id":"3"}}', '{"payload":{"id":3}}', '{"payload":{"id":"4"}}'].join("\n");
  const streamed = await dev.call("POST", "/messages/publish?topic=checked", {
    body: lines,
    headers: { "content-type": "application/x-ndjson" },
  });
  const answers = streamed.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(answers[1].error.code, "schema_violated");
  assert.ok(answers[0].messageId && answers[2].messageId);
  assert.equal(await countOf("checked"), 3, "the other lines are accepted");

  const opaque = { topic: "checked", payloadBase64: "AA==", contentType: "application/octet-stream" };
  assert.equal((await dev.post("/messages/publish", opaque)).json.code, "schema_violated");
});

test("the latest version counts as soon as it is approved; a fixed one stays", async () => {
  await approved("moving", order());
  await dev.ok(dev.post("/topics", { name: "latest", schema: { subject: "moving" } }), 201);
  await dev.ok(dev.post("/topics", { name: "fixed", schema: { subject: "moving", version: 1 } }), 201);
  const payload = { id: "1", note: "x" };
  assert.equal((await publish("latest", payload)).status, 422);
  await approved("moving", order({ note: { type: "string" } }));
  assert.equal((await publish("latest", payload)).status, 201);
  assert.equal((await publish("fixed", payload)).status, 422);
});

test("a topic can only count what does not fit, change its schema, and lose it", async () => {
  await approved("soft", order());
  const schema = { subject: "soft", enforcement: "warn" };
  await dev.ok(dev.post("/topics", { name: "soft", schema }), 201);
  assert.equal((await publish("soft", {})).status, 201);
  const metrics = (await dev.call("GET", "//metrics")).text;
  assert.match(metrics, /messages_schema_violations_total\{[^}]*topic="soft"[^}]*\} 1/);
  const update = (body: object) => dev.put("/topics/soft", body, { headers: { "if-match": "*" } });
  await dev.ok(update({ schema: { subject: "soft" } }));
  assert.equal((await publish("soft", {})).status, 422);
  assert.deepEqual((await dev.ok(update({ description: "new" }))).schema.subject, "soft");
  assert.equal((await dev.ok(update({ schema: null }))).schema, null);
  assert.equal((await publish("soft", {})).status, 201);
  const unknown = await update({ schema: { subject: "nobody" } });
  assert.deepEqual([unknown.status, unknown.json.errors[0].pointer], [400, "/schema/subject"]);
});

test("who uses a version is known, and kept from losing it by mistake", async () => {
  const first = await approved("used", order());
  await dev.ok(dev.post("/topics", { name: "used", type: "pubsub", schema: { subject: "used" } }), 201);
  const subscription = { topic: "used", name: "billing", schemaVersion: 1 };
  assert.equal((await dev.ok(dev.post("/subscriptions", subscription), 201)).schemaVersion, 1);
  await dev.ok(dev.post("/subscriptions", { topic: "used", name: "audit" }), 201);
  const as = "subscription=billing&consumer=bill-1";
  await dev.ok(dev.get(`/messages/consume/used?${as}`));
  const users = [
    { kind: "topic", name: "used", of: null, version: null },
    { kind: "subscription", name: "billing", of: "used", version: 1 },
    { kind: "consumer", name: "bill-1", of: "used/billing", version: 1 },
    { kind: "subscription", name: "audit", of: "used", version: null },
  ];
  const usage = await dev.ok(dev.get(`/schemas/${first.id}/usage`));
  assert.deepEqual(usage, { items: users, total: users.length, missing: [] });
  const topics = await dev.ok(dev.get(`/schemas/${first.id}/usage?kind=topic`));
  assert.deepEqual(topics.items, users.slice(0, 1));
  const refused = await dev.post(`/schemas/${first.id}/deprecate`, {});
  assert.deepEqual([refused.status, refused.json.code], [409, "schema_in_use"]);
  assert.deepEqual(refused.json.data.usage, users);
  await approved("used", order({ note: {} }));
  assert.deepEqual((await dev.ok(dev.get(`/schemas/${first.id}/usage`))).items, users.slice(1, 3));
  assert.equal(
    (await dev.ok(dev.post(`/schemas/${first.id}/deprecate`, { force: true }))).state,
    "deprecated",
  );
  // Otherwise a breaking version would need no approval: with nothing in force there is nothing to break.
  const developer = await server.as({ subject: "eve", roles: ["developer"] });
  const forced = await developer.post(`/schemas/${first.id}/retire`, { force: true });
  assert.deepEqual([forced.status, forced.json.code], [403, "permission_denied"]);
  assert.equal((await dev.ok(dev.post(`/schemas/${first.id}/retire`, { force: true }))).state, "retired");
});

test("a proposal is tried on real messages: shares and places, and nothing of the messages", async () => {
  await dev.ok(dev.post("/topics", { name: "real", partitions: 2 }), 201);
  const messages = Array.from({ length: 40 }, (_, i) => ({
    payload: { id: String(i), lines: i % 4 === 0 ? [{ sku: "secret-value" }, {}] : [] },
  }));
  await dev.ok(dev.post("/messages/publish", { topic: "real", messages }), 201);
  const schema = order({ lines: { items: { required: ["sku"], properties: { sku: { maxLength: 3 } } } } });
  const body = { subject: "real", schema, replay: { topic: "real", limit: 40 } };
  const answer = await dev.post("/schemas/check", body);
  const { replay } = await dev.ok(Promise.resolve(answer));
  assert.deepEqual([replay.messages, replay.failing, replay.share], [40, 10, 0.25]);
  const places = replay.places.map(({ pointer, count }: Record<string, unknown>) => [pointer, count]);
  assert.deepEqual(places.sort(), [
    ["/payload/lines/*/sku", 10],
    ["/payload/lines/*/sku", 10],
  ]);
  assert.ok(!answer.text.includes("secret-value"));
  const producer = await server.as({ subject: "p", roles: ["producer"] });
  assert.equal((await producer.post("/schemas/check", body)).status, 403);
});

test("topics find their schema again after a restart", async () => {
  await approved("again", order());
  await dev.ok(dev.post("/topics", { name: "again", schema: { subject: "again" } }), 201);
  await server.restart();
  dev = await server.as({ subject: "dev" });
  assert.equal((await publish("again", {})).status, 422);
  assert.equal((await publish("again", { id: "1" })).status, 201);
});
