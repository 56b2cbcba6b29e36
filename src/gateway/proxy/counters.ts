/**
 * What a worker counts of a route: plain numbers that it alone writes, read when somebody asks. They live as long as
 * the route's id, whatever becomes of its settings, and go with it, so series do not outlive what they name.
 */
import { type Histogram, latencyBoundsSeconds, type RouteStats } from "./stats.ts";

const BOUNDS = latencyBoundsSeconds.map((seconds) => seconds * 1000);
/** One for each bound, and one for what is above the last. */
export const BUCKETS: number = BOUNDS.length + 1;

export function bucketOf(ms: number): number {
  let i = 0;
  while (i < BOUNDS.length && ms > BOUNDS[i]!) i++;
  return i;
}

export class Durations {
  readonly #counts = new Float64Array(BUCKETS);
  #sum = 0;
  #count = 0;

  add(ms: number): void {
    this.#counts[bucketOf(ms)]! += 1;
    this.#sum += ms;
    this.#count += 1;
  }

  read(): Histogram {
    let below = 0;
    const counts = BOUNDS.map((_, i) => {
      below += this.#counts[i]!;
      return below;
    });
    return { counts, sum: this.#sum / 1000, count: this.#count };
  }
}

export class RouteCounters {
  readonly byClass = new Float64Array(6);
  readonly duration = new Durations();
  readonly backendDuration = new Durations();
  failed = 0;
  active = 0;
  requestBytes = 0;
  responseBytes = 0;

  read(id: string, variant: string): RouteStats {
    return {
      id,
      variant,
      byClass: [...this.byClass],
      failed: this.failed,
      active: this.active,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      duration: this.duration.read(),
      backendDuration: this.backendDuration.read(),
    };
  }
}

const addUp = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + b[i]!);
const addHistograms = (a: Histogram, b: Histogram): Histogram => ({
  counts: addUp(a.counts, b.counts),
  sum: a.sum + b.sum,
  count: a.count + b.count,
});

/** The counts of several workers as one. */
export function mergeRoutes(all: readonly RouteStats[]): RouteStats[] {
  const merged = new Map<string, RouteStats>();
  for (const one of all) {
    const key = `${one.id} ${one.variant}`;
    const other = merged.get(key);
    merged.set(
      key,
      other
        ? {
            ...one,
            byClass: addUp(one.byClass, other.byClass),
            failed: one.failed + other.failed,
            active: one.active + other.active,
            requestBytes: one.requestBytes + other.requestBytes,
            responseBytes: one.responseBytes + other.responseBytes,
            duration: addHistograms(one.duration, other.duration),
            backendDuration: addHistograms(one.backendDuration, other.backendDuration),
          }
        : one,
    );
  }
  return [...merged.values()];
}
