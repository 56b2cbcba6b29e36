/** Log, metrics and traces of a HotSwap process. */
export { httpObserver } from "./http-observer.ts";
export { createLog, type Log, type LogLevel, type LogOptions } from "./log.ts";
export { type MetricEntry, type MetricName, metricTable } from "./metric-table.ts";
export { metricsRoutes } from "./metrics.routes.ts";
export { Metrics, type MetricsOptions } from "./metrics.ts";
export { ProcessUsage, type Usage } from "./process-usage.ts";
export { redact, redactText } from "./redact.ts";
export type { Counter, Gauge, Histogram } from "./series.ts";
export {
  type Attributes,
  activeSpan,
  activeTrace,
  extractTrace,
  type FinishedSpan,
  formatTraceparent,
  injectTrace,
  parseTraceparent,
  runOutsideSpans,
  type Span,
  type SpanKind,
  type SpanOptions,
  type TraceContext,
} from "./trace-context.ts";
export { Traces, type TracesOptions } from "./traces.ts";
