/**
 * The work of applying a version as a span of the service's own, below the step of the deployment that told of it.
 * Where the service has OpenTelemetry, its API is registered in a place that all copies of the API share; that place is
 * looked at, so that the client needs no dependency. Without it, or without a trace, there is the work alone.
 */

interface Context {
  setValue(key: symbol, value: unknown): Context;
}

interface Span {
  setStatus(status: { code: number; message: string }): void;
  end(): void;
}

/** What of @opentelemetry/api 1.x is needed here, as its SDK registers it. */
interface Api {
  trace?: {
    getTracer(name: string): {
      startSpan(
        name: string,
        options: { attributes: Record<string, string | number> },
        context: Context,
      ): Span;
    };
  };
  context?: { active(): Context; with<Result>(context: Context, work: () => Result): Result };
  propagation?: {
    extract<Carrier>(
      context: Context,
      carrier: Carrier,
      getter: { get(from: Carrier, key: string): string | undefined; keys(from: Carrier): string[] },
    ): Context;
  };
}

export interface Applying {
  traceparent: string | undefined;
  deployment: string | null;
  config: string;
  version: number;
  instanceId: string;
}

const registered = Symbol.for("opentelemetry.js.api.1");
/** Where the API keeps the active span in a context. */
const spanKey = Symbol.for("OpenTelemetry Context Key SPAN");
const failed = 2;
const getter = {
  get: (from: Record<string, string>, key: string) => from[key],
  keys: (from: Record<string, string>) => Object.keys(from),
};

/** `work` never rejects for what the version does; it resolves to why that was refused. */
export async function spanOf(
  { traceparent, deployment, config, version, instanceId }: Applying,
  work: () => Promise<string | undefined>,
): Promise<void> {
  const { trace, context, propagation } = (globalThis as Record<symbol, Api | undefined>)[registered] ?? {};
  if (traceparent === undefined || !trace || !context || !propagation) {
    await work();
    return;
  }
  const parent = propagation.extract(context.active(), { traceparent }, getter);
  const attributes = {
    ...{ "hotswap.config": config, "hotswap.config.version": version, "hotswap.instance.id": instanceId },
    ...(deployment !== null && { "hotswap.deployment.id": deployment }),
  };
  const span = trace.getTracer("@hotswap/client").startSpan("configuration apply", { attributes }, parent);
  try {
    const refusal = await context.with(parent.setValue(spanKey, span), work);
    if (refusal !== undefined) span.setStatus({ code: failed, message: refusal });
  } finally {
    span.end();
  }
}
