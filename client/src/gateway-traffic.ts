/** What goes through the gateway: its backends, the counts of its routes, and its last requests one by one. */

export type BreakerState = "closed" | "open" | "half-open";

export interface GatewayBackend {
  id: string;
  url: string;
  protocol: "h1" | "h2";
  /** Names of the routes that use it. */
  routes: string[];
  healthy: boolean;
  /** Left out for a while, as real requests failed. */
  ejected: boolean;
  breaker: BreakerState;
  inFlight: number;
  connections: number;
  idle: number;
  requests: number;
  failures: number;
  lastProblem: string | null;
  override: { breaker: "open" | "closed" | "automatic"; draining: boolean } | null;
}

/** Replaces what was set by hand before; `{}` takes it back. */
export interface BackendOverride {
  breaker?: "open" | "closed" | "automatic";
  draining?: boolean;
  reason?: string;
  ttlSeconds?: number;
}

export interface RouteTraffic {
  id: string;
  name: string;
  variant: string;
  requests: number;
  failed: number;
  active: number;
  /** Answers by the first digit of their status, from 1xx to 5xx. */
  byClass: number[];
  requestBytes: number;
  responseBytes: number;
  requestsPerSecond: number;
  failuresPerSecond: number;
  p50Seconds: number | null;
  p99Seconds: number | null;
}

export interface BackendTraffic {
  id: string;
  url: string;
  healthy: boolean;
  ejected: boolean;
  breaker: BreakerState;
  inFlight: number;
  connections: number;
  requests: number;
  failures: number;
  requestsPerSecond: number;
}

export interface GatewayTraffic {
  at: string;
  /** What rates are over. */
  windowSeconds: number;
  connections: number;
  tunnels: number;
  retries: Record<string, number>;
  flags: Record<string, number>;
  /** Requests that ended before a route was known, by reason. */
  refused: Record<string, number>;
  routes: RouteTraffic[];
  backends: BackendTraffic[];
}

export interface ServedRequest {
  id: string;
  at: string;
  method: string;
  host: string;
  path: string;
  protocol: string;
  client: string;
  subject: string | null;
  route: string | null;
  variant: string | null;
  /** 0 when there was no answer. */
  status: number;
  /** Of the error, when the gateway answered with one of its own. */
  code: string | null;
  flags: { flag: string; meaning: string }[];
  requestBytes: number;
  responseBytes: number;
  totalMs: number;
  decidedMs: number;
  attempts: number;
  traceId: string;
  worker: number;
  revision: number;
}

export interface ExplainedRequest extends Omit<ServedRequest, "attempts"> {
  attempts: {
    backend: string;
    url: string | null;
    address: string;
    startMs: number;
    connectMs: number | null;
    firstByteMs: number | null;
    endMs: number;
    status: number | null;
    flag: string | null;
    problem: string | null;
  }[];
  considered: { route: string; chosen: boolean; reason: string }[];
  candidates: {
    backend: string;
    url: string | null;
    weight: number;
    inFlight: number;
    usable: boolean;
    reason: string | null;
  }[];
  rateLimits: { name: string; burst: number; perSecond: number; per: string }[];
  backendsNow: {
    backend: string;
    url: string | null;
    healthy: boolean;
    ejected: boolean;
    breaker: string;
    inFlight: number;
    lastProblem: string | null;
  }[];
}
