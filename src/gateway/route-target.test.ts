/** Routes as a target of deployments, on two nodes with real data planes, one database and no engine. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ErrorCode } from "../core/catalogue.ts";
import { systemClock } from "../core/clock.ts";
import { boundOfShare, SPAN } from "../core/cohort.ts";
import { hasCode } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { systemRandom } from "../core/random.ts";
import type { Assignment, Counts, Observation, Resolved, TargetRef } from "../deployment/target.ts";
import { Audit, migrations as auditMigrations } from "../platform/audit/index.ts";
import { Metrics } from "../platform/telemetry/index.ts";
import { MemoryKv } from "../stores/kv/memory.ts";
import { openSecrets } from "../stores/secrets/index.ts";
import { loadMigrations } from "../stores/sql/migrations.ts";
import type { AnyTx } from "../stores/sql/port.ts";
import { type TestDatabase, testDatabase } from "../stores/sql/testing.ts";
import { HostIndex } from "./host-index.ts";
import { Gateway, GatewayProxy, Listener, migrations } from "./index.ts";
import { answering, ok, startBackend } from "./proxy/engine.testing.ts";
import type { GatewayTx } from "./revisions.sql.ts";
import { Routes } from "./routes.ts";
import { upsertSplitNodes } from "./splits.sql.ts";

const actor = {
  principal: {
    ...{ subject: "ann", tenant: "acme", roles: ["operator", "admin"] as const },
    ...{ attributes: {}, expiresAt: 0 },
  },
  requestId: "r1",
};
const makeId = idMaker(systemClock, systemRandom);

let folder: string;
let database: TestDatabase;
let audit: Audit;
let kv: MemoryKv;
let blue: Awaited<ReturnType<typeof startBackend>>;
let green: Awaited<ReturnType<typeof startBackend>>;
let nodes: Awaited<ReturnType<typeof startNode>>[] = [];
/** What green answers. */
let answer = () => ok("green");

async function startNode(name: string) {
  const onError = (error: unknown) => errors.push(error);
  const listener = new Listener({
    ...{ plane: new GatewayProxy(), mode: "development", folder: join(folder, name), clock: systemClock },
    ...{ drainMs: 0, recordShare: 0, onRecords: () => {}, onBackend: () => {}, onError },
    settings: {
      ...{
        host: "127.0.0.1",
        port: 0,
        tlsPort: undefined,
        tlsFolder: undefined,
        tlsClientCertificates: "none",
      },
      ...{ workers: 1, trustedHops: [], accessLog: "off", accessLogFormat: "json", requestsKept: 100 },
    },
  });
  const { sql } = database;
  const gateway = new Gateway({
    ...{
      sql,
      kv,
      audit,
      clock: systemClock,
      makeId,
      random: systemRandom,
      metrics: new Metrics({}),
      listener,
    },
    settings: {
      ...{ pollMs: 60_000, routesMax: 100, revisionsKept: 100, importLimitBytes: 1000, instancesMax: 10 },
      ...{ keysMax: 10, dnsServers: [], bssRequestsPerMinute: 0, jsonDepthLimit: 32 },
    },
    ownIssuers: [],
    secrets: { valueOf: async () => undefined, hold: async () => new Map(), addUser: () => {} },
    onError,
  });
  await listener.start();
  await gateway.start();
  const stop = async () => {
    await gateway.stop();
    await listener.stop();
  };
  return { gateway, target: gateway.target, url: listener.url!, stop };
}

const errors: unknown[] = [];
let routes: Routes;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "hotswap-route-target-"));
  database = await testDatabase([
    ...(await loadMigrations("audit", auditMigrations)),
    ...(await loadMigrations("gateway", migrations)),
  ]);
  const { sql } = database;
  const secrets = openSecrets({ path: join(folder, "secrets.json") });
  await secrets.start();
  audit = new Audit({ sql, secrets, clock: systemClock });
  await audit.start();
  kv = new MemoryKv({ clock: systemClock });
  await kv.start();
  blue = await startBackend(
    "blue",
    answering(() => ok("blue")),
  );
  green = await startBackend(
    "green",
    answering(() => answer()),
  );
  nodes = [await startNode("a"), await startNode("b")];
  const served = {
    routesOf: () => new Map(),
    hosts: new HostIndex(),
    settingsDiffer: () => [],
    changed: async () => {
      await kv.publish("gateway/changed", "acme");
      for (const { gateway } of nodes) await gateway.refresh();
    },
  };
  const shared = { sql, audit, clock: systemClock, makeId, served, holdSecrets: async () => new Map() };
  routes = new Routes({ ...shared, routesMax: 100, revisionsKept: 100 });
});

