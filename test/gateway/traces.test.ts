/** A request through the gateway in the trace of its caller: spans here, and the context at the backend. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { plain, startOtlpReceiver } from "../../src/platform/telemetry/otlp-receiver.testing.ts";
import { TestServer } from "../server.ts";
import { eventually, startBackend } from "./backends.ts";

test("each part of a request has a span in the caller's trace", async () => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = "50"; // else spans wait five seconds for more of them
  const [otlp, backend] = await Promise.all([startOtlpReceiver(), startBackend("one")]);
  const server = await TestServer.start({ "telemetry-otlp-endpoint": otlp.url });
  try {
    const ann = await server.as();
    const route = { name: "traced", match: { path: { prefix: "/t" } }, backends: [{ url: backend.url }] };
    await ann.ok(ann.post("/gateway/routes", route), 201);
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
    const response = await fetch(`${server.gateway}/t/1`, { headers: { traceparent } });
    const { headers } = (await response.json()) as { headers: Record<string, string> };
    assert.match(headers.traceparent!, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
    const own = async () => otlp.spans.filter(({ traceId }) => traceId === trace);
    const spans = await eventually(own, (found) => found.length === 4);
    const incoming = spans.find(({ kind }) => kind === 2)!;
    assert.deepEqual([incoming.name, incoming.parentSpanId], ["GET traced", "00f067aa0ba902b7"]);
    assert.equal(plain(incoming.attributes)["http.route"], "traced");
    const inner = spans.filter((span) => span !== incoming);
    assert.ok(inner.every(({ parentSpanId }) => parentSpanId === incoming.spanId));
    assert.deepEqual(inner.map(({ name }) => name).sort(), ["GET", "match", "select"]);
    const attempt = inner.find(({ kind }) => kind === 3)!;
    assert.equal(plain(attempt.attributes)["url.full"], backend.url);
  } finally {
    await server.remove();
    await Promise.all([otlp.stop(), backend.stop()]);
  }
});
