import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { systemClock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { authorize } from "../access/index.ts";
import { anonymous, type Principal } from "../auth/principal.ts";
import { type Route, route } from "../http/route.ts";
import { HttpServer } from "../http/server.ts";
import { httpObserver } from "./http-observer.ts";
import { createLog, type LogLevel } from "./log.ts";
import { metricsRoutes } from "./metrics.routes.ts";
import { Metrics } from "./metrics.ts";
import { plain, startOtlpReceiver } from "./otlp-receiver.testing.ts";
import { activeTrace } from "./trace-context.ts";
import { Traces } from "./traces.ts";

const common = { summary: "", permission: "public", audit: { none: "a test" } } as const;
const caller = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
const traceparent = `00-${caller.traceId}-${caller.spanId}-01`;

const routes: Route[] = [
  route({
    ...common,
    id: "t.trace",
    method: "GET",
    path: "/api/trace/{id}",
    params: Type.Object({ id: Type.Integer() }),
    response: Type.Object({}),
    handler: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return { trace: activeTrace() ?? null };
    },
  }),
  route({
    ...common,
    id: "t.broken",
    method: "GET",
    path: "/api/broken",
    handler: () => {
      throw new Error("cannot reach postgres://u:hunter2@h");
    },
  }),
  route({
    ...common,
    id: "t.down",
    method: "GET",
    path: "/api/down",
    handler: () => {
      throw new HotSwapError("store_unavailable", "No.", { cause: new Error("refused") });
    },
  }),
];

interface Cleanup {
  after(work: () => Promise<void>): void;
}

async function start(
  t: Cleanup,
  options: { level?: LogLevel; endpoint?: string; metricsPublic?: boolean } = {},
) {
  const metrics = new Metrics();
  const lines: string[] = [];
  const log = createLog({ level: options.level ?? "info", write: (line) => lines.push(line) });
  const traces = new Traces({ endpoint: options.endpoint, sampleRatio: 1, version: "1" });
  await traces.start();
  const operator: Principal = { ...anonymous, subject: "prometheus", tenant: "t", roles: ["operator"] };
  const viewer: Principal = { ...operator, roles: ["viewer"] };
  const server = new HttpServer({
    host: "127.0.0.1",
    port: 0,
    routes: [...routes, ...metricsRoutes(metrics, options.metricsPublic ?? false)],
    clock: systemClock,
    bodyLimitBytes: 1_000,
    jsonDepthLimit: 10,
    requestTimeoutMs: 5_000,
    headersTimeoutMs: 5000,
    drainTimeoutMs: 1_000,
    authenticate: ({ headers }) => {
      if (!headers.authorization) throw new HotSwapError("token_missing");
      return headers.authorization === "Bearer operator" ? operator : viewer;
    },
    authorize,
    observe: httpObserver({ metrics, traces, log }),
  });
  await server.start();
  t.after(async () => {
    await server.stop();
    await traces.stop();
  });
  const get = (path: string, headers: Record<string, string> = {}) => fetch(server.url + path, { headers });
  return { get, metrics, traces, entries: () => lines.map((line) => JSON.parse(line)) };
}

test("requests are counted by method, route pattern and status, and as failed only when the server was at fault", async (t) => {
  const { get, metrics } = await start(t);
  for (const path of ["/api/trace/1", "/api/trace/2", "/api/trace/x", "/api/broken", "/api/down"])
    await get(path);
  const text = await metrics.text();
  const count = (route: string, rest: string) => {
    const labels = `http_request_method="GET",http_route="${route}",${rest}`;
    const line = text
      .split("\n")
      .find((l) => l.startsWith(`http_server_request_duration_seconds_count{${labels}}`));
    return Number(line?.split(" ").at(-1));
  };
  assert.equal(count("/api/trace/{id}", 'http_response_status_code="200",url_scheme="http"'), 2);
  assert.equal(count("/api/trace/{id}", 'http_response_status_code="400",url_scheme="http"'), 1);
  const failed = (status: number, code: string) =>
    `http_response_status_code="${status}",url_scheme="http",error_type="${code}"`;
  assert.equal(count("/api/broken", failed(500, "internal")), 1);
  assert.equal(count("/api/down", failed(503, "store_unavailable")), 1);
  const bounds = [...text.matchAll(/duration_seconds_bucket\{[^}]*broken[^}]*le="([^"]+)"/g)].map(
    ([, le]) => le,
  );
  assert.deepEqual(bounds, "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf".split(" "));
  assert.match(text, /^http_server_active_requests\{http_request_method="GET",url_scheme="http"\} 0$/m);
});

