import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ErrorCode } from "../../core/catalogue.ts";
import { ManualClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { idMaker } from "../../core/ids.ts";
import { systemRandom } from "../../core/random.ts";
import { loadMigrations } from "../../stores/sql/migrations.ts";
import type { AnyTx } from "../../stores/sql/port.ts";
import { testDatabase } from "../../stores/sql/testing.ts";
import { Audit, migrations as auditMigrations } from "../audit/index.ts";
import type { Principal } from "../auth/principal.ts";
import { testSecrets, testServer } from "../auth/testing.ts";
import { approvalRoutes } from "./approvals.routes.ts";
import { type ApprovalRequest, Approvals } from "./approvals.ts";
import { migrations } from "./index.ts";

const person = (subject: string, part: Partial<Principal> = {}): Principal => ({
  subject,
  tenant: "acme",
  roles: ["developer", "approver"],
  attributes: {},
  expiresAt: 0,
  ...part,
});
const ann = person("ann");
const bob = person("bob");
const deployment = { kind: "config.deploy", resource: "configs/shop", requestId: "r1" };
const content = { version: 7, share: 0.1 };

async function setUp(t: TestContext) {
  const database = await testDatabase([
    ...(await loadMigrations("audit", auditMigrations)),
    ...(await loadMigrations("approvals", migrations)),
  ]);
  const clock = new ManualClock();
  const audit = new Audit({ sql: database.sql, secrets: await testSecrets(t), clock });
  await audit.start();
  const approvals = new Approvals({ sql: database.sql, audit, clock, makeId: idMaker(clock, systemRandom) });
  t.after(async () => {
    await audit.stop();
    await database.close();
  });
  const inTenant = <Result>(work: (tx: AnyTx) => Promise<Result>) => database.sql.tenant("acme", work);
  const request = (part: Partial<ApprovalRequest> = {}) =>
    inTenant((tx) => approvals.request(tx, { ...deployment, principal: ann, content, ...part }));
  const decide = (id: string, decision: "approve" | "reject" = "approve", principal = bob) =>
    inTenant((tx) => approvals.decide(tx, { principal, id, decision, requestId: "r2" }));
  const consume = (what: unknown = content) =>
    inTenant((tx) => approvals.consume(tx, { ...deployment, principal: ann, content: what }));
  const stateOf = async (id: string) => (await approvals.get(ann, id)).state;
  const actions = async () => {
    const entries = await audit.newest("acme", {}, undefined, 100);
    return entries.map((entry) => `${entry.actor} ${entry.action}`).reverse();
  };
  return { ...database, clock, audit, approvals, inTenant, request, decide, consume, stateOf, actions };
}

const refusedWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(hasCode(error, code), `${error}`);
  return true;
};

test("asked, approved by somebody else, used once; each step is audited", async (t) => {
  const { request, decide, consume, actions } = await setUp(t);
  await assert.rejects(consume(), refusedWith("approval_required"));
  const asked = await request({ summary: "10 % of the shop" });
  assert.equal(asked.state, "pending");
  assert.equal(asked.expiresAt, "2023-11-15T22:13:20.000Z");
  await assert.rejects(consume(), refusedWith("approval_required"));
  await assert.rejects(decide(asked.id, "approve", ann), refusedWith("approval_self"));
  const approved = await decide(asked.id);
  assert.deepEqual([approved.state, approved.decidedBy], ["approved", "bob"]);
  await assert.rejects(decide(asked.id, "reject"), refusedWith("approval_void"));
  const used = await consume({ share: 0.1, version: 7 }); // the order of fields is not content
  assert.deepEqual([used.id, used.state], [asked.id, "used"]);
  await assert.rejects(consume(), refusedWith("approval_required"));
  assert.deepEqual(await actions(), ["ann approvals.request", "bob approvals.approve", "ann approvals.use"]);
});

