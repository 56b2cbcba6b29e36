/**
 * The OpenTelemetry SDK behind Traces. Loaded only when traces are recorded: it takes a quarter of a second
 * that a start without it does not pay. Not imported by anything but traces.ts.
 */
import {
  createTraceState,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-node";
import { HotSwapError } from "../../core/errors.ts";
import type { FinishedSpan, Span, SpanOptions, TraceContext } from "./trace-context.ts";

export interface RecorderOptions {
  /** Base URL of an OTLP/HTTP receiver. */
  endpoint: string;
  /** `name=value`, separated by commas. */
  headers?: string | undefined;
  /** 0 to 1: the share of the traces that begin here. */
  sampleRatio: number;
  version: string;
  /** Called when sending begins to fail, once until it works again. */
  onError?: (error: unknown) => void;
}

export interface SpanRecorder {
  begin(name: string, options: SpanOptions, parent: TraceContext | undefined): Span & { end(): void };
  /** Sends a span that was measured elsewhere. */
  record(span: FinishedSpan): void;
  stop(): Promise<void>;
}

const sendTimeoutMs = 5_000;

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

export function openRecorder(options: RecorderOptions): SpanRecorder {
  const otlp = new OTLPTraceExporter({
    url: tracesUrl(options.endpoint),
    headers: parseHeaders(options.headers ?? ""),
    timeoutMillis: sendTimeoutMs,
  });
  const exporter = new WatchedExporter(otlp, options.onError ?? (() => {}));
  const resource = resourceFromAttributes({ "service.name": "hotswap", "service.version": options.version });
  const processor = new BatchSpanProcessor(exporter);
  const provider = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer("hotswap", options.version);
  return {
    begin(name, { kind = "internal", attributes, links = [] }, parent) {
      const context = parent ? trace.setSpanContext(ROOT_CONTEXT, toSpanContext(parent)) : ROOT_CONTEXT;
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          ...(attributes && { attributes }),
          links: links.map((link) => ({ context: toSpanContext(link) })),
        },
        context,
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        context: { traceId, spanId, flags: traceFlags, ...(parent?.state && { state: parent.state }) },
        set: (attribute, value) => void span.setAttribute(attribute, value),
        fail(error) {
          // Of a foreign error the text may hold anything; it goes to the log, and only its kind from here.
          const known = error instanceof HotSwapError;
          const code = known ? error.code : error instanceof Error ? error.name : "unknown";
          span.setAttribute("error.type", code);
          span.setStatus({ code: SpanStatusCode.ERROR, ...(known && { message: error.message }) });
        },
        end: () => span.end(),
      };
    },
    record: (span) => processor.onEnd(toReadable(span, resource, options.version)),
    // A receiver that is down must not keep the process from stopping; WatchedExporter has told of it.
    stop: () => provider.shutdown().catch(() => {}),
  };
}

function toReadable(span: FinishedSpan, resource: ReadableSpan["resource"], version: string): ReadableSpan {
  const { traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes, failed } = span;
  const contextOf = (id: string): SpanContext => ({ traceId, spanId: id, traceFlags: 1 });
  return {
    ...{ name, resource, kind: kinds[kind], links: [], events: [], ended: true },
    spanContext: () => contextOf(spanId),
    ...(parentSpanId !== undefined && { parentSpanContext: contextOf(parentSpanId) }),
    ...{ startTime: toHrTime(startMs), endTime: toHrTime(endMs), duration: toHrTime(endMs - startMs) },
    status: { code: failed === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: { ...attributes, ...(failed !== undefined && { "error.type": failed }) },
    instrumentationScope: { name: "hotswap", version },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}

function toHrTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}

function toSpanContext({ traceId, spanId, flags, state }: TraceContext): SpanContext {
  return {
    traceId,
    spanId,
    traceFlags: flags,
    isRemote: true,
    ...(state && { traceState: createTraceState(state) }),
  };
}

/** The setting is the base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT; a URL that names the signal is kept. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith("/v1/traces")) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`;
  return url.href;
}

function parseHeaders(text: string): Record<string, string> {
  const pairs = text.split(",").filter((pair) => pair.includes("="));
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")).trim(), pair.slice(pair.indexOf("=") + 1).trim()]),
  );
}

/** Tells once when sending begins to fail; the SDK itself only drops the batch. */
class WatchedExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #onError: (error: unknown) => void;
  #failing = false;

  constructor(inner: SpanExporter, onError: (error: unknown) => void) {
    this.#inner = inner;
    this.#onError = onError;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#inner.export(spans, (result) => {
      const failed = result.code === ExportResultCode.FAILED;
      if (failed && !this.#failing) this.#onError(result.error);
      this.#failing = failed;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }
}