after(async () => {
  for (const { stop } of nodes) await stop();
  await kv?.stop();
  await audit?.stop();
  await database?.close();
  await Promise.all([blue?.[Symbol.asyncDispose](), green?.[Symbol.asyncDispose]()]);
  await rm(folder, { recursive: true, force: true });
  assert.deepEqual(errors, []);
});

const urlOf = ({ port }: { port: number }) => `http://127.0.0.1:${port}`;
const refused = (code: ErrorCode) => (error: unknown) => {
  assert.ok(hasCode(error, code), `${error}`);
  return true;
};

const makeRoute = async (name: string, more: object = {}) => {
  const spec = { name, match: { path: { prefix: `/${name}` } }, backends: [{ url: urlOf(blue) }], ...more };
  return (await routes.create(actor as never, spec)).row;
};
const resolve = (body: object): Promise<Resolved> =>
  database.sql.tenant("acme", (tx: AnyTx) => nodes[0]!.target.resolve(tx, actor as never, body as never));
const toGreen = () => ({ backends: [{ url: urlOf(green) }] });

let generations = 0;
const assign = ({ from, to }: Resolved, deployment: string, share: number): Assignment => ({
  ...{ seed: `seed ${deployment}`, bound: boundOfShare(share), from, to, deployment },
  generation: ++generations,
});

const ask = async (node: { url: string }, path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(node.url + path, { headers });
  return { status: response.status, body: await response.text() };
};

/** Looks on until it fits, whenever a node says that there is something new. */
async function observed(
  ref: TargetRef,
  assignment: Assignment,
  fits: (seen: { observation: Observation; canary: Counts; control: Counts }) => boolean,
) {
  const sum = { canary: { requests: 0, errors: 0 }, control: { requests: 0, errors: 0 } };
  let cursor: unknown;
  let news = Promise.withResolvers<void>();
  nodes[1]!.gateway.onNews = () => news.resolve();
  for (;;) {
    // The engine may look from any node.
    const observation = await nodes[1]!.target.observe(ref, assignment, cursor);
    cursor = JSON.parse(JSON.stringify(observation.cursor));
    for (const sample of observation.samples) {
      for (const cohort of ["canary", "control"] as const) {
        sum[cohort].requests += sample[cohort].requests;
        sum[cohort].errors += sample[cohort].errors;
      }
    }
    if (fits({ observation, ...sum })) return { observation, ...sum };
    await news.promise;
    news = Promise.withResolvers();
  }
}

describe("what a deployment of a route asks for", () => {
  it("is merged into the route, checked whole, and named by its content", async () => {
    const { id } = await makeRoute("asked", { timeouts: { connectMs: 100, totalMs: 900 } });
    const change = { timeouts: { totalMs: null, idleMs: 5 }, ...toGreen() };
    const one = await resolve({ kind: "route", route: id, strategy: "canary", change });
    const other = await resolve({ kind: "route", route: "asked", change });
    assert.deepEqual(one.to, other.to);
    assert.notEqual(one.from!.hash, one.to.hash);
    assert.deepEqual([one.ref.name, one.inventory, one.phases], [id, "shares", [10, 50, 100]]);
    assert.equal(one.summary, "route asked: backends, timeouts");
  });

  it("is refused with a pointer below /change", async () => {
    await makeRoute("picky");
    const pointers = async (change: unknown, more: object = {}) => {
      const error = await resolve({ route: "picky", change, ...more }).catch((caught: unknown) => caught);
      assert.ok(hasCode(error, "validation_failed"), `${error}`);
      return error.fields.map(({ pointer }) => pointer);
    };
    assert.deepEqual(await pointers({ match: { host: "other.example" } }), ["/change/match"]);
    assert.deepEqual(await pointers({ name: "x", priority: 3 }), ["/change/name", "/change/priority"]);
    assert.deepEqual(await pointers({ backends: [] }), ["/change/backends"]);
    assert.deepEqual(await pointers({ backends: [{ url: "http://a", wait: 1 }] }), [
      "/change/backends/0/wait",
    ]);
    assert.deepEqual(await pointers({ colour: "red" }), ["/change/colour"]);
    assert.deepEqual(await pointers({ backends: [{ url: urlOf(blue) }] }), ["/change"]);
    assert.deepEqual(await pointers("all"), ["/change"]);
    assert.deepEqual(await pointers(toGreen(), { unit: { header: "a", cookie: "b" } }), ["/unit"]);
    await assert.rejects(resolve({ route: "nothing", change: {} }), refused("gateway_route_not_found"));
  });
});

