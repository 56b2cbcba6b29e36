/**
 * The metrics of one HotSwap: the families of metric-table.ts, and on request those of the process (CPU,
 * memory, event loop, garbage collection) under the names that every Node.js dashboard knows. The
 * latter come from @prometheus-io/client; our own are made for the hot path (series.ts).
 */
import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricEntry,
  type MetricName,
  metricTable,
} from "./metric-table.ts";
import { Counter, Family, Gauge, Histogram } from "./series.ts";

export interface MetricsOptions {
  /** Label sets per metric. Default 2,000. */
  seriesMax?: number;
  /** Adds the metrics of the process. They are watched for as long as the process lives. */
  process?: boolean;
}

interface FamilyOf<Name extends MetricName, Cell> {
  labels(values: LabelsOf<Name>): Cell;
}

type AnyFamily = Family<string, Counter | Gauge | Histogram>;

export class Metrics {
  readonly #process = new Registry();
  readonly #families = new Map<MetricName, AnyFamily>();
  readonly #collectors = new Set<() => void | Promise<void>>();

  constructor(options: MetricsOptions = {}) {
    const { seriesMax = 2_000 } = options;
    for (const [name, entry] of Object.entries(metricTable) as [MetricName, MetricEntry][]) {
      const onOverflow = () => this.counter("metrics_overflow_total").labels({ metric: name }).inc();
      // The count of overflows has a row per metric at most, and must never overflow itself.
      const limit = { seriesMax: name === "metrics_overflow_total" ? Infinity : seriesMax, onOverflow };
      const family: AnyFamily = new Family(name, entry, () => makeCell(entry), limit);
      this.#families.set(name, family);
    }
    if (options.process) collectDefaultMetrics({ register: this.#process });
  }

  counter<Name extends CounterName>(name: Name): FamilyOf<Name, Counter> {
    return this.#family(name);
  }

  gauge<Name extends GaugeName>(name: Name): FamilyOf<Name, Gauge> {
    return this.#family(name);
  }

  /** Observe base units: seconds, bytes. */
  histogram<Name extends HistogramName>(name: Name): FamilyOf<Name, Histogram> {
    return this.#family(name);
  }

  #family<Name extends MetricName, Cell>(name: Name): FamilyOf<Name, Cell> {
    return this.#families.get(name) as unknown as FamilyOf<Name, Cell>;
  }

  /**
   * Runs `work` before each scrape, to set gauges that nobody needs to keep up in between. Returns its end.
   */
  onCollect(work: () => void | Promise<void>): () => void {
    this.#collectors.add(work);
    return () => void this.#collectors.delete(work);
  }

  /**
   * Drops every series, of any metric, that carries all of these labels: `{ tenant, topic }`, when a topic
   * goes.
   */
  forget(labels: Readonly<Record<string, string>>): void {
    for (const family of this.#families.values()) family.forget(labels);
  }

  /** Everything in Prometheus's text format 0.0.4. */
  async text(): Promise<string> {
    for (const collect of this.#collectors) {
      try {
        await collect();
      } catch {
        // One part that fails must not take the metrics of all others with it; it is counted instead.
        this.counter("metrics_collect_failures_total").labels({}).inc();
      }
    }
    let text = "";
    for (const family of this.#families.values()) {
      text += `${family.text()}\n`;
      await new Promise((resolve) => setImmediate(resolve)); // thousands of series must not hold up requests
    }
    return text + (await this.#process.metrics());
  }

  get contentType(): string {
    return this.#process.contentType;
  }
}

function makeCell(entry: MetricEntry): Counter | Gauge | Histogram {
  if (entry.type === "counter") return new Counter();
  return entry.type === "gauge" ? new Gauge() : new Histogram(entry.buckets ?? []);
}
