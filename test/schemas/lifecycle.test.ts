/** The registry over HTTP: versions, verdicts, approvals, and the end of a version's life. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let dev: Caller;
let boss: Caller;
before(async () => {
  server = await TestServer.start();
  dev = await server.as({ subject: "dev", roles: ["developer"] });
  boss = await server.as({ subject: "boss", roles: ["approver"] });
});
after(() => server?.remove());

const order = (properties: object, rest: object = {}) => ({
  type: "object",
  properties: { id: { type: "string" }, ...properties },
  required: ["id"],
  additionalProperties: false,
  ...rest,
});

const register = (subject: string, schema: unknown, more: object = {}) =>
  dev.ok(dev.post("/schemas", { subject, schema, ...more }), 201);
const released = async (subject: string, schema: unknown) => {
  const version = await register(subject, schema, { submit: true });
  assert.equal(version.state, "approved", JSON.stringify(version));
  return version;
};

test("a compatible version goes from draft to approved by itself, with a proof", async () => {
  const first = await register("orders", order({}));
  assert.equal(first.state, "draft");
  assert.equal(first.version, 1);
  assert.deepEqual(first.compatibility, { mode: "backward", compatible: true, checks: [] });
  assert.equal((await dev.ok(dev.post(`/schemas/${first.id}/submit`))).state, "approved");
  const second = await register("orders", order({ note: { type: "string" } }));
  assert.deepEqual(second.compatibility.checks, [
    { version: 1, direction: "backward", verdict: "compatible" },
  ]);
  const again = await register("orders", order({ note: { type: "string" } }));
  assert.deepEqual([again.id, again.created], [second.id, false]);
});

test("a breaking version needs somebody else's approval of exactly what breaks", async () => {
  await released("payments", order({ amount: { type: "number" } }));
  const breaking = await register("payments", order({ amount: { type: "integer" } }));
  const [check] = breaking.compatibility.checks;
  assert.equal(check.verdict, "incompatible");
  assert.deepEqual(Object.keys(check.counterexample).sort(), ["amount", "id"]);
  const review = await dev.ok(dev.post(`/schemas/${breaking.id}/submit`));
  assert.equal(review.state, "in_review");
  const approval = await boss.ok(boss.get(`/approvals/${review.approvalId}`));
  assert.deepEqual(approval.content.compatibility, review.compatibility);
  assert.deepEqual(approval.content.schema, review.schema);
  const admin = await server.as({ subject: "dev", roles: ["admin"] });
  const own = await admin.post(`/schemas/${breaking.id}/approve`, {});
  assert.deepEqual([own.status, own.json.code], [403, "approval_self"]);
  assert.equal((await dev.post(`/schemas/${breaking.id}/approve`, {})).status, 403);
  const approved = await boss.ok(boss.post(`/schemas/${breaking.id}/approve`, { reason: "agreed" }));
  assert.equal(approved.state, "approved");
  assert.equal((await boss.ok(boss.get(`/approvals/${review.approvalId}`))).state, "used");
});

test("an approval from the inbox is used by the next approve; one that is overtaken is void", async () => {
  await released("stock", order({ count: { type: "number" } }));
  const asked = await register("stock", order({ count: { type: "integer" } }), { submit: true });
  await boss.ok(boss.post(`/approvals/${asked.approvalId}/approve`, {}));
  assert.equal((await boss.ok(boss.post(`/schemas/${asked.id}/approve`, {}))).state, "approved");

  const late = await register("stock", order({ count: { type: "string" } }), { submit: true });
  await released("stock", order({ count: { type: "number" }, size: { type: "number" } }));
  const refused = await boss.post(`/schemas/${late.id}/approve`, {});
  assert.deepEqual([refused.status, refused.json.code], [409, "approval_void"]);
  const resubmitted = await dev.ok(dev.post(`/schemas/${late.id}/submit`));
  assert.notEqual(resubmitted.approvalId, late.approvalId);
  assert.equal((await boss.ok(boss.post(`/schemas/${late.id}/approve`, {}))).state, "approved");
});

test("modes: what counts is what the subject, or the default, asks for", async () => {
  const operator = await server.as({ subject: "op", roles: ["operator"] });
  await released("modes", order({ a: { type: "string" } }));
  const widened = order({ a: { type: ["string", "null"] } });
  const verdictIn = async (compatibility: string) => {
    const set = await operator.ok(operator.put("/schema-subjects/modes", { compatibility }));
    assert.equal(set.effective, compatibility);
    const { compatibility: verdict } = await dev.ok(
      dev.post("/schemas/check", { subject: "modes", schema: widened }),
    );
    return verdict.compatible;
  };
  assert.equal(await verdictIn("backward"), true);
  assert.equal(await verdictIn("forward"), false);
  assert.equal(await verdictIn("full"), false);
  assert.equal(await verdictIn("none"), true);
  const rehearsed = await operator.ok(
    operator.put("/schema-subjects/modes?dryRun=true", { compatibility: "full_transitive" }),
  );
  assert.equal(rehearsed.compatibility, "full_transitive");
  assert.equal((await dev.ok(dev.get("/schema-subjects/modes"))).compatibility, "none");
  assert.equal((await dev.put("/schema-subjects/modes", { compatibility: "none" })).status, 403);
});

test("transitive modes look at all versions in force, plain ones at the latest", async () => {
  const operator = await server.as({ subject: "op", roles: ["operator"] });
  await operator.ok(operator.put("/schema-subjects/long", { compatibility: "none" }));
  await released("long", order({ a: { type: "string" } }));
  await released("long", order({ a: { type: "integer" } }));
  const check = async (compatibility: string) => {
    const body = { subject: "long", schema: order({ a: { type: "number" } }), compatibility };
    return (await dev.ok(dev.post("/schemas/check", body))).compatibility;
  };
  assert.equal((await check("backward")).compatible, true);
  const transitive = await check("backward_transitive");
  assert.equal(transitive.compatible, false);
  assert.deepEqual(
    transitive.checks.map(({ version, verdict }: Record<string, unknown>) => [version, verdict]),
    [
      [1, "incompatible"],
      [2, "compatible"],
    ],
  );
});

test("deprecated stays in force, retired does not, and nothing goes back", async () => {
  const first = await released("ends", order({}));
  const step = (name: string, body: unknown = {}) => dev.post(`/schemas/${first.id}/${name}`, body);
  assert.equal((await step("retire")).json.code, "schema_state_refused");
  assert.equal((await dev.ok(step("deprecate", { reason: "old" }))).state, "deprecated");
  assert.equal((await step("deprecate")).json.code, "schema_state_refused");
  const closed = { subject: "ends", schema: order({}, { required: ["id", "b"] }) };
  assert.equal((await dev.ok(dev.post("/schemas/check", closed))).compatibility.compatible, false);
  assert.equal((await dev.ok(step("retire"))).state, "retired");
  assert.equal((await dev.ok(dev.post("/schemas/check", closed))).compatibility.compatible, true);
  assert.deepEqual((await dev.ok(dev.get(`/schemas/${first.id}/usage`))).items, []);
});

test("a payload is validated with a pointer for each place", async () => {
  const { id } = await register("validate", order({ lines: { items: { required: ["sku"] } } }));
  const validate = (payload: unknown) => dev.ok(dev.post(`/schemas/${id}/validate`, { payload }));
  assert.deepEqual(await validate({ id: "1" }), { valid: true, errors: [] });
  const { valid, errors } = await validate({ id: 1, lines: [{}, { sku: 1 }], x: 1 });
  assert.equal(valid, false);
  assert.deepEqual(errors.map(({ pointer }: { pointer: string }) => pointer).sort(), [
    "/payload/id",
    "/payload/lines/0/sku",
    "/payload/x",
  ]);
});

test("the diff says what changed and what can break by it", async () => {
  await released("diffed", order({ a: { type: "string", title: "A" }, gone: true }));
  const second = await register("diffed", order({ a: { type: "string", title: "B", maxLength: 3 } }));
  const diff = await dev.ok(dev.get(`/schemas/${second.id}/diff`));
  assert.deepEqual(diff.changes, [
    { pointer: "/properties/a/title", kind: "changed", before: "A", after: "B", annotation: true },
    { pointer: "/properties/a/maxLength", kind: "added", after: 3, annotation: false },
    { pointer: "/properties/gone", kind: "removed", before: true, annotation: false },
  ]);
  assert.equal(diff.backward.verdict, "incompatible");
  assert.equal(diff.forward.verdict, "compatible");
  assert.equal((await dev.get(`/schemas/${second.id}/diff?from=9`)).status, 404);
});

test("lists are filtered and paged; tenants do not see one another", async () => {
  for (const a of ["string", "number", "boolean"]) await register("pages", order({ a: { type: a } }));
  const first = await dev.ok(dev.get("/schemas?subject=pages&limit=2"));
  const second = await dev.ok(dev.get(`/schemas?subject=pages&limit=2&cursor=${first.next}`));
  const versions = [...first.items, ...second.items].map(({ version }) => version);
  assert.deepEqual([versions, second.next], [[1, 2, 3], null]);
  assert.equal((await dev.ok(dev.get("/schemas?subject=pages&state=approved"))).items.length, 0);
  assert.equal((await dev.ok(dev.get("/schemas?subject=pages&version=2"))).items.length, 1);
  const stranger = await server.as({ tenant: "other" });
  assert.deepEqual((await stranger.ok(stranger.get("/schemas"))).items, []);
  assert.equal((await stranger.get(`/schemas/${first.items[0].id}`)).json.code, "schema_not_found");
  const theirs = await stranger.ok(stranger.post("/schemas", { subject: "pages", schema: {} }));
  assert.equal(theirs.version, 1);
});

test("a dry run answers as if, and keeps nothing", async () => {
  const body = { subject: "dry", schema: order({}), submit: true };
  const tried = await dev.ok(dev.post("/schemas?dryRun=true", body), 201);
  assert.deepEqual([tried.state, tried.version], ["approved", 1]);
  assert.deepEqual((await dev.ok(dev.get("/schemas?subject=dry"))).items, []);
});

test("a hostile schema is refused with a pointer, in time, and others go on meanwhile", async () => {
  const post = (schema: unknown) => dev.post("/schemas", { subject: "hostile", schema });
  const pointers = async (schema: unknown) => {
    const { status, json } = await post(schema);
    assert.deepEqual([status, json.code], [422, "schema_invalid"]);
    return json.errors.map(({ pointer }: { pointer: string }) => pointer);
  };
  assert.deepEqual(await pointers({ properties: { a: { pattern: "(?=a)b" } } }), [
    "/schema/properties/a/pattern",
  ]);
  assert.deepEqual(await pointers({ items: { $ref: "http://evil.example/x" } }), ["/schema/items/$ref"]);
  assert.deepEqual(await pointers({ $defs: { a: { $ref: "#/$defs/a" } } }), ["/schema/$defs/a"]);
  assert.equal((await post({ description: "x".repeat(400_000) })).json.code, "schema_invalid");
  assert.equal((await post({ description: "x".repeat(10 << 20) })).json.code, "body_too_large");
  let deep: object = {};
  for (let i = 0; i < 100; i++) deep = { not: deep };
  assert.equal((await post(deep)).json.code, "too_deep");
});
