/**
 * What is measured of each request: duration and number by OpenTelemetry's semantic conventions for HTTP, a
 * server span in the caller's trace, and a log line: an error for what failed inside, debug for the rest.
 * Bound once per route; a request that nobody traces costs a map look-up and two additions.
 */
import type { IncomingMessage } from "node:http";
import type { HotSwapError } from "../../core/errors.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Histogram } from "./series.ts";
import { activeSpan, extractTrace } from "./trace-context.ts";
import type { Traces } from "./traces.ts";

export interface ObserverParts {
  metrics: Metrics;
  traces: Traces;
  log: Log;
}

/** What is needed to know of a route; the room of http lies above this one. */
interface ObservedRoute {
  id: string;
  method: string;
  path: string;
}

/** Fits `HttpOptions.observe`. */
export function httpObserver({ metrics, traces, log }: ObserverParts) {
  return (route: ObservedRoute) => {
    const scheme = { http_request_method: route.method, url_scheme: "http" };
    const active = metrics.gauge("http_server_active_requests").labels(scheme);
    const family = metrics.histogram("http_server_request_duration_seconds");
    const durations = new Map<string | number, Histogram>();
    const durationOf = (status: number, failure: HotSwapError | undefined) => {
      // Only what the server did wrong is an error of the server (semantic conventions, error.type).
      const error_type = status >= 500 ? (failure?.code ?? String(status)) : "";
      const key = error_type ? `${status} ${error_type}` : status;
      const known = durations.get(key);
      if (known) return known;
      const labels = {
        ...scheme,
        http_route: route.path,
        http_response_status_code: String(status),
        error_type,
      };
      const made = family.labels(labels);
      durations.set(key, made);
      return made;
    };
    const name = `${route.method} ${route.path}`;
    const attributes = {
      "http.request.method": route.method,
      "http.route": route.path,
      "url.scheme": "http",
    };

    return {
      begin: () => active.inc(),
      around<Result>(request: IncomingMessage, work: () => Result): Result {
        const parent = extractTrace(request.headers);
        return traces.span(name, { kind: "server", attributes, parent }, work);
      },
      end(
        request: IncomingMessage,
        status: number,
        durationMs: number,
        failure: HotSwapError | undefined,
        requestId: string,
      ): void {
        active.dec();
        durationOf(status, failure).observe(durationMs / 1_000);
        const span = activeSpan();
        span?.set("http.response.status_code", status);
        if (status >= 500) span?.fail(failure ?? new Error(String(status)));
        if (!failure && status < 500 && !log.isLevelEnabled("debug")) return;
        writeLine(log, request, { route: route.id, status, durationMs, requestId }, failure);
      },
    };
  };
}

interface Facts {
  route: string;
  status: number;
  durationMs: number;
  requestId: string;
}

function writeLine(
  log: Log,
  request: IncomingMessage,
  facts: Facts,
  failure: HotSwapError | undefined,
): void {
  const code = failure?.code;
  if (code === "internal") {
    log.error({ ...facts, code, err: failure?.cause ?? failure }, "a request failed inside");
  } else if (facts.status >= 500) {
    log.warn({ ...facts, code, err: failure?.cause ?? failure }, "a request was not served");
  } else if (log.isLevelEnabled("debug")) {
    // The path without its query, which may hold anything.
    const path = request.url?.split("?", 1)[0];
    log.debug({ ...facts, method: request.method, path, ...(code && { code }) }, "request");
  }
}
