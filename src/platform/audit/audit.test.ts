import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { ManualClock } from "../../core/clock.ts";
import { loadMigrations } from "../../stores/sql/migrations.ts";
import type { AnyTx } from "../../stores/sql/port.ts";
import { testDatabase } from "../../stores/sql/testing.ts";
import { testSecrets, testServer } from "../auth/testing.ts";
import { auditRoutes } from "./audit.routes.ts";
import type { AuditTables } from "./audit.sql.ts";
import { Audit, type AuditOptions, type Change } from "./audit.ts";
import { type AuditEntry, checkpointKeys } from "./chain.ts";
import { exportLines } from "./export.ts";
import { migrations } from "./index.ts";
import { verifyExport } from "./verify.ts";

const ann = { subject: "ann", tenant: "acme" };
const change = (part: Partial<Change> = {}): Change => ({
  principal: ann,
  action: "topics.create",
  resource: "topics/orders",
  requestId: "r1",
  ...part,
});

async function setUp(t: TestContext, options: Partial<AuditOptions> = {}) {
  const database = await testDatabase(await loadMigrations("audit", migrations));
  const clock = new ManualClock();
  const secrets = await testSecrets(t);
  const audit = new Audit({ sql: database.sql, secrets, clock, ...options });
  await audit.start();
  t.after(async () => {
    await audit.stop();
    await database.close();
  });
  const record = (part?: Partial<Change>) =>
    database.sql.tenant("acme", (tx: AnyTx) => audit.record(tx, change(part)));
  const all = (tenant = "acme") => audit.newest(tenant, {}, undefined, 1000);
  const verify = (tenant = "acme") =>
    verifyExport(exportLines(audit, tenant), { keys: checkpointKeys(audit.keys) });
  const checkpoints = async () => {
    const { checkpoints: found } = await audit.range("acme", 0, 1_000_000);
    return found.map((checkpoint) => checkpoint.seq);
  };
  return { ...database, clock, secrets, audit, record, all, verify, checkpoints };
}

test("an entry is written with its change, or not at all", async (t) => {
  const { sql: store, audit, all, record } = await setUp(t);
  await record({ detail: { partitions: 3 }, before: { partitions: 1 }, after: { partitions: 3 } });
  const failing = store.tenant("acme", async (tx: AnyTx) => {
    await audit.record(tx, change({ resource: "topics/never" }));
    throw new Error("the change failed");
  });
  await assert.rejects(failing, /the change failed/);
  const [entry, ...others] = await all();
  assert.equal(others.length, 0);
  assert.equal(entry?.seq, 1);
  assert.equal(entry?.at, "2023-11-14T22:13:20.000Z");
  assert.deepEqual(entry?.detail, { partitions: 3 });
  assert.match(entry?.before ?? "", /^[0-9a-f]{64}$/);
  assert.notEqual(entry?.before, entry?.after);
});

test("a failing entry takes the change with it", async (t) => {
  const { sql: store, audit, all } = await setUp(t);
  const work = store.tenant("acme", (tx: AnyTx) => audit.record(tx, change({ action: "a\0b" })));
  await assert.rejects(work);
  // Row-level security: an entry for somebody else's tenant is refused.
  const other = store.tenant("acme", (tx: AnyTx) =>
    audit.record(tx, change({ principal: { ...ann, tenant: "other" } })),
  );
  await assert.rejects(other, /row-level security/);
  assert.deepEqual(await all(), []);
});

