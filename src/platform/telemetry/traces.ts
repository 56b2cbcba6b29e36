/**
 * Spans, recorded only when there is somewhere to send them: without an OTLP endpoint the OpenTelemetry SDK
 * is not even loaded, and a span is a function call. With one, spans are sampled, batched and sent by
 * OTLP/HTTP.
 *
 * Nothing global is registered: two servers in one process do not meet.
 */
import type { Service } from "../../core/lifecycle.ts";
import type { RecorderOptions, SpanRecorder } from "./otlp.ts";
import {
  activeTrace,
  type FinishedSpan,
  runInSpan,
  type Span,
  type SpanOptions,
  silentSpan,
} from "./trace-context.ts";

export type TracesOptions = Omit<RecorderOptions, "endpoint"> & {
  /** Without it nothing is recorded. */
  endpoint?: string | undefined;
};

export class Traces implements Service {
  readonly name = "traces";
  readonly #options: TracesOptions;
  #recorder: SpanRecorder | undefined;

  constructor(options: TracesOptions) {
    this.#options = options;
  }

  /** Whether spans are recorded at all. */
  get enabled(): boolean {
    return this.#recorder !== undefined;
  }

  async start(): Promise<void> {
    const { endpoint } = this.#options;
    if (endpoint === undefined) return;
    const { openRecorder } = await import("./otlp.ts");
    this.#recorder = openRecorder({ ...this.#options, endpoint });
  }

  /** Sends spans that were measured elsewhere; nothing happens when none are recorded. */
  record(spans: readonly FinishedSpan[]): void {
    for (const span of spans) this.#recorder?.record(span);
  }

  /** Sends what is left, for a few seconds at most. */
  async stop(): Promise<void> {
    const recorder = this.#recorder;
    this.#recorder = undefined;
    await recorder?.stop();
  }

  /**
   * Runs `work` inside a span, which ends when the result has settled and fails when it throws or rejects.
   * When nothing is recorded, `work` still runs in the trace of `parent`.
   */
  span<Result>(name: string, options: SpanOptions, work: () => Result): Result {
    const parent = options.parent ?? activeTrace();
    if (!this.#recorder) return options.parent ? runInSpan(silentSpan(options.parent), work) : work();
    const span = this.#recorder.begin(name, options, parent);
    return runInSpan(span, () => settle(span, work));
  }
}

function settle<Result>(span: Span & { end(): void }, work: () => Result): Result {
  const failed = (error: unknown): never => {
    span.fail(error);
    span.end();
    throw error;
  };
  let result: Result;
  try {
    result = work();
  } catch (error) {
    return failed(error);
  }
  if (!(result instanceof Promise)) {
    span.end();
    return result;
  }
  return result.then((value) => {
    span.end();
    return value;
  }, failed) as Result;
}
