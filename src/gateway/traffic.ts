/**
 * What goes through each route and backend right now, for a page that draws it: totals since the start of this node,
 * and rates over the last seconds from samples that are taken while somebody looks.
 */
import type { Clock } from "../core/clock.ts";
import { latencyBoundsSeconds, type ProxyStats, type RouteStats } from "./proxy/stats.ts";

interface Sample {
  /** Monotonic milliseconds. */
  at: number;
  stats: ProxyStats;
}

export interface RouteTraffic {
  id: string;
  variant: string;
  requests: number;
  failed: number;
  active: number;
  byClass: readonly number[];
  requestBytes: number;
  responseBytes: number;
  requestsPerSecond: number;
  failuresPerSecond: number;
  /** Seconds; null without a request in the window. */
  p50Seconds: number | null;
  p99Seconds: number | null;
}

/** Rates are over at least this, when there are samples as old. */
const windowMs = 10_000;
const samplesMax = 64;
/** A sample that is younger is good enough for everyone who asks. */
const freshMs = 900;

export class Traffic {
  readonly #clock: Clock;
  readonly #stats: () => Promise<ProxyStats>;
  readonly #samples: Sample[] = [];

  constructor(clock: Clock, stats: () => Promise<ProxyStats>) {
    this.#clock = clock;
    this.#stats = stats;
  }

  async read() {
    const latest = await this.#sample();
    const before = this.#samples.findLast(({ at }) => latest.at - at >= windowMs) ?? this.#samples[0]!;
    const seconds = (latest.at - before.at) / 1_000;
    const keyOf = ({ id, variant }: RouteStats) => `${id} ${variant}`;
    const earlier = new Map(before.stats.routes.map((route) => [keyOf(route), route]));
    const { routes, backends, ...rest } = latest.stats;
    const requestsBefore = new Map(before.stats.backends.map(({ id, requests }) => [id, requests]));
    return {
      windowSeconds: seconds,
      totals: rest,
      routes: routes.map((route) => trafficOf(route, earlier.get(keyOf(route)), seconds)),
      backends: backends.map((backend) => ({
        ...backend,
        requestsPerSecond: perSecond(backend.requests - (requestsBefore.get(backend.id) ?? 0), seconds),
      })),
    };
  }

  async #sample(): Promise<Sample> {
    const last = this.#samples.at(-1);
    const now = this.#clock.monotonic();
    if (last && now - last.at < freshMs) return last;
    const sample = { at: now, stats: await this.#stats() };
    this.#samples.push(sample);
    // A gap means that nobody looked; rates over it would be of another time.
    if (last && now - last.at > 3 * windowMs) this.#samples.splice(0, this.#samples.length - 1);
    if (this.#samples.length > samplesMax) this.#samples.shift();
    return sample;
  }
}

const perSecond = (count: number, seconds: number) => (seconds > 0 ? Math.max(0, count) / seconds : 0);

function trafficOf(now: RouteStats, before: RouteStats | undefined, seconds: number): RouteTraffic {
  const { id, variant, byClass, failed, active, requestBytes, responseBytes, duration } = now;
  const counts = duration.counts.map((count, index) => count - (before?.duration.counts[index] ?? 0));
  const recent = duration.count - (before?.duration.count ?? 0);
  const quantiles = seconds > 0 ? { counts, count: recent } : duration;
  return {
    ...{ id, variant, failed, active, byClass, requestBytes, responseBytes },
    requests: duration.count,
    requestsPerSecond: perSecond(recent, seconds),
    failuresPerSecond: perSecond(failed - (before?.failed ?? 0), seconds),
    p50Seconds: quantile(quantiles, 0.5),
    p99Seconds: quantile(quantiles, 0.99),
  };
}

/** Within its bucket a value is taken to be evenly spread; above the last bound it is that bound. */
export function quantile(
  { counts, count }: { counts: readonly number[]; count: number },
  share: number,
): number | null {
  if (count <= 0) return null;
  const rank = share * count;
  for (let index = 0; index < latencyBoundsSeconds.length; index++) {
    const upTo = counts[index] ?? 0;
    if (upTo < rank) continue;
    const below = index === 0 ? 0 : (counts[index - 1] ?? 0);
    const from = index === 0 ? 0 : latencyBoundsSeconds[index - 1]!;
    const width = latencyBoundsSeconds[index]! - from;
    return upTo === below ? from : from + (width * (rank - below)) / (upTo - below);
  }
  return latencyBoundsSeconds.at(-1)!;
}