test("a request runs in its caller's trace when nothing is recorded, and in none without a caller", async (t) => {
  const { get } = await start(t);
  const body = async (headers: Record<string, string>) => (await get("/api/trace/1", headers)).json();
  assert.deepEqual(await body({ traceparent }), { trace: { ...caller, flags: 1 } });
  assert.deepEqual(await body({}), { trace: null });
  assert.deepEqual(await body({ traceparent: "nonsense" }), { trace: null });
});

test("with a receiver each request is a server span of its caller's trace", async (t) => {
  const otlp = await startOtlpReceiver();
  const { get, traces } = await start(t, { endpoint: otlp.url });
  t.after(() => otlp.stop());
  const answer = (await (await get("/api/trace/1?secret=hunter2", { traceparent })).json()) as {
    trace: { spanId: string };
  };
  await get("/api/down");
  await traces.stop();
  const ok = otlp.spans.find(({ name }) => name === "GET /api/trace/{id}");
  const down = otlp.spans.find(({ name }) => name === "GET /api/down");
  assert(ok && down);
  assert.deepEqual(
    [ok.traceId, ok.parentSpanId, ok.spanId, ok.kind],
    [caller.traceId, caller.spanId, answer.trace.spanId, 2],
  );
  assert.deepEqual(plain(ok.attributes), {
    "http.request.method": "GET",
    "http.route": "/api/trace/{id}",
    "url.scheme": "http",
    "http.response.status_code": 200,
  });
  assert.equal(down.parentSpanId, undefined);
  assert.deepEqual(down.status, { code: 2, message: "No." });
  assert.equal(plain(down.attributes)["error.type"], "store_unavailable");
  assert.doesNotMatch(JSON.stringify(otlp.spans), /hunter2/);
});

test("what failed inside is in the log under the request id of the answer, with trace and without secrets", async (t) => {
  const { get, entries } = await start(t);
  await get("/api/trace/1");
  await get("/api/trace/x");
  assert.deepEqual(entries(), [], "good requests and the caller's mistakes write nothing at level info");
  const answer = await get("/api/broken", { traceparent });
  const { requestId } = (await answer.json()) as { requestId: string };
  await get("/api/down");
  const [broken, down] = entries();
  assert.equal(broken.requestId, requestId);
  assert.deepEqual(
    [broken.level, broken.code, broken.route, broken.status],
    ["error", "internal", "t.broken", 500],
  );
  assert.equal(broken.trace_id, caller.traceId);
  assert.equal(broken.err.message, "cannot reach postgres://u:***@h");
  assert.match(broken.err.stack, /http-observer\.test\.ts/);
  assert.deepEqual([down.level, down.code, down.err.message], ["warn", "store_unavailable", "refused"]);
});

test("at level debug every request has a line, without its query", async (t) => {
  const { get, entries } = await start(t, { level: "debug" });
  await get("/api/trace/x?token=hunter2");
  const [{ time, durationMs, requestId, ...entry }] = entries();
  assert.deepEqual(entry, {
    level: "debug",
    route: "t.trace",
    status: 400,
    method: "GET",
    path: "/api/trace/x",
    code: "validation_failed",
    message: "request",
  });
  assert(time && requestId && durationMs >= 0);
});

test("GET /metrics needs metrics.read, unless the setting opens it", async (t) => {
  const { get } = await start(t);
  assert.equal((await get("/metrics")).status, 401);
  assert.equal((await get("/metrics", { authorization: "Bearer viewer" })).status, 403);
  const scrape = await get("/metrics", { authorization: "Bearer operator" });
  assert.equal(scrape.status, 200);
  assert.equal(scrape.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.match(await scrape.text(), /^# TYPE http_server_request_duration_seconds histogram$/m);
  const open = await start(t, { metricsPublic: true });
  assert.equal((await open.get("/metrics")).status, 200);
});
