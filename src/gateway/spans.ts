/**
 * Spans of what went through the gateway, made from the data plane's records after the fact: the request, within it the
 * match and the choice of a backend, and one for each attempt. Names and attributes are OpenTelemetry's for HTTP.
 */
import type { Random } from "../core/random.ts";
import type { FinishedSpan } from "../platform/telemetry/index.ts";
import { attemptSpanId } from "./proxy/ids.ts";
import type { RequestRecord } from "./proxy/records.ts";

export interface SpanNames {
  routeName(id: string): string | undefined;
  backendUrl(id: string): string | undefined;
}

export function spansOf(record: RequestRecord, names: SpanNames, random: Random): FinishedSpan[] {
  const { traceId, spanId, parentSpanId, at, method, status, flags, decidedMs, totalMs } = record;
  const route = record.route === undefined ? undefined : (names.routeName(record.route) ?? record.route);
  const newId = () => Buffer.from(random.bytes(8)).toString("hex");
  const inner = { traceId, parentSpanId: spanId };
  const failed = status >= 500 || status === 0 ? (flags[0] ?? String(status)) : undefined;
  const first = record.attempts[0];
  const spans: FinishedSpan[] = [
    {
      ...{ traceId, spanId, parentSpanId, kind: "server", startMs: at, endMs: at + totalMs, failed },
      name: route === undefined ? method : `${method} ${route}`,
      attributes: {
        "http.request.method": method,
        "http.response.status_code": status,
        "url.path": record.path,
        "server.address": record.host,
        "client.address": record.client,
        "network.protocol.version": record.protocol,
        "hotswap.gateway.request_id": record.id,
        "hotswap.gateway.revision": record.revision,
        ...(route !== undefined && { "http.route": route }),
        ...(record.variant !== undefined && { "hotswap.gateway.variant": record.variant }),
        ...(flags.length > 0 && { "hotswap.gateway.flags": flags.join(",") }),
      },
    },
    {
      ...inner,
      ...{ spanId: newId(), name: "match", kind: "internal", startMs: at, endMs: at + decidedMs },
      failed: flags.includes("NR") ? "NR" : undefined,
      attributes: { ...(route !== undefined && { "http.route": route }) },
    },
  ];
  const unfound = flags.find((flag) => flag === "UH" || flag === "UO");
  if (!first && !unfound) return spans;
  spans.push({
    ...inner,
    ...{ spanId: newId(), name: "select", kind: "internal", failed: first ? undefined : unfound },
    ...{ startMs: at + decidedMs, endMs: at + Math.max(decidedMs, first?.startMs ?? totalMs) },
    attributes: { "hotswap.gateway.candidates": record.candidates?.length ?? 0 },
  });
  record.attempts.forEach((attempt, index) => {
    const url = names.backendUrl(attempt.backend);
    spans.push({
      ...inner,
      ...{ spanId: attemptSpanId(spanId, index + 1), name: method, kind: "client" },
      ...{ startMs: at + attempt.startMs, endMs: at + attempt.endMs },
      failed: attempt.flag ?? ((attempt.status ?? 0) >= 500 ? String(attempt.status) : undefined),
      attributes: {
        "http.request.method": method,
        "network.peer.address": attempt.address,
        ...(url !== undefined && { "url.full": url }),
        ...(attempt.status !== undefined && { "http.response.status_code": attempt.status }),
        ...(attempt.problem !== undefined && { "hotswap.gateway.problem": attempt.problem }),
        ...(index > 0 && { "http.request.resend_count": index }),
      },
    });
  });
  return spans;
}
