/**
 * The trace that the running code belongs to, and how it travels: W3C Trace Context (traceparent,
 * tracestate). Works without an SDK, so that a caller's trace goes through HotSwap and into its log also when
 * HotSwap records no spans of its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";

export interface TraceContext {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits. */
  spanId: string;
  /** Trace flags; bit 0 is "sampled". */
  flags: number;
  /** The list of `tracestate`, unchanged. */
  state?: string;
}

const traceparentPattern =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const statePattern = /^[\x20-\x7e]{1,512}$/;

/** Undefined for what the specification says to ignore (§3.2). A later version may have more fields. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, traceId, spanId, flags, rest] = traceparentPattern.exec(text) ?? [];
  if (!traceId || !spanId || !flags || (rest && text.startsWith("00"))) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & 1 };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`;
}

type Headers = Record<string, string | string[] | undefined>;

/** The caller's trace, of header fields or message headers with names in lower case. */
export function extractTrace(headers: Headers): TraceContext | undefined {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== "string") return undefined;
  const context = parseTraceparent(traceparent);
  const state = Array.isArray(tracestate) ? tracestate.join(",") : tracestate;
  return context && state && statePattern.test(state) ? { ...context, state } : context;
}

/** Writes the active trace into headers that leave the process. Nothing when there is none. */
export function injectTrace(headers: Record<string, string>): void {
  const context = activeTrace();
  if (!context) return;
  headers.traceparent = formatTraceparent(context);
  if (context.state) headers.tracestate = context.state;
}

/** What the running code may say about its part of the trace. */
export interface Span {
  readonly context: TraceContext;
  set(attribute: string, value: string | number | boolean): void;
  /** Marks the span as failed. */
  fail(error: unknown): void;
}

export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";
export type Attributes = Record<string, string | number | boolean>;

export interface SpanOptions {
  kind?: SpanKind;
  attributes?: Attributes;
  /** Default: the active span. */
  parent?: TraceContext | undefined;
  /** Other traces that this work came from, such as those of the messages of a batch. */
  links?: readonly TraceContext[];
}

/** A span that was measured elsewhere, and is only to be sent. */
export interface FinishedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string | undefined;
  name: string;
  kind: SpanKind;
  /** Wall time in milliseconds, with a fraction. */
  startMs: number;
  endMs: number;
  attributes: Attributes;
  /** What kind of failure it ended with (error.type); undefined when all went well. */
  failed?: string | undefined;
}

// One for the process: a trace belongs to a line of execution, whichever server it runs in.
const active = new AsyncLocalStorage<Span>();

export function activeTrace(): TraceContext | undefined {
  return active.getStore()?.context;
}

export function activeSpan(): Span | undefined {
  return active.getStore();
}

export function runInSpan<Result>(span: Span, work: () => Result): Result {
  return active.run(span, work);
}

/** For work that outlives what began it, and belongs to no trace. */
export function runOutsideSpans<Result>(work: () => Result): Result {
  return active.exit(work);
}

/** A span that is recorded nowhere; it carries the context on. */
export function silentSpan(context: TraceContext): Span {
  return { context, set() {}, fail() {} };
}