test("changes at once make one chain without gaps, for several tenants at the same time", async (t) => {
  const { sql: store, audit, all, verify } = await setUp(t, { checkpointEvery: 7 });
  const tenants = ["acme", "globex"];
  const work = Array.from({ length: 60 }, (_, index) => {
    const tenant = tenants[index % 2]!;
    return store.tenant(tenant, async (tx: AnyTx) => {
      for (let i = 0; i <= index % 3; i++) {
        await audit.record(
          tx,
          change({ principal: { subject: "ann", tenant }, resource: `topics/t${index}.${i}` }),
        );
      }
    });
  });
  await Promise.all(work);
  const pending = await store.system((tx: AnyTx) => tx.selectFrom("audit_pending").selectAll().execute());
  assert.deepEqual(pending, []);
  for (const tenant of tenants) {
    const seqs = (await all(tenant)).map((entry) => entry.seq).reverse();
    assert.deepEqual(
      seqs,
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
    const report = await verify(tenant);
    assert.deepEqual(report, { ok: true, tenant, entries: 60, signedUpTo: 60, keyTrusted: true });
  }
});

test("a transaction for several tenants writes to the chain of each", async (t) => {
  const { sql: store, audit, all } = await setUp(t);
  await store.system(async (tx: AnyTx) => {
    for (const tenant of ["b", "a", "b"])
      await audit.record(tx, change({ principal: { subject: "system:sweep", tenant } }));
  });
  assert.deepEqual([(await all("a")).length, (await all("b")).length], [1, 2]);
});

test("more entries than one statement holds", async (t) => {
  const { sql: store, audit, verify } = await setUp(t);
  await store.tenant("acme", async (tx: AnyTx) => {
    for (let i = 0; i < 2_500; i++) await audit.record(tx, change({ resource: `topics/t${i}` }));
  });
  assert.deepEqual((await verify()).entries, 2_500);
});

test("heads are signed with time, soon after so many entries, and at the end", async (t) => {
  const options = { checkpointEvery: 4, checkpointIntervalMs: 60_000 };
  const { audit, record, checkpoints, clock } = await setUp(t, options);
  const become = async (expected: number[]) => {
    while ((await checkpoints()).length < expected.length); // the timer's run is not to be awaited from here
    assert.deepEqual(await checkpoints(), expected);
  };
  await record();
  clock.advance(60_000);
  await become([1]);
  for (let i = 0; i < 3; i++) await record();
  assert.equal(clock.nextTimer(), 60_000);
  await record();
  assert.equal(clock.nextTimer(), 1_000);
  clock.advance(1_000);
  await become([1, 5]);
  assert.equal(clock.nextTimer(), 60_000);
  await audit.checkpoint();
  assert.deepEqual(await checkpoints(), [1, 5], "nothing new, nothing to sign");
  await record();
  await audit.stop();
  assert.deepEqual(await checkpoints(), [1, 5, 6]);
  assert.equal(clock.nextTimer(), undefined);
});

test("two nodes sign the same position without harm", async (t) => {
  const { sql: store, secrets, clock, audit, record, checkpoints, verify } = await setUp(t);
  const other = new Audit({ sql: store, secrets, clock });
  await other.start();
  await record();
  await Promise.all([audit.checkpoint(), other.checkpoint()]);
  await other.stop();
  assert.deepEqual(await checkpoints(), [1]);
  assert.equal((await verify()).ok, true);
});

test("secrets are masked, and a large detail is replaced by its digest", async (t) => {
  const { record, all } = await setUp(t);
  const detail = {
    name: "hook",
    webhookSecret: "hunter2",
    nested: [{ apiKey: "hunter2", password: null }],
    at: new Date(0),
  };
  await record({ detail });
  await record({ detail: { text: "x".repeat(20_000) } });
  await record({ before: { password: "a" }, after: { password: "b" } });
  const [digests, large, small] = await all();
  assert.deepEqual(small?.detail, {
    name: "hook",
    webhookSecret: "[masked]",
    nested: [{ apiKey: "[masked]", password: null }],
    at: "1970-01-01T00:00:00.000Z",
  });
  assert.deepEqual(Object.keys(large?.detail ?? {}), ["sha256", "tooLarge"]);
  assert.equal(digests?.before, digests?.after, "a digest must not let anybody guess a password");
});

test("odd text survives the database and verifies", async (t) => {
  const { record, all, verify } = await setUp(t);
  const detail = {
    "\ud800": "\u0000 \u2028 é 漢 😀 \udfff",
    n: [1e21, -0, 1.5e-9, 9007199254740991],
    ["__proto__"]: 1,
  };
  await record({ detail });
  assert.deepEqual((await all())[0]?.detail, JSON.parse(JSON.stringify(detail)));
  assert.equal((await verify()).ok, true);
});

test("the database refuses to change or remove entries, and what is done past it is found", async (t) => {
  const { sql: store, record, audit, verify } = await setUp(t, { checkpointEvery: 3 });
  for (let i = 0; i < 5; i++) await record({ resource: `topics/t${i}` });
  const run = (text: string) => store.tenant("acme", (tx: AnyTx) => sql.raw(text).execute(tx));
  for (const table of ["audit_entries", "audit_checkpoints"]) {
    await assert.rejects(run(`delete from ${table}`), /append-only/);
    await assert.rejects(run(`update ${table} set hash = ''`), /append-only/);
    await assert.rejects(run(`truncate ${table}`), /append-only/);
  }
  assert.equal((await verify()).ok, true);

  await run("alter table audit_entries disable trigger append_only");
  await run("update audit_entries set actor = 'eve' where seq = 4");
  assert.deepEqual((await verify()).problem?.seq, 4);
  await run("update audit_entries set actor = 'ann' where seq = 4");
  assert.equal((await verify()).ok, true);
  await run("delete from audit_entries where seq = 2");
  assert.deepEqual((await verify()).problem?.seq, 2);
  await audit.stop();
});

test("the last entries, taken off together with the head, are missed by the checkpoint", async (t) => {
  const { sql: store, record, audit, verify } = await setUp(t, { checkpointEvery: 3 });
  for (let i = 0; i < 4; i++) await record();
  const known = await audit.signedHead("acme");
  const run = (text: string) => store.tenant("acme", (tx: AnyTx) => sql.raw(text).execute(tx));
  await run("alter table audit_entries disable trigger append_only");
  await run("delete from audit_entries where seq >= 3");
  await run("update audit_heads set seq = 2, hash = (select hash from audit_entries where seq = 2)");
  assert.equal(
    (await verify()).ok,
    true,
    "from inside, a chain that ends before every checkpoint looks whole",
  );
  const report = await verifyExport(exportLines(audit, "acme"), { known: [known] });
  assert.match(report.problem?.reason ?? "", /missing at the end/, "a checkpoint kept elsewhere tells");
});

test("GET /api/v1/audit filters, pages, and stays within the tenant", async (t) => {
  const { sql: store, audit, record, clock } = await setUp(t);
  const call = await testServer(t, auditRoutes(audit), { clock });
  for (let i = 1; i <= 5; i++) {
    await record({ resource: `topics/t${i}`, action: i % 2 ? "topics.create" : "topics.delete" });
    clock.advance(1_000);
  }
  await record({ principal: { ...ann, subject: "bob" } });
  await store.tenant("globex", (tx: AnyTx) =>
    audit.record(tx, change({ principal: { subject: "gus", tenant: "globex" } })),
  );
  const seqs = async (query: string, options?: Parameters<typeof call>[2]) => {
    const answer = await call("GET", `/api/v1/audit?${query}`, options);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.items.map((entry: AuditEntry) => entry.seq);
  };
  assert.deepEqual(await seqs(""), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(await seqs("actor=bob"), [6]);
  assert.deepEqual(await seqs("action=topics.delete&actor=ann"), [4, 2]);
  assert.deepEqual(await seqs("resource=topics/t3"), [3]);
  assert.deepEqual(await seqs("from=2023-11-14T22:13:21Z&to=2023-11-14T22:13:23Z"), [3, 2]);
  assert.deepEqual(await seqs("", { tenant: "globex" }), [1]);
  const first = await call("GET", "/api/v1/audit?limit=4");
  assert.deepEqual(await seqs(`limit=4&cursor=${first.json.next}`), [2, 1]);
  for (const [query, code] of [
    ["cursor=abc", "cursor_invalid"],
    [`cursor=${Buffer.from('["x"]').toString("base64url")}`, "cursor_invalid"],
    ["from=yesterday", "validation_failed"],
    ["who=ann", "validation_failed"],
    ["limit=0", "validation_failed"],
  ]) {
    assert.equal((await call("GET", `/api/v1/audit?${query}`)).json.code, code, query);
  }
  assert.equal((await call("GET", "/api/v1/audit", { roles: ["viewer"] })).json.code, "permission_denied");
});

test("GET /api/v1/audit/export is a file that verifies offline", async (t) => {
  const { sql: store, audit } = await setUp(t, { checkpointEvery: 300 });
  const call = await testServer(t, auditRoutes(audit));
  await store.tenant("acme", async (tx: AnyTx) => {
    for (let i = 0; i < 1_100; i++) await audit.record(tx, change({ resource: `topics/t${i}` }));
  });
  const answer = await call("GET", "/api/v1/audit/export");
  assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
  const lines = answer.text.split("\n");
  const report = await verifyExport(lines, { keys: checkpointKeys(audit.keys) });
  assert.deepEqual(report, { ok: true, tenant: "acme", entries: 1_100, signedUpTo: 1_100, keyTrusted: true });
  assert.equal((await verifyExport(lines.slice(0, 700))).ok, false);
  const empty = await call("GET", "/api/v1/audit/export", { tenant: "empty" });
  assert.equal((await verifyExport(empty.text.split("\n"))).ok, true);
  assert.equal((await call("GET", "/api/v1/audit/export", { roles: ["developer"] })).status, 403);
});

test("an entry may stand anywhere in a transaction without a deadlock", async (t) => {
  const { sql: store, audit, all } = await setUp(t);
  await store.migrate([
    { name: "test/0001_things", sql: "create table things (n int); insert into things values (1)" },
  ]);
  const lockThing = (tx: AnyTx) => sql`update things set n = n + 1`.execute(tx);
  let runs = 0;
  await store.tenant("acme", async (tx: AnyTx) => {
    runs += 1;
    await audit.record(tx, change());
    // This would wait for ever if the entry above had locked the chain already.
    await store.tenant("acme", async (other: AnyTx) => {
      await lockThing(other);
      await audit.record(other, change());
    });
    await lockThing(tx);
  });
  assert.equal(runs, 1);
  assert.equal((await all()).length, 2);
});

test("a tenant whose chain is locked holds up nobody else", async (t) => {
  const { sql: store, audit } = await setUp(t);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let locked = () => {};
  const isLocked = new Promise<void>((resolve) => {
    locked = resolve;
  });
  const slow = store.tenant<AuditTables, void>("acme", async (tx) => {
    await tx
      .insertInto("audit_heads")
      .values({ tenant_id: "acme", seq: 0, previous_hash: "", hash: "", checkpoint_seq: 0 })
      .execute();
    locked();
    await held;
    throw new Error("rolled back");
  });
  slow.catch(() => {});
  await isLocked;
  await store.tenant("globex", (tx: AnyTx) =>
    audit.record(tx, change({ principal: { subject: "gus", tenant: "globex" } })),
  );
  release();
  await assert.rejects(slow, /rolled back/);
});
