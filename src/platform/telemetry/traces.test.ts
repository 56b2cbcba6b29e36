import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { HotSwapError } from "../../core/errors.ts";
import { type OtlpReceiver, plain, startOtlpReceiver } from "./otlp-receiver.testing.ts";
import { activeSpan, activeTrace, injectTrace } from "./trace-context.ts";
import { Traces, type TracesOptions } from "./traces.ts";

const caller = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7", flags: 1 };

async function started(options: Partial<TracesOptions>): Promise<Traces> {
  const traces = new Traces({ sampleRatio: 1, version: "1.2.3", ...options });
  await traces.start();
  return traces;
}

async function receiver(t: { after(work: () => Promise<void>): void }): Promise<OtlpReceiver> {
  const otlp = await startOtlpReceiver();
  t.after(() => otlp.stop());
  return otlp;
}

test("spans reach the receiver with their parents, attributes and resource", async (t) => {
  const otlp = await receiver(t);
  const traces = await started({ endpoint: otlp.url, headers: "x-api-key=abc=,x-other=2" });
  assert.equal(traces.enabled, true);
  const carried: Record<string, string> = {};
  const options = { kind: "server", parent: { ...caller, state: "a=1" }, attributes: { n: 1 } } as const;
  const result = await traces.span("outer", options, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return traces.span("inner", { links: [{ ...caller, spanId: "1111111111111111" }] }, () => {
      injectTrace(carried);
      activeSpan()?.set("late", true);
      return "result";
    });
  });
  assert.equal(result, "result");
  assert.equal(activeTrace(), undefined);
  await traces.stop();

  const [inner, outer] = otlp.spans;
  assert(inner && outer);
  assert.deepEqual(
    [outer.name, outer.kind, outer.parentSpanId, outer.traceId],
    ["outer", 2, caller.spanId, caller.traceId],
  );
  assert.equal(outer.traceState, "a=1");
  assert.deepEqual(
    [inner.name, inner.kind, inner.parentSpanId, inner.traceId],
    ["inner", 1, outer.spanId, caller.traceId],
  );
  assert.equal(inner.links?.[0]?.spanId, "1111111111111111");
  assert.deepEqual(plain(inner.attributes), { late: true });
  assert.deepEqual(plain(outer.attributes), { n: 1 });
  assert.deepEqual(carried, { traceparent: `00-${caller.traceId}-${inner.spanId}-01`, tracestate: "a=1" });
  assert.equal(otlp.resources[0]?.["service.name"], "hotswap");
  assert.equal(otlp.resources[0]?.["service.version"], "1.2.3");
  assert.equal(otlp.headers[0]?.["x-api-key"], "abc=");
  assert.equal(otlp.headers[0]?.["x-other"], "2");
});

test("a failure is passed on and marks the span; the words of a foreign error stay inside", async (t) => {
  const otlp = await receiver(t);
  const traces = await started({ endpoint: `${otlp.url}/` });
  const known = new HotSwapError("store_unavailable", "Redis does not answer.");
  const foreign = new TypeError("password hunter2");
  await assert.rejects(
    traces.span("rejects", {}, () => Promise.reject(known)),
    known,
  );
  assert.throws(
    () =>
      traces.span("throws", {}, () => {
        throw foreign;
      }),
    foreign,
  );
  await traces.stop();
  const [rejects, throws] = otlp.spans;
  assert.deepEqual(rejects?.status, { code: 2, message: "Redis does not answer." });
  assert.deepEqual(plain(rejects.attributes), { "error.type": "store_unavailable" });
  assert.deepEqual(throws?.status, { code: 2 });
  assert.deepEqual(plain(throws.attributes), { "error.type": "TypeError" });
  assert.doesNotMatch(JSON.stringify(otlp.spans), /hunter2/);
});

test("the ratio decides for traces that begin here, the caller for its own", async (t) => {
  const otlp = await receiver(t);
  const traces = await started({ endpoint: `${otlp.url}/v1/traces`, sampleRatio: 0 });
  let own = activeTrace();
  traces.span("own", {}, () => {
    own = activeTrace();
  });
  assert.equal(own?.flags, 0, "not sampled, but it still has ids");
  traces.span("callers", { parent: caller }, () => {});
  traces.span("callers not", { parent: { ...caller, flags: 0 } }, () => {});
  await traces.stop();
  assert.deepEqual(
    otlp.spans.map(({ name }) => name),
    ["callers"],
  );
});

test("a receiver that fails is told once, and stopping does not fail with it", async (t) => {
  const otlp = await receiver(t);
  otlp.answer(400);
  const errors: unknown[] = [];
  const traces = await started({ endpoint: otlp.url, onError: (error) => errors.push(error) });
  for (let i = 0; i < 1_100; i++) traces.span("lost", {}, () => {}); // more than two batches
  await traces.stop();
  await traces.stop();
  assert.equal(otlp.spans.length, 0);
  assert.equal(errors.length, 1);
});

test("without an endpoint nothing is recorded, and the caller's trace still goes through", async () => {
  const traces = await started({});
  assert.equal(traces.enabled, false);
  assert.equal(
    traces.span("none", {}, () => activeTrace()),
    undefined,
  );
  const carried: Record<string, string> = {};
  traces.span("passed on", { parent: caller }, () => traces.span("inner", {}, () => injectTrace(carried)));
  assert.deepEqual(carried, { traceparent: `00-${caller.traceId}-${caller.spanId}-01` });
  await traces.stop();
});

test("without an endpoint the SDK is not even loaded", async () => {
  const script = `
    import { createRequire } from "node:module";
    const { Traces } = await import(${JSON.stringify(import.meta.resolve("./index.ts"))});
    const traces = new Traces({ sampleRatio: 1, version: "1", endpoint: process.env.ENDPOINT });
    await traces.start();
    traces.span("x", {}, () => {});
    const modules = Object.keys(createRequire(import.meta.url).cache);
    process.stdout.write(String(modules.filter((path) => path.includes("/sdk-trace")).length));
    process.exit(0);`;
  const run = async (env: NodeJS.ProcessEnv) => {
    const args = ["--input-type=module", "--eval", script];
    return Number((await promisify(execFile)(process.execPath, args, { env })).stdout);
  };
  assert.equal(await run({}), 0);
  assert((await run({ ENDPOINT: "http://127.0.0.1:1" })) > 0, "the test would notice");
});
