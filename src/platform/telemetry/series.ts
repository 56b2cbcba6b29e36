/**
 * What a metric is made of: one cell per label set, a plain number that the hot path changes without a
 * look-up. A family hands out cells by label set, up to a cap, forgets them when what they name is gone, and
 * writes them in Prometheus's text format.
 *
 * @prometheus-io/client would look up the label set at each change, here it is done once by `labels(...)`;
 * and it builds an object per sample, which makes a scrape of 2,000 histograms about ten times slower.
 */
import type { MetricEntry } from "./metric-table.ts";

interface Cell {
  /** Lines of the text format. `labels` is what stands between the braces, or nothing. */
  text(name: string, labels: string): string;
}

const line = (name: string, labels: string, value: number) =>
  labels === "" ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`;

export class Counter implements Cell {
  #value = 0;

  /** `by` ≥ 0. */
  inc(by = 1): void {
    this.#value += by;
  }

  text(name: string, labels: string): string {
    return line(name, labels, this.#value);
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

  text(name: string, labels: string): string {
    return line(name, labels, this.#value);
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

  get bounds(): readonly number[] {
    return this.#bounds;
  }

  /** What was counted elsewhere: for each bound, and for what is above the last, how many more; and their sum. */
  add(counts: readonly number[], sum: number): void {
    for (let bucket = 0; bucket < this.#counts.length; bucket++) this.#counts[bucket]! += counts[bucket] ?? 0;
    this.#sum += sum;
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  }

  text(name: string, labels: string): string {
    const prefix = labels === "" ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
    let count = 0;
    let lines = "";
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      count += this.#counts[bucket]!;
      lines += `${prefix}${this.#bounds[bucket] ?? "+Inf"}"} ${count}\n`;
    }
    return lines + line(`${name}_sum`, labels, this.#sum) + line(`${name}_count`, labels, count);
  }
}

/** The value of every label of the series that counts what had no room for a series of its own. */
export const overflowLabel = "_other";

interface Series<OneCell> {
  values: Record<string, string>;
  /** As the text format writes them. */
  labels: string;
  cell: OneCell;
}

export class Family<LabelName extends string, OneCell extends Cell> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricEntry["type"];
  readonly #labelNames: readonly LabelName[];
  readonly #make: () => OneCell;
  readonly #seriesMax: number;
  readonly #onOverflow: () => void;
  readonly #series = new Map<string, Series<OneCell>>();

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
    const labels = pairs.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",");
    this.#series.set(key, { values: Object.fromEntries(pairs), labels, cell });
    return cell;
  }

  /** Drops the series that carry all of these labels. Who still holds such a cell changes it unseen. */
  forget(match: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(match);
    for (const [key, { values }] of this.#series) {
      if (wanted.every(([name, value]) => values[name] === value)) this.#series.delete(key);
    }
  }

  text(): string {
    let lines = `# HELP ${this.name} ${this.help}\n# TYPE ${this.name} ${this.type}\n`;
    for (const { labels, cell } of this.#series.values()) lines += cell.text(this.name, labels);
    return lines;
  }
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
