/**
 * The npm package @confluentinc/schemaregistry, unchanged, against the registry: its client, and its serializer
 * and deserializer of JSON Schema.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  Compatibility,
  JsonDeserializer,
  JsonSerializer,
  RestError,
  SchemaRegistryClient,
  SerdeType,
} from "@confluentinc/schemaregistry";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let dev: Caller;
before(async () => {
  server = await TestServer.start();
  dev = await server.as({ subject: "dev" });
});
after(() => server?.remove());

/** With the token as password, as for clients that know nothing else. */
const client = () =>
  new SchemaRegistryClient({
    baseURLs: [server.url],
    maxRetries: 0,
    basicAuthCredentials: { credentialsSource: "USER_INFO", userInfo: `anybody:${dev.token}` },
  });

const order = (properties: object = {}) => ({
  schemaType: "JSON",
  schema: JSON.stringify({
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Order",
    type: "object",
    properties: { id: { type: "string" }, ...properties },
    required: ["id"],
    additionalProperties: false,
  }),
});

const failsWith = (errorCode: number, status: number) => (error: unknown) => {
  assert.ok(error instanceof RestError, String(error));
  assert.deepEqual([error.errorCode, error.status], [errorCode, status], error.message);
  return true;
};

test("register, look up, list, read by id", async () => {
  const registry = client();
  const id = await registry.register("a-value", order());
  assert.equal(await registry.register("a-value", order()), id);
  assert.equal(await client().register("b-value", order()), id, "one id for one text");
  assert.equal(await client().getId("a-value", order()), id);
  assert.equal(await client().getVersion("a-value", order()), 1);
  const second = await registry.register("a-value", order({ note: { type: "string" } }));
  assert.deepEqual(await registry.getAllVersions("a-value"), [1, 2]);
  assert.deepEqual((await registry.getAllSubjects()).sort(), ["a-value", "b-value"]);
  const latest = await registry.getLatestSchemaMetadata("a-value");
  assert.deepEqual([latest.id, latest.version, latest.schemaType], [second, 2, "JSON"]);
  assert.equal((await registry.getSchemaMetadata("a-value", 1)).id, id);
  assert.equal((await registry.getBySubjectAndId("a-value", id)).schema, order().schema);
});

test("errors have the codes that its documents name", async () => {
  const registry = client();
  await registry.register("codes", order());
  await assert.rejects(registry.getLatestSchemaMetadata("nobody"), failsWith(40401, 404));
  await assert.rejects(registry.getSchemaMetadata("codes", 9), failsWith(40402, 404));
  await assert.rejects(registry.getBySubjectAndId("codes", 99_999), failsWith(40403, 404));
  await assert.rejects(registry.getId("codes", order({ x: {} })), failsWith(40403, 404));
  await assert.rejects(
    registry.register("codes", { schema: "{", schemaType: "JSON" }),
    failsWith(42201, 422),
  );
  await assert.rejects(
    registry.register("codes", { schema: '{"type":"x"}', schemaType: "JSON" }),
    failsWith(42201, 422),
  );
  await assert.rejects(registry.register("codes", order({ id: { type: "integer" } })), failsWith(409, 409));
  await assert.rejects(registry.getCompatibility("codes"), failsWith(40408, 404));
});

test("compatibility and its levels", async () => {
  const registry = client();
  await registry.register("levels", order({ n: { type: "number" } }));
  const narrower = order({ n: { type: "integer" } });
  assert.equal(await registry.testSubjectCompatibility("levels", narrower), false);
  assert.equal(await registry.updateCompatibility("levels", Compatibility.FORWARD), "FORWARD");
  assert.equal(await registry.getCompatibility("levels"), "FORWARD");
  assert.equal(await registry.testCompatibility("levels", 1, narrower), true);
  assert.equal(await registry.getDefaultCompatibility(), "BACKWARD");
  assert.equal(await registry.updateDefaultCompatibility(Compatibility.FULL_TRANSITIVE), "FULL_TRANSITIVE");
  assert.equal(await registry.updateDefaultCompatibility(Compatibility.BACKWARD), "BACKWARD");
});

test("messages go through its JSON serializer and deserializer", async () => {
  const registry = client();
  await registry.register("serdes-value", order({ count: { type: "integer" } }));
  const serializer = new JsonSerializer(registry, SerdeType.VALUE, {
    useLatestVersion: true,
    validate: true,
  });
  const bytes = await serializer.serialize("serdes", { id: "1", count: 2 });
  assert.equal(bytes[0], 0, "the magic byte");
  const deserializer = new JsonDeserializer(client(), SerdeType.VALUE, { validate: true });
  assert.deepEqual(await deserializer.deserialize("serdes", bytes), { id: "1", count: 2 });
  await assert.rejects(serializer.serialize("serdes", { id: 1 }));
});

test("a bearer token serves as well, and nothing goes without one", async () => {
  const get = (authorization?: string) =>
    fetch(`${server.url}/subjects`, { headers: authorization ? { authorization } : {} });
  assert.equal((await get(`Bearer ${dev.token}`)).status, 200);
  assert.equal((await get()).status, 401);
  assert.equal((await get(`Basic ${Buffer.from("dev:wrong").toString("base64")}`)).status, 401);
  const { error_code: code, message } = (await (await get()).json()) as Record<string, unknown>;
  assert.deepEqual([code, typeof message], [401, "string"]);
});
