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
  type Reference,
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

test("what is deleted goes out of force, and for good only when it is deleted already", async () => {
  const registry = client();
  const id = await registry.register("gone-value", order());
  const second = await registry.register("gone-value", order({ gone: { type: "string" } }));
  await assert.rejects(registry.deleteSubjectVersion("gone-value", 1, true), failsWith(40407, 404));
  await assert.rejects(registry.deleteSubject("gone-value", true), failsWith(40405, 404));
  assert.equal(await registry.deleteSubjectVersion("gone-value", 1), 1);
  await assert.rejects(client().deleteSubjectVersion("gone-value", 1), failsWith(40406, 404));
  await assert.rejects(client().getSchemaMetadata("gone-value", 1), failsWith(40402, 404));
  assert.equal((await client().getSchemaMetadata("gone-value", 1, true)).id, id);
  assert.equal(
    (await client().getBySubjectAndId("gone-value", id)).schema,
    order().schema,
    "messages stay readable",
  );
  assert.deepEqual(await client().getAllVersions("gone-value"), [2]);
  assert.deepEqual(await registry.deleteSubject("gone-value"), [2]);
  await assert.rejects(client().getLatestSchemaMetadata("gone-value"), failsWith(40404, 404));
  const names = async (query: string) => (await dev.ok(dev.get(`//subjects?${query}`))) as string[];
  assert.ok(!(await names("")).includes("gone-value"));
  assert.ok((await names("deleted=true")).includes("gone-value"));
  assert.deepEqual(await names("deletedOnly=true"), ["gone-value"]);
  assert.deepEqual(await client().deleteSubject("gone-value", true), [1, 2]);
  await assert.rejects(client().getLatestSchemaMetadata("gone-value"), failsWith(40401, 404));
  await assert.rejects(client().getBySubjectAndId("gone-value", second), failsWith(40403, 404));
  assert.equal(
    await registry.register("gone-value", order()).then(() => client().getVersion("gone-value", order())),
    3,
  );
});

test("what a topic uses is not deleted", async () => {
  await client().register("kept-value", order());
  await dev.ok(dev.post("/topics", { name: "kept", schema: { subject: "kept-value" } }), 201);
  await assert.rejects(client().deleteSubject("kept-value"), failsWith(42206, 409));
  assert.deepEqual(await client().getAllVersions("kept-value"), [1]);
});

const draft7 = "http://json-schema.org/draft-07/schema#";
const schemaOf = (document: object, references: Reference[] = []) => ({
  schemaType: "JSON",
  schema: JSON.stringify({ $schema: draft7, type: "object", ...document }),
  ...(references.length > 0 && { references }),
});

test("a schema refers to versions of other subjects, and keeps its meaning", async () => {
  const registry = client();
  await registry.register("country", schemaOf({ type: "string", minLength: 2, maxLength: 2 }));
  const toCountry = { name: "country.json", subject: "country", version: 1 };
  const address = { properties: { country: { $ref: "country.json" } }, required: ["country"] };
  await registry.register("address", schemaOf(address, [toCountry]));
  const toAddress = { name: "address.json", subject: "address", version: -1 };
  const customer = schemaOf(
    { properties: { home: { $ref: "address.json" }, born: { $ref: "country.json" } } },
    [toAddress, toCountry],
  );
  const id = await registry.register("customer-value", customer);
  assert.equal(await client().getId("customer-value", customer), id);
  const shown = await client().getBySubjectAndId("customer-value", id);
  assert.equal(shown.schema, customer.schema);
  assert.deepEqual(shown.references, [{ ...toAddress, version: 1 }, toCountry]);
  const referring = await dev.ok(dev.get("//subjects/address/versions/1/referencedby"));
  assert.deepEqual(referring, [id]);
  await assert.rejects(client().deleteSubject("address"), failsWith(42206, 409));
  const lost = schemaOf({}, [{ name: "x.json", subject: "address", version: 7 }]);
  await assert.rejects(client().register("lost", lost), failsWith(42201, 422));

  await dev.ok(dev.post("/topics", { name: "customers", schema: { subject: "customer-value" } }), 201);
  const publish = (payload: object) => dev.post("/messages/publish", { topic: "customers", payload });
  assert.equal((await publish({ home: { country: "DE" } })).status, 201);
  const refused = await publish({ home: { country: "Germany" } });
  assert.deepEqual([refused.status, refused.json.errors[0].pointer], [422, "/payload/home/country"]);

  const serializer = new JsonSerializer(client(), SerdeType.VALUE, {
    useLatestVersion: true,
    validate: true,
  });
  const bytes = await serializer.serialize("customer", { home: { country: "DE" } });
  const deserializer = new JsonDeserializer(client(), SerdeType.VALUE, { validate: true });
  assert.deepEqual(await deserializer.deserialize("customer", bytes), { home: { country: "DE" } });
  await assert.rejects(serializer.serialize("customer", { home: { country: "Germany" } }));

  const { items } = await dev.ok(dev.get("/schemas?subject=address"));
  const user = { kind: "schema", name: "customer-value@1", of: null, version: 1 };
  assert.deepEqual((await dev.ok(dev.get(`/schemas/${items[0].id}/usage`))).items, [user]);
  const step = (verb: string, body: object = {}) => dev.post(`/schemas/${items[0].id}/${verb}`, body);
  assert.equal((await dev.ok(step("deprecate", { force: true }))).state, "deprecated");
  const used = await step("retire");
  assert.deepEqual([used.status, used.json.code, used.json.data.usage], [409, "schema_in_use", [user]]);
  assert.match(used.json.detail, /is used by schema customer-value@1\./);
  assert.equal((await dev.ok(step("retire", { force: true }))).state, "retired");
  assert.equal((await publish({ home: { country: "Germany" } })).status, 422, "it has a copy");
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

test("flags and parts of lists are taken as other languages' clients write them", async () => {
  await client().register("python-value", order());
  await client().register("python-value", order({ note: { type: "string" } }));
  const get = (path: string) => dev.ok(dev.get(`//${path}`));
  const all = "deleted=False&deleted_only=False&offset=0&limit=-1";
  assert.deepEqual(await get(`subjects/python-value/versions?${all}`), [1, 2]);
  assert.deepEqual(await get("subjects/python-value/versions?offset=1&limit=5"), [2]);
  assert.deepEqual(await get(`subjects?subjectPrefix=python&${all}`), ["python-value"]);
  assert.deepEqual(await get("subjects?subjectPrefix=python&deleted_only=True"), []);
  const again = await dev.post("//subjects/python-value/versions?normalize=False", order());
  assert.deepEqual([again.status, again.json.version], [200, 1]);
  assert.equal((await dev.get("//subjects?deleted=maybe")).status, 400);
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
