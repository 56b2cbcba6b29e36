/**
 * What a metric is made of: one cell per label set, a plain number that the hot path changes without a
 * look-up. A family hands out cells by label set, up to a cap, and forgets them when what they name is gone.
 *
 * @prometheus-io/client would look up the label set at each change; here it is done once, by `labels(...)`.
 */
import type { MetricEntry } from "./metric-table.ts";

export interface Sample {
  labels: Record<string, string>;
  value: number;
  /** Where it differs from the family's: `_bucket`, `_sum`, `_count`. */
  metricName?: string;
}

interface Cell {
  samples(name: string, labels: Record<string, string>): Sample[];
}

export class Counter implements Cell {
  #value = 0;

  /** `by` ≥ 0. */
  inc(by = 1): void {
    this.#value += by;
  }

  samples(_name: string, labels: Record<string, string>): Sample[] {
    return [{ labels, value: this.#value }];
  }
}

export class Gauge implements Cell {
  #value = 0;

  set(value: number): void {
    this.#value = value;
  }

  inc(by = 1): void {
    this.#value += by;
  }

  dec(by = 1): void {
    this.#value -= by;
  }

  samples(_name: string, labels: Record<string, string>): Sample[] {
    return [{ labels, value: this.#value }];
  }
}

export class Histogram implements Cell {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  }

  samples(name: string, labels: Record<string, string>): Sample[] {
    let count = 0;
    const buckets = [...this.#bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
      count += this.#counts[index]!;
      const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound);
      return { labels: { ...labels, le }, value: count, metricName: `${name}_bucket` };
    });
    const sum = { labels, value: this.#sum, metricName: `${name}_sum` };
    return [...buckets, sum, { labels, value: count, metricName: `${name}_count` }];
  }
}

/** The value of every label of the series that counts what had no room for a series of its own. */
export const overflowLabel = "_other";

export class Family<LabelName extends string, OneCell extends Cell> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricEntry["type"];
  readonly #labelNames: readonly LabelName[];
  readonly #make: () => OneCell;
  readonly #seriesMax: number;
  readonly #onOverflow: () => void;
  readonly #series = new Map<string, { labels: Record<string, string>; cell: OneCell }>();

  constructor(
    name: string,
    entry: MetricEntry & { labels: readonly LabelName[] },
    make: () => OneCell,
    limit: { seriesMax: number; onOverflow: () => void },
  ) {
    this.name = name;
    this.help = entry.help;
    this.type = entry.type;
    this.#labelNames = entry.labels;
    this.#make = make;
    this.#seriesMax = limit.seriesMax;
    this.#onOverflow = limit.onOverflow;
    if (entry.labels.length === 0) this.labels({} as Record<LabelName, string>); // shows 0 from the start
  }

  /** The cell of this label set, made when it is new. Keep it; ask again only after `forget`. */
  labels(values: Record<LabelName, string>): OneCell {
    const key = JSON.stringify(this.#labelNames.map((name) => values[name]));
    const known = this.#series.get(key);
    if (known) return known.cell;
    if (this.#series.size < this.#seriesMax) return this.#add(key, (name) => values[name]);
    this.#onOverflow();
    // A gauge of many things at once would say nothing; it is not shown at all.
    if (this.type === "gauge") return this.#make();
    return this.#series.get(overflowLabel)?.cell ?? this.#add(overflowLabel, () => overflowLabel);
  }

  #add(key: string, valueFor: (name: LabelName) => string): OneCell {
    const cell = this.#make();
    // An empty value is the same as no label (Prometheus data model), and shorter.
    const pairs = this.#labelNames
      .map((name) => [name, valueFor(name)] as const)
      .filter(([, value]) => value !== "");
    this.#series.set(key, { labels: Object.fromEntries(pairs), cell });
    return cell;
  }

  /** Drops the series that carry all of these labels. Who still holds such a cell changes it unseen. */
  forget(match: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(match);
    if (wanted.some(([name]) => !(this.#labelNames as readonly string[]).includes(name))) return;
    for (const [key, { labels }] of this.#series) {
      if (wanted.every(([name, value]) => labels[name] === value)) this.#series.delete(key);
    }
  }

  /** As the client's registry asks for it. */
  async get(): Promise<{ name: string; help: string; type: string; values: Sample[] }> {
    const values = [...this.#series.values()].flatMap(({ labels, cell }) => cell.samples(this.name, labels));
    return { name: this.name, help: this.help, type: this.type, values };
  }
}
