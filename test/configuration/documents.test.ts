/** What documents go through: schemas, secrets, drafts, promotion, history and blame, import and export, approval. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { assertRefused } from "../messaging/calls.ts";
import { type Caller, TestServer } from "../server.ts";

interface Notice {
  type: string;
  data: Record<string, unknown>;
}

let server: TestServer;
let ann: Caller;
let heard: (notice: Notice) => void = () => {};
const receiver = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => {
    heard(JSON.parse(body));
    response.end();
  });
});
before(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as { port: number };
  server = await TestServer.start();
  const secret = `whsec_${Buffer.alloc(32).toString("base64")}`;
  const settings = { approvals: { webhookUrl: `http://127.0.0.1:${port}/`, webhookSecret: secret } };
  await writeFile(`${server.data}/hotswap.yaml`, JSON.stringify(settings));
  await server.restart();
  ann = await server.as();
});
after(async () => {
  await server?.remove();
  receiver.close();
});

const create = (name: string, more: object = {}) =>
  ann.ok(
    ann.post("/configs", { name, service: "checkout", environment: "staging", format: "yaml", ...more }),
    201,
  );
const post = (name: string, text: string, more: object = {}) =>
  ann.post(`/configs/${name}/versions`, { text, ...more });
const make = (name: string, text: string, more: object = {}) => ann.ok(post(name, text, more), 201);

async function approvedSchema(subject: string, schema: object) {
  await ann.ok(ann.post("/schemas", { subject, schema, submit: true }), 201);
}

test("a version must fit the schema; what does not is named by pointer, line and column", async () => {
  const limits = { type: "object", properties: { max: { type: "integer" } }, required: ["max"] };
  await approvedSchema("limits", { type: "object", properties: { limits } });
  const given = await create("bound", { schema: { subject: "limits" } });
  assert.deepEqual(given.schema, { subject: "limits", version: null });
  const made = await make("bound", "limits:\n  max: 3\n");
  assert.deepEqual(made.schema, { subject: "limits", version: 1 });
  const refused = await post("bound", "# all\nlimits:\n  max: many\n");
  const problem = assertRefused(refused, 422, "config_schema_violated");
  assert.deepEqual(problem.errors, [
    { pointer: "/limits/max", message: "must be integer (line 3, column 3)" },
  ]);
  const missing = await post("bound", "limits: {}\n");
  assert.deepEqual(missing.json.errors, [
    { pointer: "/limits/max", message: "is required (line 1, column 1)" },
  ]);
  const unknown = { name: "x", service: "s", environment: "e", format: "json", schema: { subject: "none" } };
  const nowhere = assertRefused(await ann.post("/configs", unknown), 400, "validation_failed");
  assert.equal(nowhere.errors?.[0]?.pointer, "/schema/subject");

  const { items } = await ann.ok(ann.get("/schemas?subject=limits"));
  const usage = await ann.ok(ann.get(`/schemas/${items[0].id}/usage`));
  assert.deepEqual(usage.items, [{ kind: "config", name: "bound", of: null, version: null }]);
});

test("secrets are set and named and never come back; what refers to none is refused", async () => {
  await create("hidden");
  const refused = await post("hidden", "db:\n  password: {$secret: db-password}\n");
  const problem = assertRefused(refused, 422, "config_secret_unknown");
  assert.equal(problem.errors?.[0]?.pointer, "/db/password");
  const operator = await server.as({ roles: ["operator"] });
  const developer = await server.as({ roles: ["developer"] });
  const value = "swordfish-7";
  assertRefused(await developer.put("/secrets/db-password", { value }), 403, "permission_denied");
  const set = await operator.put("/secrets/db-password", { value });
  assert.deepEqual([set.status, set.json.revision], [200, 1]);
  await operator.ok(operator.put("/secrets/host", { value: "db.internal" }));

  const text = `db:\n  password: {$secret: db-password}\n  url: postgres://\${secret:host}/shop\n`;
  const made = await make("hidden", text);
  assert.deepEqual(made.secrets, ["db-password", "host"]);
  assert.deepEqual(made.warnings, []);
  await make("hidden", `${text}  pool: 3\n`);
  for (const path of [
    "/secrets",
    "/configs/hidden/versions/1",
    "/configs/hidden/versions/1/diff/2",
    "/configs/export",
  ])
    assert.doesNotMatch((await ann.get(path)).text, /swordfish|db\.internal/, path);
  assert.doesNotMatch((await ann.get("/audit?limit=1000")).text, /swordfish/);
  assert.deepEqual(
    (await ann.ok(ann.get("/secrets"))).items.map(({ name }: { name: string }) => name),
    ["db-password", "host"],
  );

  assertRefused(await ann.delete("/secrets/host"), 409, "secret_in_use");
  assert.equal((await ann.delete("/secrets/host?force=true")).status, 204);
  assertRefused(await ann.delete("/secrets/host"), 404, "secret_not_found");
  assertRefused(await post("hidden", "a: {$secret: db-password, more: 1}"), 422, "config_invalid");
  assertRefused(await post("hidden", "a: {$secret: 7}"), 422, "config_invalid");
});

test("a schema sees the value of a secret, and never tells it", async () => {
  await approvedSchema("keyed", { type: "object", properties: { key: { type: "string", minLength: 12 } } });
  await create("keyed", { schema: { subject: "keyed" } });
  await ann.ok(ann.put("/secrets/short", { value: "hunter2" }));
  await ann.ok(ann.put("/secrets/long", { value: "correct-horse-battery" }));
  const refused = await post("keyed", "key: {$secret: short}");
  assertRefused(refused, 422, "config_schema_violated");
  assert.doesNotMatch(refused.text, /hunter2/);
  await make("keyed", "key: {$secret: long}");
  await make("keyed", `key: prefix-\${secret:short}`);
});

test("a draft is kept valid or not, is one's own, and becomes a version only of the newest", async () => {
  await create("drafted");
  await make("drafted", "a: 1");
  assertRefused(await ann.get("/configs/drafted/draft"), 404, "config_draft_not_found");
  const saved = await ann.ok(ann.put("/configs/drafted/draft", { text: "a: [1" }));
  assert.deepEqual([saved.parent, saved.revision, saved.changes], [1, 1, null]);
  assert.equal(saved.mistakes.length, 1);
  const publish = () => ann.post("/configs/drafted/draft/publish", { note: "done" });
  assertRefused(await publish(), 422, "config_invalid");
  const better = await ann.ok(ann.put("/configs/drafted/draft", { text: "a: 2" }));
  assert.deepEqual(better.mistakes, []);
  assert.deepEqual(better.changes, [{ kind: "changed", pointer: "/a", label: "a", before: 1, after: 2 }]);
  const stale = await ann.put("/configs/drafted/draft", { text: "a: 3" }, { headers: { "if-match": '"1"' } });
  assertRefused(stale, 412, "etag_mismatch");

  const bob = await server.as({ subject: "bob" });
  assertRefused(await bob.get("/configs/drafted/draft"), 404, "config_draft_not_found");
  await bob.ok(bob.post("/configs/drafted/versions", { text: "a: 7" }), 201);
  assertRefused(await publish(), 409, "config_conflict");
  assert.equal((await ann.delete("/configs/drafted/draft")).status, 204);
  await ann.ok(ann.put("/configs/drafted/draft", { text: "a: 8" }));
  assert.deepEqual(
    (await bob.ok(bob.get("/configs/drafted/drafts"))).items.map(({ author }: { author: string }) => author),
    ["ann"],
  );
  const made = await ann.ok(publish(), 201);
  assert.deepEqual([made.version, made.note, made.parent], [3, "done", 2]);
  assertRefused(await ann.get("/configs/drafted/draft"), 404, "config_draft_not_found");
});

test("a version is promoted through the environments, with where it came from", async () => {
  await create("shop-dev", { environment: "development", service: "shop" });
  await create("shop-prod", { environment: "production", service: "shop" });
  await create("shop-json", { environment: "production", service: "shop", format: "json" });
  await create("bill-prod", { environment: "production", service: "bill" });
  await make("shop-dev", "# kept\na: 1");
  const second = await make("shop-dev", "# kept\na: 2");
  const promote = (to: string, more: object = {}) => ann.post("/configs/shop-dev/promote", { to, ...more });
  const done = await ann.ok(promote("shop-prod"), 201);
  assert.deepEqual([done.config, done.version, done.hash], ["shop-prod", 1, second.hash]);
  assert.deepEqual(done.origin, { config: "shop-dev", version: 2, hash: second.hash });
  assert.equal(done.note, "Promoted from shop-dev version 2");
  assert.equal((await ann.ok(ann.get("/configs/shop-prod/versions/1"))).text, "# kept\na: 2");
  const older = await ann.ok(promote("shop-prod", { version: 1, note: "back" }), 201);
  assert.deepEqual([older.version, older.origin.version, older.note], [2, 1, "back"]);
  for (const to of ["shop-dev", "shop-json", "bill-prod"])
    assertRefused(await promote(to), 409, "config_promotion_refused");
  assertRefused(await promote("none"), 404, "config_not_found");
  assertRefused(await promote("shop-prod", { version: 9 }), 404, "config_version_not_found");
  const { items } = await ann.ok(ann.get("/configs/shop-prod/history"));
  assert.deepEqual(
    items.map(({ type, version }: { type: string; version: number }) => `${type} ${version}`),
    ["promoted 2", "promoted 1"],
  );
});

test("history and blame say who brought what", async () => {
  await create("traced");
  await make("traced", "limits: {a: 1, b: 1}", { note: "begin" });
  const bob = await server.as({ subject: "bob" });
  await bob.ok(bob.post("/configs/traced/versions", { text: "limits: {a: 1, b: 2}", note: "more b" }), 201);
  await make("traced", "limits: {a: 1, b: 2}\nc: 3", { note: "c" });
  const { items } = await ann.ok(ann.get("/configs/traced/versions/3/blame"));
  assert.deepEqual(
    items.map((item: Record<string, unknown>) => [item.pointer, item.version, item.author, item.note]),
    [
      ["/c", 3, "ann", "c"],
      ["/limits/a", 1, "ann", "begin"],
      ["/limits/b", 2, "bob", "more b"],
    ],
  );
  const first = await ann.ok(ann.get("/configs/traced/history?limit=2"));
  assert.deepEqual(
    first.items.map(({ version, author }: { version: number; author: string }) => [version, author]),
    [
      [3, "ann"],
      [2, "bob"],
    ],
  );
  const rest = await ann.ok(ann.get(`/configs/traced/history?limit=2&cursor=${first.next}`));
  assert.deepEqual([rest.items.length, rest.items[0].version, rest.next], [1, 1, null]);
});

test("what is exported can be imported, is shown before, and all of it is taken or none", async () => {
  const from = await server.as({ tenant: "from" });
  const to = await server.as({ tenant: "to" });
  const one = { name: "one", service: "s", environment: "staging", format: "toml", labels: { team: "a" } };
  await from.ok(from.post("/configs", one), 201);
  await from.ok(from.post("/configs/one/versions", { text: "# one\na = 1\n" }), 201);
  await from.ok(from.post("/configs", { ...one, name: "two", environment: "production" }), 201);
  const { items: configs, next } = await from.ok(from.get("/configs/export?service=s"));
  assert.deepEqual(
    [configs.length, next, configs[0].text, configs[1].text],
    [2, null, "# one\na = 1\n", null],
  );
  assert.equal((await from.ok(from.get("/configs/export?environment=production"))).items.length, 1);

  const tried = await to.ok(to.post("/configs/import?dryRun=true", { configs }));
  assert.deepEqual([tried.dryRun, tried.created, tried.unchanged], [true, ["one", "two"], 0]);
  assert.deepEqual((await to.ok(to.get("/configs"))).items, []);
  await to.ok(to.post("/configs/import", { configs, note: "moved" }));
  const there = await to.ok(to.get("/configs/one/versions/1"));
  assert.deepEqual([there.text, there.note, there.hash], ["# one\na = 1\n", "moved", configs[0].hash]);
  const again = await to.ok(to.post("/configs/import", { configs }));
  assert.deepEqual([again.created, again.changed, again.unchanged], [[], [], 2]);

  const edited = [
    { ...configs[0], text: "a = 2\n" },
    { ...configs[1], text: "b = \n" },
  ];
  const problem = assertRefused(
    await to.post("/configs/import", { configs: edited }),
    422,
    "config_import_invalid",
  );
  assert.equal(problem.errors?.[0]?.pointer, "/configs/1/text");
  const moved = [{ ...configs[0], environment: "production" }];
  const fixed = assertRefused(
    await to.post("/configs/import", { configs: moved }),
    422,
    "config_import_invalid",
  );
  assert.equal(fixed.errors?.[0]?.pointer, "/configs/0/environment");
  const diff = await to.ok(to.post("/configs/import?dryRun=true", { configs: [edited[0]] }));
  assert.deepEqual(diff.changed, [
    {
      name: "one",
      version: 2,
      changes: [{ kind: "changed", pointer: "/a", label: "a", before: 1, after: 2 }],
    },
  ]);
  assert.equal((await to.ok(to.get("/configs/one"))).latestVersion, 1);
});

test("whoever listens is told how a deployment began and ended, by the signed webhook", async () => {
  await create("told-too");
  await make("told-too", "a: 1");
  const told: Notice[] = [];
  const ended = new Promise<void>((resolve) => {
    heard = (one) => {
      if (one.data.target !== "told-too") return;
      told.push(one);
      if (told.length === 2) resolve();
    };
  });
  const body = { kind: "config", config: "told-too", version: 1, strategy: "direct", probeSeconds: 0.1 };
  const { id } = await ann.ok(ann.post("/deployments", body), 201);
  await ended;
  const by = (type: string) => told.find((one) => one.type === type)!.data;
  assert.equal(by("deployment.started").deployment, id);
  assert.deepEqual([by("deployment.ended").deployment, by("deployment.ended").status], [id, "succeeded"]);
});

test("whoever listens is told of a new version, by the signed webhook", async () => {
  await create("told", { environment: "production" });
  const notice = new Promise<Notice>((resolve) => {
    heard = (one) => one.data.config === "told" && resolve(one);
  });
  const made = await make("told", "a: 1", { note: "hello" });
  const { type, data } = await notice;
  assert.equal(type, "config.version.created");
  assert.deepEqual(data, {
    ...{ tenant: "acme", config: "told", service: "checkout", environment: "production", version: 1 },
    ...{ hash: made.hash, author: "ann", note: "hello", origin: null },
  });
});

test("production needs an approval, which counts for one version by its hash: an edit loses it", async () => {
  const made = await create("live", { environment: "production" });
  assert.equal(made.needsApproval, true);
  assert.equal((await create("lab", { environment: "staging" })).needsApproval, false);
  const first = await make("live", "a: 1");
  const contentOf = ({ config, version, hash }: typeof first) => ({ config, version, hash });
  const request = (content: unknown) =>
    ann.ok(ann.post("/approvals", { kind: "config.deploy", resource: "configs/live", content }), 201);
  const asked = await request(contentOf(first));
  const bob = await server.as({ subject: "bob" });
  await bob.ok(bob.post(`/approvals/${asked.id}/approve`, {}));

  const edited = await make("live", "a: 2");
  assert.notEqual(edited.hash, first.hash);
  const again = await request(contentOf(edited));
  assert.notEqual(again.id, asked.id);
  assert.equal(again.state, "pending");
  assert.equal((await ann.ok(ann.get(`/approvals/${asked.id}`))).state, "void");
  const own = await ann.post(`/approvals/${again.id}/approve`, {});
  assertRefused(own, 403, "approval_self");
  const unchanged = await ann.ok(ann.get("/configs/live/versions/1"));
  assert.equal(unchanged.hash, first.hash, "what was approved can no longer be edited at all");
});

test("metrics count configurations and versions", async () => {
  const pat = await server.as({ tenant: "counted" });
  const one = { name: "one", service: "s", environment: "qa", format: "json" };
  await pat.ok(pat.post("/configs", one), 201);
  await pat.ok(pat.post("/configs/one/versions", { text: "{}" }), 201);
  await pat.ok(pat.post("/configs/one/versions", { text: "{}" }), 201);
  const { text } = await ann.get("//metrics");
  assert.match(text, /^config_profiles\{tenant="counted"\} 1$/m);
  assert.match(text, /^config_versions_total\{tenant="counted",environment="qa"\} 1$/m);
});
