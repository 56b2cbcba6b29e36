import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ManualClock, systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { HttpServer } from "../http/server.ts";
import { healthRoutes } from "./health.routes.ts";
import { type CheckResult, Health } from "./health.ts";

/** A check whose answers the test gives out one by one. */
function manualCheck(name: string, needed = true) {
  const asked: { resolve(detail?: string): void; reject(error: unknown): void }[] = [];
  const probe = () =>
    new Promise<unknown>((resolve, reject) => {
      asked.push({ resolve, reject });
    });
  return { name, needed, probe, asked };
}

// The probes of a report start a microtask later.
const started = () => new Promise((resolve) => setImmediate(resolve));

describe("Health", () => {
  it("asks a check once for a thousand probes, and again only after the cache has ended", async () => {
    const clock = new ManualClock();
    const health = new Health({ clock, cacheMs: 1_000 });
    const sql = manualCheck("sql");
    health.register(sql);
    const reports = Promise.all(Array.from({ length: 1_000 }, () => health.report()));
    await started();
    assert.equal(sql.asked.length, 1);
    sql.asked[0]!.resolve("PostgreSQL 18.4");
    for (const report of await reports) {
      const checks = [{ name: "sql", status: "ok", detail: "PostgreSQL 18.4" }];
      assert.deepEqual(report, { status: "ok", checks });
    }
    clock.advance(999);
    await health.report();
    assert.equal(sql.asked.length, 1);
    clock.advance(1);
    const fresh = health.report();
    await started();
    assert.equal(sql.asked.length, 2);
    sql.asked[1]!.resolve();
    assert.deepEqual((await fresh).checks, [{ name: "sql", status: "ok" }]);
  });

  it("is down when a needed check fails and degraded when another one does", async () => {
    const health = new Health({ clock: new ManualClock() });
    health.register({ name: "sql", needed: true, probe: async () => {} });
    const leave = health.register({
      name: "mail",
      needed: false,
      probe: () => Promise.reject(new Error("x")),
    });
    assert.equal((await health.report()).status, "degraded");
    const leaveKv = health.register({
      name: "kv",
      needed: true,
      probe: () => assert.fail("thrown, not rejected"),
    });
    assert.equal((await health.report()).status, "down");
    leaveKv();
    leave();
    assert.deepEqual(await health.report(), { status: "ok", checks: [{ name: "sql", status: "ok" }] });
    assert.throws(
      () => health.register({ name: "sql", needed: true, probe: async () => {} }),
      /exists already/,
    );
  });

  it("counts a check that does not answer as down, and asks anew later", async () => {
    const clock = new ManualClock();
    const health = new Health({ clock, timeoutMs: 2_000, cacheMs: 1_000 });
    const kv = manualCheck("kv");
    health.register(kv);
    const report = health.report();
    await started();
    clock.advance(2_000);
    const detail = "There was no answer within 2000 ms.";
    assert.deepEqual(await report, { status: "down", checks: [{ name: "kv", status: "down", detail }] });
    clock.advance(1_000);
    const later = health.report();
    await started();
    kv.asked[1]!.resolve();
    assert.equal((await later).status, "ok");
    // The first question's late answer changes nothing.
    kv.asked[0]!.reject(new Error("too late"));
    assert.equal((await health.report()).status, "ok");
  });

  it("shows the words of the catalogue's errors only, and gives the cause to onChange once per change", async () => {
    const clock = new ManualClock();
    const changes: [CheckResult, unknown][] = [];
    const health = new Health({ clock, onChange: (result, error) => changes.push([result, error]) });
    const answers: (Error | undefined)[] = [
      new Error("connect ECONNREFUSED /var/lib/secret.sock"),
      new HotSwapError("store_unavailable", "Redis does not answer."),
      undefined,
      undefined,
    ];
    const wanted = [...answers];
    const probe = async () => {
      const answer = answers.shift();
      if (answer) throw answer;
    };
    health.register({ name: "kv", needed: true, probe });
    const details: (string | undefined)[] = [];
    for (const _ of wanted) {
      details.push((await health.report()).checks[0]?.detail);
      clock.advance(1_000);
    }
    assert.deepEqual(details, [
      "The check failed; the log has the cause.",
      "Redis does not answer.",
      undefined,
      undefined,
    ]);
    assert.deepEqual(
      changes.map(([{ status }, error]) => [status, error]),
      [
        ["down", wanted[0]],
        ["ok", undefined],
      ],
    );
  });
});

describe("GET /health and /ready", () => {
  const probes = { sql: async (): Promise<unknown> => "PostgreSQL at /secret/path", kv: async () => {} };
  const health = new Health({ clock: systemClock, cacheMs: 0 });
  health.register({ name: "sql", needed: true, probe: () => probes.sql() });
  health.register({ name: "kv", needed: false, probe: () => probes.kv() });
  const server = new HttpServer({
    host: "127.0.0.1",
    port: 0,
    routes: healthRoutes(health),
    clock: systemClock,
    bodyLimitBytes: 1_000,
    jsonDepthLimit: 10,
    requestTimeoutMs: 5_000,
    headersTimeoutMs: 5000,
    drainTimeoutMs: 1_000,
    authenticate: () => assert.fail("probes carry no token"),
    authorize: () => assert.fail("probes carry no token"),
  });
  before(() => server.start());
  after(() => server.stop());
  interface Answer {
    status?: string;
    code?: string;
    detail?: string;
    data?: { checks: CheckResult[] };
  }
  const get = async (path: string) => {
    const response = await fetch(server.url + path);
    const body = (await response.json()) as Answer;
    return { status: response.status, headers: response.headers, body };
  };

  it("answers readiness with the checks and without their details", async () => {
    const checks = [
      { name: "sql", status: "ok" },
      { name: "kv", status: "ok" },
    ];
    assert.deepEqual((await get("/ready")).body, { status: "ok", checks });
    probes.kv = () => Promise.reject(new Error("x"));
    const degraded = await get("/ready");
    assert.equal(degraded.status, 200);
    assert.deepEqual(degraded.body, {
      status: "degraded",
      checks: [checks[0], { name: "kv", status: "down" }],
    });
  });

  it("answers 503 with each check while a needed one fails, and stays alive", async () => {
    probes.sql = () => Promise.reject(new Error("password of postgres at /secret/path"));
    const { status, headers, body } = await get("/ready");
    assert.equal(status, 503);
    assert.equal(body.code, "store_unavailable");
    assert.equal(body.detail, "These checks fail: sql, kv.");
    assert.deepEqual(body.data?.checks[0], { name: "sql", status: "down" });
    assert.equal(headers.get("retry-after"), "1");
    assert.doesNotMatch(JSON.stringify(body), /secret|password/);
    assert.deepEqual((await get("/health")).body, { status: "ok" });
  });

  it("is not ready at once when draining begins, though a store hangs", async () => {
    probes.sql = () => new Promise(() => {});
    health.drain();
    const { status, body } = await get("/ready");
    assert.equal(status, 503);
    assert.equal(body.code, "shutting_down");
    assert.deepEqual(
      body.data?.checks.map(({ name }: CheckResult) => name),
      ["sql", "kv"],
    );
    assert.equal((await get("/health")).status, 200);
  });
});
