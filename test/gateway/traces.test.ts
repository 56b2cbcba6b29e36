/**
 * What is seen in a receiver of traces: a request through the gateway in the trace of its caller, with the context at
 * the backend, and a deployment in the trace of who asked for it, down to the instances that are told of it.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { context, propagation, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { connect } from "../../client/src/node.ts";
import {
  type OtlpReceiver,
  plain,
  type ReceivedSpan,
  startOtlpReceiver,
} from "../../src/platform/telemetry/otlp-receiver.testing.ts";
import { type Caller, TestServer } from "../server.ts";
import { eventually, startBackend } from "./backends.ts";

const parent = "00f067aa0ba902b7";
let otlp: OtlpReceiver;
let server: TestServer;
let ann: Caller;
before(async () => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = "50"; // else spans wait five seconds for more of them
  otlp = await startOtlpReceiver();
  server = await TestServer.start({ "telemetry-otlp-endpoint": otlp.url });
  ann = await server.as();
});
after(async () => {
  await server.remove();
  await otlp.stop();
});

test("each part of a request has a span in the caller's trace", async () => {
  const backend = await startBackend("one");
  const route = { name: "traced", match: { path: { prefix: "/t" } }, backends: [{ url: backend.url }] };
  await ann.ok(ann.post("/gateway/routes", route), 201);
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const traceparent = `00-${trace}-${parent}-01`;
  const response = await fetch(`${server.gateway}/t/1`, { headers: { traceparent } });
  const { headers } = (await response.json()) as { headers: Record<string, string> };
  assert.match(headers.traceparent!, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  const own = async () => otlp.spans.filter(({ traceId }) => traceId === trace);
  const spans = await eventually(own, (found) => found.length === 4);
  const incoming = spans.find(({ kind }) => kind === 2)!;
  assert.deepEqual([incoming.name, incoming.parentSpanId], ["GET traced", parent]);
  assert.equal(plain(incoming.attributes)["http.route"], "traced");
  const inner = spans.filter((span) => span !== incoming);
  assert.ok(inner.every(({ parentSpanId }) => parentSpanId === incoming.spanId));
  assert.deepEqual(inner.map(({ name }) => name).sort(), ["GET", "match", "select"]);
  const attempt = inner.find(({ kind }) => kind === 3)!;
  assert.equal(plain(attempt.attributes)["url.full"], backend.url);
  assert.equal(
    headers.traceparent,
    `00-${trace}-${attempt.spanId}-01`,
    "what the backend does is within the attempt",
  );
  await backend.stop();
});

test("a deployment is one trace: its steps, their units and the judge, and the way back", async () => {
  const place = { service: "traced", environment: "test" };
  await ann.ok(ann.post("/configs", { name: "traced", ...place, format: "json" }), 201);
  await ann.ok(ann.post("/instances", { instanceId: "traced-1", ...place }));
  /** Deploys the next version in a trace of its own. Resolves to the spans, by name. */
  async function deploy(version: number, end: "applied" | "rejected" | "taken back by hand") {
    const isByHand = end === "taken back by hand";
    await ann.ok(ann.post("/configs/traced/versions", { text: JSON.stringify({ version }) }), 201);
    const traceId = String(version).repeat(32);
    const headers = { traceparent: `00-${traceId}-${parent}-01` };
    const body = {
      kind: "config",
      config: "traced",
      version,
      strategy: "direct",
      probeSeconds: isByHand ? 60 : 0.5,
    };
    const { id } = await ann.ok(ann.post("/deployments", body, { headers }), 201);
    let applied: object[] = [];
    const beat = async () => {
      const answer = await ann.ok(
        ann.post("/instances/traced-1/heartbeat", { applied, metrics: { requests: 50, errors: 0 } }),
      );
      applied = answer.configs.map(({ config, version: wanted }: { config: string; version: number }) => ({
        ...{ config, version: wanted },
        ...(wanted === version && end === "rejected" ? { status: end, reason: "no" } : { status: "applied" }),
      }));
      return ann.ok(ann.get(`/deployments/${id}`));
    };
    if (isByHand) {
      await eventually(beat, ({ step }) => step?.kind === "bake");
      await ann.ok(ann.post(`/deployments/${id}/rollback`, { reason: "enough" }));
    }
    await eventually(beat, ({ endedAt }) => endedAt !== null);
    const own = async () => otlp.spans.filter((span) => span.traceId === traceId);
    const spans = await eventually(own, (found) => found.some(({ name }) => name === "deploy config traced"));
    return (name: string) => spans.filter((span) => span.name === name);
  }
  const idsOf = (spans: readonly ReceivedSpan[]) => spans.map(({ spanId }) => spanId);
  const ok = 0;
  const failed = 2;

  const good = await deploy(1, "applied");
  const whole = good("deploy config traced")[0]!;
  assert.equal(plain(whole.attributes)["hotswap.deployment.status"], "succeeded");
  const steps = good("deployment step expose");
  assert.equal(steps.length, 2, "the probe, then all");
  assert.ok(steps.every(({ parentSpanId }) => parentSpanId === whole.spanId));
  const units = good("deployment unit");
  assert.deepEqual(
    units.map(({ attributes, status }) => [plain(attributes)["hotswap.deployment.unit"], status.code]),
    [["traced-1", ok]],
  );
  assert.ok(idsOf(steps).includes(units[0]!.parentSpanId!));
  const inSteps = [
    ...idsOf(steps),
    ...idsOf(good("deployment step bake")),
    ...idsOf(good("deployment step retire")),
  ];
  const judged = good("deployment judge");
  assert.ok(judged.length > 0 && judged.every(({ parentSpanId }) => inSteps.includes(parentSpanId!)));

  const bad = await deploy(2, "rejected");
  assert.equal(bad("deploy config traced")[0]!.status.code, failed);
  assert.equal(bad("deployment step expose")[0]!.status.code, failed);
  const [refused] = bad("deployment unit");
  assert.equal(plain(refused!.attributes)["hotswap.deployment.reason"], "rejected: no");
  const [back] = bad("deployment rollback");
  assert.equal(back!.parentSpanId, bad("deploy config traced")[0]!.spanId);
  assert.equal(plain(back!.attributes)["hotswap.deployment.cause"], "failures");

  const taken = await deploy(3, "taken back by hand");
  const [left] = taken("deployment step bake");
  assert.equal(left!.parentSpanId, taken("deploy config traced")[0]!.spanId);
  assert.equal(left!.endTimeUnixNano, taken("deployment rollback")[0]!.startTimeUnixNano);
  assert.ok(BigInt(left!.startTimeUnixNano) < BigInt(left!.endTimeUnixNano));
});

