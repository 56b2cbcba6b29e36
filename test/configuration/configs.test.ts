/** Configurations and versions over HTTP: their life, what is refused, and who may do what. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { assertRefused, walk } from "../messaging/calls.ts";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start({ "configuration-configs-max": "30", "configuration-versions-max": "12" });
  ann = await server.as();
});
after(() => server?.remove());

const config = (name: string, more: object = {}) => ({
  ...{ name, service: "checkout", environment: "staging", format: "yaml" },
  ...more,
});
const make = (name: string, text: string, more: object = {}) =>
  ann.post(`/configs/${name}/versions`, { text, ...more });

test("a configuration is created, read, listed, changed and deleted", async () => {
  const pat = await server.as({ tenant: "life" });
  const created = await pat.post(
    "/configs",
    config("limits", { description: "How much", labels: { team: "pay" } }),
  );
  assert.equal(created.status, 201, created.text);
  assert.equal(created.headers.get("etag"), '"1"');
  const { createdAt, updatedAt, ...values } = created.json;
  assert.deepEqual(values, {
    ...config("limits", { description: "How much", labels: { team: "pay" } }),
    ...{ schema: null, currentVersion: null, latestVersion: null, needsApproval: false, revision: 1 },
  });
  assert.deepEqual((await pat.get("/configs/limits")).json, created.json);
  assertRefused(await pat.post("/configs", config("limits")), 409, "config_exists");

  const stale = { headers: { "if-match": '"7"' } };
  assertRefused(await pat.put("/configs/limits", { description: "x" }), 428, "if_match_required");
  assertRefused(await pat.put("/configs/limits", { description: "x" }, stale), 412, "etag_mismatch");
  const changed = await pat.put("/configs/limits", { description: "x" }, { headers: { "if-match": '"1"' } });
  assert.deepEqual(
    [changed.json.description, changed.json.labels, changed.json.revision],
    ["x", { team: "pay" }, 2],
  );
  const fixed = await pat.put(
    "/configs/limits",
    { environment: "production" },
    { headers: { "if-match": "*" } },
  );
  assertRefused(fixed, 400, "validation_failed");

  assert.equal((await pat.delete("/configs/limits")).status, 204);
  assertRefused(await pat.get("/configs/limits"), 404, "config_not_found");
});

test("lists are filtered and paged", async () => {
  const pat = await server.as({ tenant: "lists" });
  for (const [name, service, environment] of [
    ["a", "shop", "staging"],
    ["b", "shop", "production"],
    ["c", "bill", "production"],
    ["d_1", "bill", "edge-7"],
  ])
    await pat.ok(
      pat.post("/configs", config(name!, { service, environment, description: `the ${name}` })),
      201,
    );
  const names = async (query: string) =>
    (await walk(pat, `/configs?${query}`, 2)).map(({ name }) => name).join();
  assert.equal(await names(""), "a,b,c,d_1");
  assert.equal(await names("service=shop"), "a,b");
  assert.equal(await names("environment=production"), "b,c");
  assert.equal(await names("service=bill&environment=edge-7"), "d_1");
  assert.equal(await names("text=THE%20b"), "b");
  assert.equal(await names("text=_"), "d_1", "what is sought is a text and not a pattern");
  const other = await server.as({ tenant: "elsewhere" });
  assert.deepEqual((await other.get("/configs")).json.items, []);
});

test("a version keeps its text, has a canonical hash, and is the same for the same content", async () => {
  await ann.ok(ann.post("/configs", config("hashed")), 201);
  const text = "# how many\nlimits:\n  b: 2   # two\n  a: 1\n";
  const first = await make("hashed", text, { note: "first" });
  assert.equal(first.status, 201, first.text);
  const canonical = '{"limits":{"a":1,"b":2}}';
  assert.equal(first.json.hash, createHash("sha256").update(canonical).digest("hex"));
  assert.deepEqual([first.json.version, first.json.created, first.json.parent], [1, true, null]);
  const read = await ann.ok(ann.get("/configs/hashed/versions/1"));
  assert.equal(read.text, text);
  assert.deepEqual(read.value, { limits: { a: 1, b: 2 } });
  assert.deepEqual([read.note, read.author, read.current], ["first", "ann", false]);

  const same = await ann.ok(make("hashed", "limits: {a: 1.0, b: 2}"), 201);
  assert.deepEqual([same.version, same.created, same.hash], [1, false, first.json.hash]);
  const second = await ann.ok(make("hashed", "limits: {a: 1, b: 3}"), 201);
  assert.deepEqual([second.version, second.parent, second.created], [2, 1, true]);
  const listed = await walk(ann, "/configs/hashed/versions", 1);
  assert.deepEqual(
    listed.map(({ version }) => version),
    [2, 1],
  );
  assert.equal((await ann.ok(ann.get("/configs/hashed"))).latestVersion, 2);
});

test("a version that was made from an older one is refused when it says so", async () => {
  await ann.ok(ann.post("/configs", config("raced")), 201);
  await ann.ok(make("raced", "a: 1", { parent: 0 }), 201);
  const late = await make("raced", "a: 2", { parent: 0 });
  assertRefused(late, 409, "config_conflict");
  assert.deepEqual(late.json.data, { version: 1 });
  await ann.ok(make("raced", "a: 2", { parent: 1 }), 201);
});

test("a dry run answers the same and keeps nothing", async () => {
  await ann.ok(ann.post("/configs", config("tried")), 201);
  const tried = await ann.ok(ann.post("/configs/tried/versions?dryRun=true", { text: "a: 1" }), 201);
  assert.equal(tried.version, 1);
  assertRefused(await ann.get("/configs/tried/versions/1"), 404, "config_version_not_found");
  assertRefused(
    await ann.post("/configs/tried/versions?dryRun=true", { text: "a: [" }),
    422,
    "config_invalid",
  );
});

test("what cannot be read is refused with pointer, line and column", async () => {
  await ann.ok(ann.post("/configs", config("typed")), 201);
  await ann.ok(ann.post("/configs", config("strict", { format: "json" })), 201);
  const duplicate = await make("strict", '{\n  "a": 1,\n  "b": {"c": 1, "c": 2}\n}');
  const problem = assertRefused(duplicate, 422, "config_invalid");
  assert.deepEqual(problem.errors, [{ pointer: "/b/c", message: "is there twice (line 3, column 17)" }]);
  assert.deepEqual(duplicate.json.data, { places: [{ pointer: "/b/c", line: 3, column: 17 }] });
  assertRefused(await make("typed", "just text"), 422, "config_invalid");
  assertRefused(await make("typed", "a: 9007199254740993"), 422, "config_invalid");
  const large = await make("typed", `a: ${"x".repeat(256 * 1024)}`);
  assertRefused(large, 413, "config_too_large");
});

test("the difference between versions is a patch and a list for people, without secrets", async () => {
  await ann.ok(ann.post("/configs", config("compared", { format: "json" })), 201);
  const before = {
    servers: [
      { id: "eu", port: 80 },
      { id: "us", port: 80 },
    ],
    login: { password: "one" },
  };
  const after = {
    servers: [
      { id: "us", port: 81 },
      { id: "eu", port: 80 },
    ],
    login: { password: "two" },
    on: true,
  };
  await ann.ok(make("compared", JSON.stringify(before)), 201);
  const made = await ann.ok(make("compared", JSON.stringify(after)), 201);
  assert.deepEqual(made.warnings, [
    { pointer: "/login/password", message: "looks like a secret; set it as one and refer to it" },
  ]);
  const diff = await ann.get("/configs/compared/versions/1/diff/2");
  assert.doesNotMatch(diff.text, /one|two/);
  assert.deepEqual(diff.json.patch, [
    { op: "replace", path: "/login/password", value: "[masked]" },
    { op: "add", path: "/on", value: true },
    { op: "move", from: "/servers/1", path: "/servers/0" },
    { op: "replace", path: "/servers/0/port", value: 81 },
  ]);
  assert.deepEqual(
    diff.json.changes.map(({ kind, label }: { kind: string; label: string }) => `${kind} ${label}`),
    ["changed login.password", "added on", "moved servers[us]", "changed servers[us].port"],
  );
});

test("deletion is of the admin alone, and never of what is in force", async () => {
  await ann.ok(ann.post("/configs", config("kept")), 201);
  await ann.ok(make("kept", "a: 1"), 201);
  await ann.ok(make("kept", "a: 2"), 201);
  const developer = await server.as({ roles: ["developer"] });
  assertRefused(await developer.delete("/configs/kept/versions/1"), 403, "permission_denied");
  assertRefused(await developer.delete("/configs/kept"), 403, "permission_denied");
  assert.equal((await ann.delete("/configs/kept/versions/1")).status, 204);
  assertRefused(await ann.get("/configs/kept/versions/1"), 404, "config_version_not_found");
  assert.equal((await ann.ok(ann.get("/configs/kept/versions/2"))).parent, null, "its child has its parent");
  const again = await ann.ok(make("kept", "a: 1"), 201);
  assert.equal(again.version, 3, "a number is never used twice");
  assert.equal((await ann.delete("/configs/kept/versions/3")).status, 204);
  assert.equal((await ann.ok(ann.get("/configs/kept"))).latestVersion, 2);
  const last = await ann.ok(make("kept", "a: 4", { parent: 2 }), 201);
  assert.deepEqual([last.version, last.parent], [4, 2]);
});

test("a token for one environment sees and changes only that", async () => {
  const admin = await server.as({ tenant: "rings" });
  await admin.ok(admin.post("/configs", config("one", { environment: "staging" })), 201);
  await admin.ok(admin.post("/configs", config("two", { environment: "production" })), 201);
  const staging = await server.as({ tenant: "rings", attributes: { environment: "staging" } });
  const { items } = await staging.ok(staging.get("/configs"));
  assert.deepEqual(
    items.map(({ name }: { name: string }) => name),
    ["one"],
  );
  assertRefused(await staging.get("/configs/two"), 403, "permission_denied");
  assertRefused(await staging.post("/configs/two/versions", { text: "a: 1" }), 403, "permission_denied");
  assertRefused(await staging.post("/configs", config("x", { environment: "qa" })), 403, "permission_denied");
  await staging.ok(staging.post("/configs/one/versions", { text: "a: 1" }), 201);
});

test("limits of configurations and versions are said", async () => {
  const pat = await server.as({ tenant: "full" });
  for (let n = 0; n < 30; n++) await pat.ok(pat.post("/configs", config(`c${n}`)), 201);
  assertRefused(await pat.post("/configs", config("more")), 409, "configs_full");
  for (let n = 0; n < 12; n++) await pat.ok(pat.post("/configs/c0/versions", { text: `a: ${n}` }), 201);
  assertRefused(await pat.post("/configs/c0/versions", { text: "a: more" }), 409, "config_versions_full");
});
