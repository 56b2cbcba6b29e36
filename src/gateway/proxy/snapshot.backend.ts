/** A backend as the data plane gets it: where it is, and how it is watched. */
export interface Backend {
  /** The identity of its pool, health, breaker and counters. */
  readonly id: string;
  /** `http:` or `https:`, host and port; a path is not allowed. */
  readonly url: string;
  /** Default "h1". "h2" over https by ALPN, over http with prior knowledge (gRPC). */
  readonly protocol?: "h1" | "h2";
  readonly tls?: {
    /** Default: verified against the system's roots, or `ca` (PEM). */
    readonly verify?: boolean;
    readonly ca?: string;
    readonly serverName?: string;
    /** Our certificate (mTLS), PEM. */
    readonly cert?: string;
    readonly key?: string;
  };
  /** Open connections of all workers; default 1,024. */
  readonly connectionsMax?: number;
  /** Idle connections kept per worker; default 64. */
  readonly idleMax?: number;
  /** Kept idle at most; default 60,000, less when the backend says or shows so. */
  readonly idleMs?: number;
  /** Its share of traffic grows over this time after it became usable; default 0. */
  readonly slowStartMs?: number;
  readonly health?: HealthCheck;
  readonly outlier?: Outlier;
  readonly breaker?: Breaker;
  /** Takes no new requests; those in flight end. */
  readonly draining?: boolean;
}

export interface HealthCheck {
  readonly path: string;
  /** Default 5,000. */
  readonly intervalMs?: number;
  /** Default 2,000. */
  readonly timeoutMs?: number;
  /** Failures in a row until it is unhealthy; default 3. */
  readonly unhealthyAfter?: number;
  /** Successes in a row until it is healthy again; default 2. */
  readonly healthyAfter?: number;
  /** Default 200–399. */
  readonly statuses?: readonly number[];
  readonly host?: string;
}

/** Passive: watches real traffic. Default on, with these numbers. */
export interface Outlier {
  /** Default true. */
  readonly enabled?: boolean;
  /** 5xx or connection failures in a row; default 5. */
  readonly consecutiveFailures?: number;
  /** First ejection; grows with each one that follows soon; default 30,000. */
  readonly ejectMs?: number;
  /** Of a route's targets at most this share is out at once; default 0.5. The last is never. */
  readonly ejectShareMax?: number;
}

export interface Breaker {
  /** Default true. */
  readonly enabled?: boolean;
  /** Default 5. */
  readonly failures?: number;
  /** Default 30,000. */
  readonly openMs?: number;
  /** Requests let through while half-open; default 1. */
  readonly halfOpenRequests?: number;
  /** By hand; absent is automatic. */
  readonly override?: "open" | "closed";
}