test("what is done must be what was approved, to the letter", async (t) => {
  const { request, decide, consume } = await setUp(t);
  const { id } = await request();
  await decide(id);
  for (const other of [
    { version: 7, share: 0.2 },
    { version: "7", share: 0.1 },
    { ...content, more: null },
    null,
  ]) {
    await assert.rejects(consume(other), (error) => {
      assert.ok(hasCode(error, "approval_void"));
      assert.deepEqual(error.data, { approvalId: id });
      return true;
    });
  }
  assert.equal((await consume()).state, "used");
});

test("a use that is rolled back leaves the approval to be used", async (t) => {
  const { request, decide, consume, approvals, inTenant, stateOf } = await setUp(t);
  const { id } = await request();
  await decide(id);
  const failing = inTenant(async (tx) => {
    await approvals.consume(tx, { ...deployment, principal: ann, content });
    throw new Error("the deployment failed");
  });
  await assert.rejects(failing);
  assert.equal(await stateOf(id), "approved");
  await consume();
});

test("an edit voids: by asking for other content, or by the room that edits", async (t) => {
  const { request, decide, consume, approvals, inTenant, stateOf, actions } = await setUp(t);
  const first = await request();
  assert.equal((await request()).id, first.id, "asking again for the same is the same request");
  await decide(first.id);
  assert.equal((await request({ principal: bob })).id, first.id);
  const second = await request({ content: { version: 8 } });
  assert.equal(await stateOf(first.id), "void");
  await assert.rejects(consume(), refusedWith("approval_void"));
  await decide(second.id);
  const edit = (what: unknown) =>
    inTenant((tx) => approvals.invalidate(tx, { ...deployment, principal: ann, content: what }));
  await edit({ version: 8 });
  assert.equal(await stateOf(second.id), "approved");
  await edit({ version: 9 });
  await edit({ version: 8 });
  assert.equal(await stateOf(second.id), "void", "and going back does not revive it");
  await assert.rejects(consume({ version: 8 }), refusedWith("approval_void"));
  assert.equal((await actions()).filter((action) => action === "ann approvals.void").length, 2);
});

test("a request expires by time alone, and can be asked for anew", async (t) => {
  const { request, decide, consume, approvals, clock, stateOf, actions } = await setUp(t);
  const { id } = await request({ expiresInSeconds: 60 });
  await decide(id);
  clock.advance(60_000);
  assert.equal(await stateOf(id), "expired");
  await assert.rejects(consume(), refusedWith("approval_void"));
  const idsOf = async (state: "expired" | "approved" | "pending") =>
    (await approvals.newest("acme", { state }, undefined, 10)).map((approval) => approval.id);
  assert.deepEqual([await idsOf("expired"), await idsOf("approved")], [[id], []]);
  const again = await request();
  assert.notEqual(again.id, id);
  assert.deepEqual([await idsOf("expired"), await idsOf("pending")], [[id], [again.id]]);
  assert.ok((await actions()).includes("ann approvals.expire"));
});

test("at once: one open request, one decision, one use", async (t) => {
  const { request, decide, consume, approvals } = await setUp(t);
  const asked = await Promise.all(Array.from({ length: 8 }, () => request()));
  assert.equal(new Set(asked.map(({ id }) => id)).size, 1);
  const id = asked[0]!.id;
  const decisions = await Promise.allSettled([decide(id), decide(id, "approve", person("cem")), decide(id)]);
  assert.equal(decisions.filter(({ status }) => status === "fulfilled").length, 1);
  const uses = await Promise.allSettled(Array.from({ length: 6 }, () => consume()));
  assert.equal(uses.filter(({ status }) => status === "fulfilled").length, 1);

  const contents = Array.from({ length: 6 }, (_, version) => request({ content: { version } }));
  await Promise.all(contents);
  assert.equal((await approvals.newest("acme", { state: "pending" }, undefined, 100)).length, 1);
  assert.equal((await approvals.newest("acme", { state: "void" }, undefined, 100)).length, 5);
});

