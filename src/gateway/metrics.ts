/**
 * The numbers of the gateway for /metrics. The data plane counts by itself; at each scrape what it counted since the
 * last one is added, so that a route costs nothing here between scrapes. A series goes with the route that it names.
 */
import type { Counter, Histogram, Metrics } from "../platform/telemetry/index.ts";
import type { BackendState, ProxyStats, RouteStats } from "./proxy/stats.ts";
import type { SharedLimits } from "./shared-limits.ts";

export interface MetricsSource {
  stats(): Promise<ProxyStats>;
  /** Undefined for a route or backend that is no longer there. */
  routeOf(id: string): { tenant: string; name: string } | undefined;
  backendOf(id: string): { tenant: string; url: string } | undefined;
  state(): { revision: number; staleSince: number | undefined; limits: SharedLimits["state"] };
}

const breakerNumbers = { closed: 0, "half-open": 1, open: 2 } as const;
const classes = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

export class GatewayMetrics {
  readonly #metrics: Metrics;
  /** What has been added so far, by series. */
  readonly #seen = new Map<string, number>();
  readonly #histograms = new Map<string, { counts: readonly number[]; sum: number; count: number }>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  watch(source: MetricsSource): () => void {
    return this.#metrics.onCollect(async () => this.#collect(await source.stats(), source));
  }

  forgetRoute({ tenant, name }: { tenant: string; name: string }): void {
    this.#metrics.forget({ tenant, route: name });
  }

  forgetBackend({ tenant, url }: { tenant: string; url: string }): void {
    this.#metrics.forget({ tenant, backend: url });
  }

  #collect(stats: ProxyStats, source: MetricsSource): void {
    const metrics = this.#metrics;
    for (const route of stats.routes) this.#route(route, source);
    for (const backend of stats.backends) this.#backend(backend, source);
    metrics.gauge("gateway_active_connections").labels({}).set(stats.connections);
    metrics.gauge("gateway_tunnels").labels({}).set(stats.tunnels);
    for (const [reason, count] of Object.entries(stats.retries)) {
      this.#add(`retries ${reason}`, count, metrics.counter("gateway_retries_total").labels({ reason }));
    }
    for (const [flag, count] of Object.entries(stats.flags)) {
      this.#add(`flags ${flag}`, count, metrics.counter("gateway_response_flags_total").labels({ flag }));
    }
    for (const [reason, count] of Object.entries(stats.refused)) {
      this.#add(
        `refused ${reason}`,
        count,
        metrics.counter("gateway_requests_refused_total").labels({ reason }),
      );
    }
    const dropped = metrics.counter("gateway_access_log_dropped_total").labels({});
    this.#add("log dropped", stats.logDropped, dropped);
    const { revision, staleSince, limits } = source.state();
    metrics.gauge("gateway_config_revision").labels({}).set(revision);
    metrics
      .gauge("gateway_config_stale")
      .labels({})
      .set(staleSince === undefined ? 0 : 1);
    metrics
      .gauge("gateway_limits_alone")
      .labels({})
      .set(limits === "alone" ? 1 : 0);
  }

  #route(stats: RouteStats, { routeOf }: MetricsSource): void {
    const route = routeOf(stats.id);
    if (!route) return;
    const labels = { tenant: route.tenant, route: route.name, variant: stats.variant };
    const key = JSON.stringify(labels);
    const metrics = this.#metrics;
    stats.byClass.slice(-5).forEach((count, index) => {
      const status_class = classes[index]!;
      const counter = metrics.counter("gateway_requests_total");
      if (count > 0) this.#add(`${key} ${status_class}`, count, counter.labels({ ...labels, status_class }));
    });
    this.#add(`${key} failed`, stats.failed, metrics.counter("gateway_requests_failed_total").labels(labels));
    metrics.gauge("gateway_active_requests").labels(labels).set(stats.active);
    this.#observe(
      `${key} d`,
      stats.duration,
      metrics.histogram("gateway_request_duration_seconds").labels(labels),
    );
    this.#observe(
      `${key} b`,
      stats.backendDuration,
      metrics.histogram("gateway_backend_duration_seconds").labels(labels),
    );
  }

  #backend(state: BackendState, { backendOf }: MetricsSource): void {
    const backend = backendOf(state.id);
    if (!backend) return;
    const labels = { tenant: backend.tenant, backend: backend.url };
    const usable = state.healthy && !state.ejected;
    this.#metrics.gauge("gateway_circuit_breaker_state").labels(labels).set(breakerNumbers[state.breaker]);
    this.#metrics
      .gauge("gateway_backend_healthy")
      .labels(labels)
      .set(usable ? 1 : 0);
    this.#metrics.gauge("gateway_backend_connections").labels(labels).set(state.connections);
  }

  #add(series: string, total: number, counter: Counter): void {
    counter.inc(Math.max(0, total - (this.#seen.get(series) ?? 0)));
    this.#seen.set(series, total);
  }

  /** The data plane's counts are cumulative over the bounds; ours are not. */
  #observe(
    series: string,
    now: { counts: readonly number[]; sum: number; count: number },
    into: Histogram,
  ): void {
    const before = this.#histograms.get(series) ?? { counts: [], sum: 0, count: 0 };
    const cumulative = [...now.counts.slice(0, into.bounds.length), now.count];
    const earlier = [...before.counts.slice(0, into.bounds.length), before.count];
    const grown = cumulative.map((count, index) => count - (earlier[index] ?? 0));
    into.add(
      grown.map((count, index) => Math.max(0, count - (grown[index - 1] ?? 0))),
      now.sum - before.sum,
    );
    this.#histograms.set(series, now);
  }
}
