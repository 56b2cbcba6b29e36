/** What deployments and delivery lean on: which version is in force, what may go, documents with their secrets in. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { after, before, test } from "node:test";
import { sql } from "kysely";
import type { ErrorCode } from "../core/catalogue.ts";
import { ManualClock } from "../core/clock.ts";
import { type HotSwapError, hasCode } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { systemRandom } from "../core/random.ts";
import { Approvals, migrations as approvalMigrations } from "../platform/approvals/index.ts";
import { Audit, migrations as auditMigrations } from "../platform/audit/index.ts";
import { testSecrets } from "../platform/auth/testing.ts";
import { Metrics } from "../platform/telemetry/index.ts";
import { SchemaRegistry, migrations as schemaMigrations } from "../schemas/index.ts";
import type { SecretStore } from "../stores/secrets/port.ts";
import { loadMigrations } from "../stores/sql/migrations.ts";
import type { AnyTx } from "../stores/sql/port.ts";
import { testDatabase } from "../stores/sql/testing.ts";
import { Documents } from "./documents.ts";
import { FlagTickets } from "./flag-tickets.ts";
import { migrations } from "./index.ts";

type Database = Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
let secrets: SecretStore;
let documents: Documents;
const inUse: number[] = [];

before(async (t) => {
  database = await testDatabase([
    ...(await loadMigrations("audit", auditMigrations)),
    ...(await loadMigrations("approvals", approvalMigrations)),
    ...(await loadMigrations("schemas", schemaMigrations)),
    ...(await loadMigrations("configuration", migrations)),
  ]);
  secrets = await testSecrets(t as Parameters<typeof testSecrets>[0]);
  const clock = new ManualClock();
  const makeId = idMaker(clock, systemRandom);
  const { sql: store } = database;
  const audit = new Audit({ sql: store, secrets, clock });
  const approvals = new Approvals({ sql: store, audit, clock, makeId });
  const limits = { autoApprove: true, sizeLimitBytes: 65_536, deadlineMs: 5_000, documentTimeoutMs: 100 };
  const schemas = new SchemaRegistry({ sql: store, audit, approvals, clock, makeId, settings: limits });
  documents = new Documents({
    ...{ sql: store, secrets, audit, approvals, schemas, clock, makeId, metrics: new Metrics() },
    settings: {
      approvalEnvironments: ["production", "pci"],
      ...{
        textLimitBytes: 65_536,
        configsMax: 100,
        versionsMax: 100,
        importLimitBytes: 65_536,
        jsonDepthLimit: 32,
      },
    },
    onError: (error) => assert.fail(`${error}`),
  });
  documents.addUser({ versionsInUse: async () => inUse });
});
after(() => database?.close());

const principal = {
  ...{ subject: "ann", tenant: "acme", roles: ["admin" as const], attributes: {}, expiresAt: 0 },
};
const actor = { principal, requestId: "r1" };
const inTenant = <Result>(work: (tx: AnyTx) => Promise<Result>) => database.sql.tenant("acme", work);
const refusedWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(hasCode(error, code), `${error}`);
  return true;
};

async function configOf(name: string, versions: number, environment = "production"): Promise<void> {
  await documents.configs.create(actor, { name, service: "shop", environment, format: "json" });
  for (let n = 1; n <= versions; n++) await documents.versions.create(actor, name, { text: `{"n": ${n}}` });
}

const setCurrent = (name: string, version: number, more: { instead?: number } = {}) =>
  inTenant((tx) =>
    documents.setCurrent(tx, "acme", name, version, { author: "engine", deployment: "d1", ...more }),
  );
const heads = async (name: string) => {
  const row = await documents.config("acme", name);
  return [row!.current_version, row!.latest_version];
};
const newest = async (name: string) => {
  const [event] = await documents.versions.history(principal, name, undefined, 1);
  return `${event!.type} ${event!.version} from ${event!.from_version}`;
};

test("what a deployment starts from, and whether it needs an approval", async () => {
  await configOf("one", 2);
  const first = await inTenant((tx) => documents.versionForDeployment(tx, "acme", "one", 2));
  assert.deepEqual([first.version.version, first.current, first.needsApproval], [2, undefined, true]);
  await setCurrent("one", 1);
  const next = await inTenant((tx) => documents.versionForDeployment(tx, "acme", "one", 2));
  assert.deepEqual([next.version.value, next.current?.version, next.config.service], [{ n: 2 }, 1, "shop"]);
  await configOf("lab", 1, "staging");
  assert.equal(
    (await inTenant((tx) => documents.versionForDeployment(tx, "acme", "lab", 1))).needsApproval,
    false,
  );
  const unknown = (name: string, version: number) =>
    inTenant((tx) => documents.versionForDeployment(tx, "acme", name, version));
  await assert.rejects(unknown("none", 1), refusedWith("config_not_found"));
  await assert.rejects(unknown("one", 9), refusedWith("config_version_not_found"));
});

test("who goes on goes on from what is in force, unless somebody wrote meanwhile", async () => {
  await configOf("heads", 2);
  await setCurrent("heads", 2);
  assert.deepEqual(await heads("heads"), [2, 2]);
  await setCurrent("heads", 2);
  assert.equal(await newest("heads"), "current 2 from null", "the same again is nothing");

  await documents.versions.create(actor, "heads", { text: '{"n": 3}' });
  assert.deepEqual(await heads("heads"), [2, 3], "written, not in force");
  await setCurrent("heads", 2, { instead: 3 });
  assert.deepEqual(await heads("heads"), [2, 2], "a canary that was taken back");
  assert.equal(await newest("heads"), "rolled_back 2 from 3");

  await setCurrent("heads", 3);
  assert.deepEqual(await heads("heads"), [3, 3], "deployed after all");
  await setCurrent("heads", 1);
  assert.deepEqual(await heads("heads"), [1, 1]);
  assert.equal(await newest("heads"), "rolled_back 1 from 3");

  await documents.versions.create(actor, "heads", { text: '{"n": 4}' });
  await setCurrent("heads", 2);
  assert.deepEqual(await heads("heads"), [2, 4], "what was written meanwhile stays the head");
  const again = await documents.versions.create(actor, "heads", { text: '{"n": 3}' });
  assert.deepEqual([again.row.version, again.isNew, await heads("heads")], [3, false, [2, 3]]);
});

test("what is in force or being deployed stays", async () => {
  await configOf("kept", 3);
  await setCurrent("kept", 1);
  inUse.push(2);
  const remove = (version: number) => documents.versions.delete(actor, "kept", version);
  await assert.rejects(remove(1), refusedWith("config_version_in_use"));
  await assert.rejects(remove(2), refusedWith("config_version_in_use"));
  await assert.rejects(
    documents.configs.delete(actor, "kept", () => {}),
    refusedWith("config_version_in_use"),
  );
  inUse.length = 0;
  await remove(2);
  await remove(3);
  assert.deepEqual(await heads("kept"), [1, 1]);
});

test("a secret that somebody holds is deleted after they have ended, and not when they made use of it", async () => {
  for (const name of ["held", "let-go"]) await documents.secrets.set(actor, name, `${name}-value`);
  let uses: object[] = [];
  documents.secrets.addUser(async (_tx, _tenant, secret) => (secret === "held" ? uses : []));
  const deletions: Promise<void>[] = [];
  await inTenant(async (tx) => {
    const held = await documents.secrets.hold(tx, "acme", ["let-go", "held", "unknown"]);
    assert.deepEqual(Object.fromEntries(held), { held: "held-value", "let-go": "let-go-value" });
    for (const name of ["held", "let-go"]) deletions.push(documents.secrets.delete(actor, name, false));
    deletions.forEach((deletion) => void deletion.catch(() => {}));
    const waiting = () =>
      sql<{ count: number }>`select count(*)::int as count from pg_locks where not granted`;
    while ((await waiting().execute(tx)).rows[0]!.count < deletions.length);
    uses = [{ route: "orders" }];
  });
  await assert.rejects(deletions[0]!, (error: HotSwapError) => {
    assert.deepEqual([error.code, error.data], ["secret_in_use", { uses }]);
    assert.match(error.message, /held is used by route orders/);
    return true;
  });
  await deletions[1];
  await documents.secrets.delete(actor, "held", true);
});

test("a document is handed out with its secrets in, at their newest, and of its tenant alone", async () => {
  await documents.secrets.set(actor, "key", "one");
  const value = { at: [{ $secret: "key" }], url: `https://\${secret:key}@x/\${secret:key}`, plain: "key" };
  const resolved = (text: string) => ({ at: [text], url: `https://${text}@x/${text}`, plain: "key" });
  assert.deepEqual(await documents.resolveSecrets("acme", value), resolved("one"));
  await documents.secrets.set(actor, "key", "two");
  assert.deepEqual(await documents.resolveSecrets("acme", value), resolved("two"));
  assert.deepEqual(value.at, [{ $secret: "key" }], "the document itself is as it was");
  await assert.rejects(documents.resolveSecrets("other", value), refusedWith("secret_not_found"));
  const stored = (await secrets.list()).filter((name) => name.startsWith("configuration/"));
  assert.equal(stored.length, 1, "the value that was replaced is gone");
  await documents.secrets.set({ ...actor, dryRun: true }, "key", "three");
  assert.deepEqual(await documents.resolveSecrets("acme", value), resolved("two"));
  await documents.secrets.delete(actor, "key", false);
  assert.deepEqual(
    (await secrets.list()).filter((name) => name.startsWith("configuration/")),
    [],
  );
});

test("a ticket for changes of flags is known to every node, and ends with the token for which it was given", async () => {
  const clock = new ManualClock();
  const nodes = Array.from({ length: 4 }, () => new FlagTickets(database.sql, clock));
  const holder = { subject: "ann", tenant: "acme", roles: [], attributes: {} };
  const principal = { ...holder, expiresAt: clock.now() / 1_000 + 60 };
  // None of them has a key yet.
  const tickets = await Promise.all(nodes.map((node) => node.issue(principal, "flags")));
  const requests = tickets.map((ticket) => {
    return { url: `/ofrep/v1/events?ticket=${ticket}`, headers: {} } as IncomingMessage;
  });
  for (const node of nodes)
    for (const request of requests) assert.equal((await node.holderAt(request))?.tenant, "acme");
  clock.advance(60_000);
  await assert.rejects(nodes[0]!.holderAt(requests[1]!)!, { code: "token_expired" });
});