describe("a route under deployment", () => {
  it("is served by every node as assigned, counted by all, and becomes its new version at the end", async () => {
    const { id, version } = await makeRoute("whole");
    const plan = await resolve({ route: id, change: toGreen(), unit: { header: "x-user" } });
    const first = assign(plan, "d-whole", 0.5);
    const { target } = nodes[0]!;
    await target.apply(plan.ref, first);
    await observed(plan.ref, first, ({ observation }) => observation.generation === first.generation);
    const seen = [0, 0];
    for (let n = 0; n < 40; n++) {
      const headers = { "x-user": `u${n}` };
      const bodies = await Promise.all(nodes.map(async (node) => (await ask(node, "/whole", headers)).body));
      assert.equal(bodies[0], bodies[1]);
      seen[bodies[0] === "green" ? 0 : 1]! += 2;
    }
    const { canary, control } = await observed(
      plan.ref,
      first,
      (now) => now.canary.requests + now.control.requests === 80,
    );
    assert.deepEqual([canary.requests, control.requests, canary.errors], [...seen, 0]);
    const grouped = (groups: Counts["units"]) => groups!.reduce((sum, [requests]) => sum + requests, 0);
    const whole = (await target.observe(plan.ref, first, undefined)).samples[0]!;
    for (const [cohort, requests] of [[whole.canary, seen[0]] as const, [whole.control, seen[1]] as const]) {
      assert.deepEqual([grouped(cohort.units), grouped(cohort.servers)], [requests, requests]);
      assert.equal(cohort.servers!.filter(([count]) => count > 0).length, 1, "each has one backend");
      assert.ok(cohort.units!.filter(([count]) => count > 0).length > 5, "and many callers");
      for (const events of [cohort.unitEvents, cohort.serverEvents])
        assert.deepEqual(events, { "custom.clientErrors": new Array(32).fill(0) });
    }

    // A node of before, which does not say who asked.
    const sums = [7, 1, ...new Array(34).fill(0)];
    const older = { tenant_id: "acme", route: id, node: "older", deployment: "d-whole", generation: 1 };
    await database.sql.system((tx: GatewayTx) =>
      upsertSplitNodes(tx, [{ ...older, totals: JSON.stringify(sums), problem: null }]),
    );
    const mixed = (await target.observe(plan.ref, first, undefined)).samples[0]!.canary;
    assert.deepEqual(
      [mixed.requests, mixed.errors, grouped(mixed.units), grouped(mixed.servers)],
      [seen[0]! + 7, 1, seen[0], seen[0]],
    );

    const { row } = await database.sql.tenant("acme", async () => ({ row: await routes.get("acme", id) }));
    assert.equal(row.version, version);
    const all = { ...first, bound: SPAN, generation: ++generations };
    await target.apply(plan.ref, all);
    await target.settle(plan.ref, { ...all, generation: ++generations }, "to");
    const after = await routes.get("acme", id);
    assert.deepEqual([after.version, after.spec.backends], [version + 1, toGreen().backends]);
    assert.equal((await ask(nodes[0]!, "/whole")).body, "green");
    const entries = await audit.newest("acme", {}, undefined, 10);
    const update = entries.find(
      ({ action, actor: who }) => action === "route.update" && who === "system:deployment",
    );
    assert.deepEqual((update?.detail as { deployment?: string } | undefined)?.deployment, "d-whole");
  });

  it("cannot be edited by others until the end", async () => {
    const row = await makeRoute("locked");
    const plan = await resolve({ route: row.id, change: toGreen() });
    const assignment = assign(plan, "d-locked", 0);
    await nodes[0]!.target.apply(plan.ref, assignment);
    const edited = { ...row.spec, description: "new" };
    const edits = [
      () => routes.update(actor as never, row.id, edited, () => {}),
      () => routes.delete(actor as never, row.id, () => {}),
      () => routes.import(actor as never, [edited], "merge"),
    ];
    for (const edit of edits) {
      await assert.rejects(edit(), (error) => {
        assert.ok(hasCode(error, "gateway_route_deploying"), `${error}`);
        assert.match(error.message, /locked is being changed by the deployment d-locked/);
        return true;
      });
    }
    // What leaves it as it is may come.
    await routes.import(actor as never, [row.spec], "merge");
    await nodes[0]!.target.settle(plan.ref, { ...assignment, generation: ++generations }, "from");
    assert.equal((await edits[0]!()) && (await routes.get("acme", row.id)).version, 2);
  });

  it("does not listen to who comes late, and does a thing that is said twice once", async () => {
    const { id } = await makeRoute("fenced");
    const plan = await resolve({ route: id, change: toGreen() });
    const { target } = nodes[0]!;
    const [one, two] = [assign(plan, "d-fence", 0), assign(plan, "d-fence", 1)];
    await target.apply(plan.ref, two);
    await assert.rejects(target.apply(plan.ref, one), refused("deployment_fenced"));
    await assert.rejects(target.settle(plan.ref, one, "from"), refused("deployment_fenced"));
    const entries = async () => (await audit.newest("acme", {}, undefined, 100)).length;
    const before = await entries();
    await target.apply(plan.ref, two);
    assert.equal(await entries(), before);
    assert.equal((await ask(nodes[0]!, "/fenced")).body, "green");
    await target.settle(plan.ref, two, "from");
    await target.settle(plan.ref, two, "from");
    assert.equal(await entries(), before + 1);
    // The call that was repeated for a frozen engine arrives after the end.
    await assert.rejects(target.apply(plan.ref, two), refused("deployment_fenced"));
    assert.equal((await ask(nodes[0]!, "/fenced")).body, "blue");
  });

  it("does not begin when the route is no longer what it was asked for", async () => {
    const row = await makeRoute("moved");
    const plan = await resolve({ route: row.id, change: toGreen() });
    await routes.update(actor as never, row.id, { ...row.spec, description: "edited" }, () => {});
    const { target } = nodes[0]!;
    await assert.rejects(
      target.apply(plan.ref, assign(plan, "d-moved", 0.1)),
      refused("gateway_route_changed"),
    );
    // It can be taken back all the same, and the route is nobody's but its owner's.
    const back = assign(plan, "d-moved", 0);
    await target.apply(plan.ref, back);
    assert.equal((await target.observe(plan.ref, back, undefined)).generation, back.generation);
    await target.settle(plan.ref, back, "from");
    await routes.update(actor as never, row.id, { ...row.spec, description: "again" }, () => {});
  });

  it("shows testers the new version at once, and smoke what is wrong with it, while nobody is exposed", async () => {
    const { id } = await makeRoute("tested");
    const testHeader = { name: "x-test", value: "1" };
    const plan = await resolve({ route: id, change: toGreen(), testHeader });
    const assignment = assign(plan, "d-tested", 0);
    const { target } = nodes[0]!;
    const smoke = () => target.smoke!(plan.ref, assignment, { path: "/", requests: 2 });
    assert.match((await smoke())[0]!.reason, /does not serve/);
    await target.apply(plan.ref, assignment);
    assert.deepEqual(await smoke(), []);
    assert.equal((await ask(nodes[0]!, "/tested")).body, "blue");
    assert.equal((await ask(nodes[0]!, "/tested", { "x-test": "1" })).body, "green");
    answer = () => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    assert.deepEqual(await smoke(), [{ unit: urlOf(green), reason: "answered 500 to /" }]);
    answer = () => ok("green");
    await target.settle(plan.ref, { ...assignment, generation: ++generations }, "from");
  });

  it("is still under deployment after its node started anew, and counts go on from where they were", async () => {
    const { id } = await makeRoute("restarted");
    const plan = await resolve({ route: id, change: toGreen() });
    const assignment = assign(plan, "d-restarted", 1);
    await nodes[0]!.target.apply(plan.ref, assignment);
    for (let n = 0; n < 5; n++) await ask(nodes[0]!, "/restarted");
    await observed(plan.ref, assignment, ({ canary }) => canary.requests === 5);
    await nodes[0]!.stop();
    nodes[0] = await startNode("a");
    for (let n = 0; n < 3; n++) assert.equal((await ask(nodes[0], "/restarted")).body, "green");
    const { observation } = await observed(plan.ref, assignment, ({ canary }) => canary.requests === 8);
    assert.equal(observation.generation, assignment.generation);
    await nodes[0].target.settle(plan.ref, { ...assignment, generation: ++generations }, "from");
  });
});