test("who is told of a version by a deployment applies it in a span below the step that told it", async (t) => {
  const place = { service: "telling", environment: "test" };
  await ann.ok(ann.post("/configs", { name: "telling", ...place, format: "json" }), 201);
  // As a service does that has OpenTelemetry; this registers its API for the process.
  const exporter = new OTLPTraceExporter({ url: `${otlp.url}/v1/traces` });
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  provider.register();
  const client = connect({ url: server.url, token: ann.token });
  const watching = client.configuration({
    instanceId: "telling-1",
    ...place,
    onChange({ version }) {
      if (version === 2) throw new Error("no");
      seen.push(trace.getActiveSpan()?.spanContext().spanId);
    },
  });
  const seen: (string | undefined)[] = [];
  t.after(async () => {
    await (await watching).close();
    client.close();
    await provider.shutdown();
    for (const api of [trace, context, propagation]) api.disable();
  });

  async function deploy(
    version: number,
    traceId: string,
    body: object,
    isOver: (now: Deployment) => boolean,
  ) {
    await ann.ok(ann.post("/configs/telling/versions", { text: JSON.stringify({ version }) }), 201);
    const headers = { traceparent: `00-${traceId}-${parent}-01` };
    const asked = { kind: "config", config: "telling", version, strategy: "direct", ...body };
    const { id } = await ann.ok(ann.post("/deployments", asked, { headers }), 201);
    await eventually(() => ann.ok(ann.get(`/deployments/${id}`)), isOver);
    return id;
  }
  /** Of each application the version, whether it failed, and of what span it is. */
  async function applied(traceId: string, count: number) {
    const own = async () => otlp.spans.filter((span) => span.traceId === traceId);
    const isWhole = (spans: ReceivedSpan[]) =>
      spans.some(({ name }) => name === "deploy config telling") &&
      spans.filter(({ name }) => name === "configuration apply").length >= count;
    const spans = await eventually(own, isWhole);
    return spans
      .filter(({ name }) => name === "configuration apply")
      .map(({ spanId, parentSpanId, attributes, status }) => ({
        spanId,
        version: Number(plain(attributes)["hotswap.config.version"]),
        isFailed: status.code === 2,
        parent: spans.find((span) => span.spanId === parentSpanId)?.name,
      }))
      .sort((a, b) => b.version - a.version);
  }
  type Deployment = { status: string; endedAt: string | null; progress: { applied: number } | null };
  const isEnded = ({ endedAt }: Deployment) => endedAt !== null;
  const [good, bad, back] = ["7".repeat(32), "8".repeat(32), "9".repeat(32)] as const;
  await deploy(1, good, { probeSeconds: 0.1 }, isEnded);
  const [first] = await applied(good, 1);
  assert.deepEqual([first!.version, first!.isFailed, first!.parent], [1, false, "deployment step expose"]);
  assert.equal(seen.at(-1), first!.spanId, "and what it does is in that span");
  await deploy(2, bad, { probeSeconds: 0.1 }, isEnded);
  const [refused] = await applied(bad, 1);
  assert.deepEqual([refused!.version, refused!.isFailed], [2, true]);
  const id = await deploy(3, back, { probeSeconds: 60 }, ({ progress }) => progress?.applied === 1);
  await ann.ok(ann.post(`/deployments/${id}/rollback`, { reason: "enough" }));
  const ways = (await applied(back, 2)).map(({ version, parent }) => [version, parent]);
  assert.deepEqual(ways, [
    [3, "deployment step expose"],
    [1, "deployment rollback"],
  ]);
});
