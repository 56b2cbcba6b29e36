/**
 * The numbers of instances for /metrics. How long a reload takes is measured from the moment that instances are
 * told.
 */
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import { countByScope } from "./instances.sql.ts";
import type { ScopeName } from "./scopes.sql.ts";

/** Who applies a version later than this after it was told was not reloading: it has just come. */
const reloadMaxMs = 60_000;
const toldMax = 10_000;
/** No name has a line end. */
const toldKey = (tenant: string, config: string, version: number | null) =>
  `${tenant}\n${config}\n${version}`;

export class DeliveryMetrics {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  /** Monotonic; by tenant, configuration and version: when it was last told. */
  readonly #toldAt = new Map<string, number>();
  #shown: ScopeName[] = [];

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  watch(sql: Sql): void {
    this.#metrics.onCollect(async () => {
      const rows = await sql.system((tx: DeliveryTx) => countByScope(tx));
      const gauge = this.#metrics.gauge("registered_instances");
      for (const { tenant, service, environment } of this.#shown) {
        gauge.labels({ tenant, service, environment }).set(0);
      }
      this.#shown = rows.map(({ tenant_id: tenant, service, environment }) => ({
        tenant,
        service,
        environment,
      }));
      for (const { tenant_id: tenant, service, environment, count } of rows) {
        gauge.labels({ tenant, service, environment }).set(count);
      }
    });
  }

  told({ tenant }: ScopeName, config: string, version: number): void {
    const key = toldKey(tenant, config, version);
    this.#toldAt.delete(key); // to the end of the order, as the newest
    this.#toldAt.set(key, this.#clock.monotonic());
    if (this.#toldAt.size > toldMax) this.#toldAt.delete(this.#toldAt.keys().next().value!);
  }

  applied({ tenant }: ScopeName, config: string, version: number | null): void {
    const toldAt = this.#toldAt.get(toldKey(tenant, config, version));
    const tookMs = toldAt === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonic() - toldAt;
    if (tookMs > reloadMaxMs) return;
    this.#metrics
      .histogram("config_reload_duration_seconds")
      .labels({ tenant, config })
      .observe(tookMs / 1000);
  }

  streams(open: number): void {
    this.#metrics.gauge("config_streams").labels({}).set(open);
  }
}
