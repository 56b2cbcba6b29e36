/** A receiver of traces for tests: a real HTTP server that takes OTLP/HTTP in JSON and keeps the spans. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status: { code: number; message?: string };
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  links?: { traceId: string; spanId: string }[];
  traceState?: string;
}

interface TraceRequest {
  resourceSpans: {
    resource: { attributes: ReceivedSpan["attributes"] };
    scopeSpans: { spans: ReceivedSpan[] }[];
  }[];
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  readonly resources: Record<string, unknown>[];
  readonly headers: IncomingHttpHeaders[];
  /** Answers with this status from now on. */
  answer(status: number): void;
  stop(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  // The SDK's own variable: nobody who waits for spans has to wait for its usual five seconds.
  process.env.OTEL_BSP_SCHEDULE_DELAY ??= "50";
  const spans: ReceivedSpan[] = [];
  const resources: Record<string, unknown>[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as TraceRequest;
    const fits = request.method === "POST" && request.url === "/v1/traces";
    response.writeHead(fits ? status : 404, { "content-type": "application/json" }).end("{}");
    if (!fits || status !== 200) return;
    headers.push(request.headers);
    for (const { resource, scopeSpans } of body.resourceSpans) {
      resources.push(plain(resource.attributes));
      spans.push(...scopeSpans.flatMap((scope) => scope.spans));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    resources,
    headers,
    answer: (next) => {
      status = next;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** OTLP writes each value under the name of its type. */
export function plain(attributes: ReceivedSpan["attributes"]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
