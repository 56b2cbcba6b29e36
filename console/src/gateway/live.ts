/** What goes through the gateway, by route and backend, kept while the tab lives. */
import { signal } from "@preact/signals";
import type { BackendTraffic, GatewayTraffic, RouteTraffic } from "../../../client/src/index.ts";
import { Series } from "../series.ts";
import { hotswap } from "../session.ts";

export type TrafficLine = "requests" | "failures" | "p50Ms" | "p99Ms" | "active";

const emptySeries = () => new Series<TrafficLine>(["requests", "failures", "p50Ms", "p99Ms", "active"]);

export const traffic = signal<GatewayTraffic | undefined>(undefined);
export const total = emptySeries();

const routes = new Map<string, Series<TrafficLine>>();
const backends = new Map<string, Series<"requests" | "inFlight">>();

/** Of a route by its name, all variants together. */
export function seriesOfRoute(name: string): Series<TrafficLine> {
  const series = routes.get(name) ?? emptySeries();
  routes.set(name, series);
  return series;
}

export function seriesOfBackend(id: string): Series<"requests" | "inFlight"> {
  const series = backends.get(id) ?? new Series<"requests" | "inFlight">(["requests", "inFlight"]);
  backends.set(id, series);
  return series;
}

export async function refreshTraffic(abort: AbortSignal): Promise<GatewayTraffic> {
  const answer = await hotswap().gateway.traffic({ signal: abort });
  const seconds = Date.parse(answer.at) / 1000;
  total.add(seconds, samplesOf(answer.routes));
  for (const [name, variants] of byName(answer.routes)) seriesOfRoute(name).add(seconds, samplesOf(variants));
  for (const one of answer.backends) addBackend(seconds, one);
  traffic.value = answer;
  return answer;
}

function addBackend(seconds: number, { id, requestsPerSecond, inFlight }: BackendTraffic): void {
  seriesOfBackend(id).add(seconds, { requests: requestsPerSecond, inFlight });
}

export function byName(all: readonly RouteTraffic[]): Map<string, RouteTraffic[]> {
  return Map.groupBy(all, ({ name }) => name);
}

/** The numbers of some routes as one. Of latencies the slowest counts: quantiles cannot be added up. */
function samplesOf(all: readonly RouteTraffic[]): Record<TrafficLine, number | null> {
  const sum = (of: (route: RouteTraffic) => number) => all.reduce((whole, route) => whole + of(route), 0);
  return {
    requests: sum(({ requestsPerSecond }) => requestsPerSecond),
    failures: sum(({ failuresPerSecond }) => failuresPerSecond),
    active: sum(({ active }) => active),
    p50Ms: slowestMs(all.map(({ p50Seconds }) => p50Seconds)),
    p99Ms: slowestMs(all.map(({ p99Seconds }) => p99Seconds)),
  };
}

function slowestMs(seconds: readonly (number | null)[]): number | null {
  const known = seconds.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known) * 1000;
}