test("an approver whose token is restricted decides within their environment only", async (t) => {
  const { request, decide, stateOf } = await setUp(t);
  const staging = person("eve", { attributes: { environment: "staging" } });
  const production = await request({ environment: "production" });
  await assert.rejects(decide(production.id, "approve", staging), refusedWith("permission_denied"));
  const anywhere = await request({ resource: "configs/other" });
  await assert.rejects(decide(anywhere.id, "approve", staging), refusedWith("permission_denied"));
  const test = await request({ resource: "configs/test", environment: "staging" });
  await decide(test.id, "approve", staging);
  assert.equal(await stateOf(test.id), "approved");
  await assert.rejects(
    decide(production.id, "approve", person("dev", { roles: ["developer"] })),
    refusedWith("permission_denied"),
  );
});

test("the routes: ask, look, decide; within the tenant and its rules", async (t) => {
  const { approvals, sql, clock } = await setUp(t);
  const call = await testServer(t, approvalRoutes(approvals, sql), { clock });
  const asBob = { subject: "bob", roles: ["approver" as const] };
  const body = { kind: "config.deploy", resource: "configs/shop", content, summary: "please" };
  const asked = await call("POST", "/api/v1/approvals", { body });
  assert.equal(asked.status, 201, asked.text);
  const path = `/api/v1/approvals/${asked.json.id}`;
  assert.equal(asked.headers.get("location"), path);
  assert.deepEqual((await call("GET", path)).json, asked.json);

  const codeOf = async (...args: Parameters<typeof call>) => (await call(...args)).json.code;
  assert.equal(await codeOf("POST", `${path}/approve`, { body: {} }), "approval_self");
  assert.equal(
    await codeOf("POST", `${path}/approve`, { body: {}, roles: ["developer"] }),
    "permission_denied",
  );
  assert.equal(
    await codeOf("POST", `${path}/approve`, { body: {}, ...asBob, tenant: "globex" }),
    "not_found",
  );
  assert.equal(await codeOf("GET", path, { tenant: "globex" }), "not_found");
  assert.equal(await codeOf("POST", `${path}/reject`, { body: {}, ...asBob }), "validation_failed");
  assert.equal(
    await codeOf("POST", "/api/v1/approvals/x/approve", { body: {}, ...asBob }),
    "validation_failed",
  );
  assert.equal(
    await codeOf("POST", "/api/v1/approvals", { body: { ...body, kind: "../x" } }),
    "validation_failed",
  );
  assert.equal(
    await codeOf("POST", "/api/v1/approvals", { body: { ...body, by: "ann" } }),
    "validation_failed",
  );
  const { content: _, ...withoutContent } = body;
  assert.equal(await codeOf("POST", "/api/v1/approvals", { body: withoutContent }), "validation_failed");

  const rejected = await call("POST", `${path}/reject`, { body: { reason: "Not on a Friday." }, ...asBob });
  assert.deepEqual(
    [rejected.status, rejected.json.state, rejected.json.reason],
    [200, "rejected", "Not on a Friday."],
  );
  for (let version = 1; version <= 4; version++) {
    await call("POST", "/api/v1/approvals", { body: { ...body, content: { version } } });
  }
  const first = await call("GET", "/api/v1/approvals?limit=3");
  assert.deepEqual(
    first.json.items.map((item: { state: string }) => item.state),
    ["pending", "void", "void"],
  );
  assert.ok(!("content" in first.json.items[0]));
  const second = await call("GET", `/api/v1/approvals?limit=3&cursor=${first.json.next}`);
  assert.deepEqual(
    second.json.items.map((item: { state: string }) => item.state),
    ["void", "rejected"],
  );
  assert.equal(second.json.next, null);
  assert.equal((await call("GET", "/api/v1/approvals?state=rejected")).json.items.length, 1);
  assert.equal(await codeOf("GET", "/api/v1/approvals?cursor=WyJhIl0"), "cursor_invalid");
});
