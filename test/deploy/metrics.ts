/** Every metric that Prometheus has of a HotSwap, with its labels: from the table, and from the process. */
import { type MetricEntry, Metrics, metricTable } from "../../src/platform/telemetry/index.ts";

/** What Prometheus adds to each series of a target. */
const targetLabels = ["job", "instance"];

export async function knownMetrics(): Promise<Map<string, readonly string[]>> {
  const known = new Map<string, readonly string[]>([["up", targetLabels]]);
  const add = (name: string, labels: readonly string[]) => known.set(name, [...labels, ...targetLabels]);
  for (const [name, entry] of Object.entries<MetricEntry>(metricTable)) {
    if (entry.type !== "histogram") add(name, entry.labels);
    else addHistogram(name, entry.labels, add);
  }
  // The families of Node.js declare themselves before they have a value.
  const text = await new Metrics({ process: true }).text();
  for (const [, name, type] of text.matchAll(/^# TYPE ((?:process|nodejs)_\S+) (\S+)$/gm)) {
    const samples = text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{([^}]*)\\}`, "gm"));
    const labels = [...samples].flatMap(([, inside]) => [...inside!.matchAll(/(\w+)="/g)].map(([, l]) => l!));
    // Nothing has been collected yet when this runs; the kind of collection is its one label.
    const own = name === "nodejs_gc_duration_seconds" ? ["kind"] : [...new Set(labels)];
    if (type === "histogram") addHistogram(name!, own, add);
    else add(name!, own);
  }
  return known;
}

function addHistogram(
  name: string,
  labels: readonly string[],
  add: (name: string, labels: readonly string[]) => void,
): void {
  add(`${name}_bucket`, [...labels, "le"]);
  add(`${name}_sum`, labels);
  add(`${name}_count`, labels);
}
