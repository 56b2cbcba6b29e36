/** What the data plane counts, and what it tells of backends and of routes under deployment. */
export interface BackendState {
  readonly id: string;
  readonly healthy: boolean;
  readonly ejected: boolean;
  readonly breaker: "closed" | "open" | "half-open";
  readonly inFlight: number;
  /** Of all workers. */
  readonly connections: number;
  readonly idle: number;
  readonly requests: number;
  readonly failures: number;
  readonly lastProblem?: string;
}

/** Counts since start. Buckets are cumulative per upper bound of `latencyBoundsSeconds`. */
export interface RouteStats {
  readonly id: string;
  readonly variant: string;
  /** By status class, index 1 to 5. */
  readonly byClass: readonly number[];
  readonly failed: number;
  readonly active: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly duration: Histogram;
  /** From the choice of a backend to the answer's head. */
  readonly backendDuration: Histogram;
}

/** Since they were told last. Errors and refusals are among the requests. */
export interface CohortNumbers {
  readonly requests: number;
  /** 5xx, and answers that the backend did not bring to their end. */
  readonly errors: number;
  /** 4xx. */
  readonly refused: number;
  /** Not cumulative: by upper bound of `latencyBoundsSeconds`; the last is what is above all. */
  readonly latency: readonly number[];
  /** Requests and errors by group (core/cohort.ts) of who asked, one after the other. */
  readonly callers: readonly number[];
  /** The same by group of the backend that answered; of requests that came to one. */
  readonly backends: readonly number[];
  /** Refusals by these groups. */
  readonly callersRefused: readonly number[];
  readonly backendsRefused: readonly number[];
}

/** What a worker counted of a route under deployment. */
export interface CohortReport {
  readonly route: string;
  readonly deployment: string;
  readonly canary: CohortNumbers;
  readonly control: CohortNumbers;
}

export interface Histogram {
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** OpenTelemetry's for HTTP durations. */
export const latencyBoundsSeconds: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

export interface ProxyStats {
  readonly revision: number;
  readonly workers: number;
  readonly connections: number;
  readonly tunnels: number;
  readonly retries: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
  /** Only those with traffic. */
  readonly routes: readonly RouteStats[];
  readonly backends: readonly BackendState[];
  /** Lines of the access log that could not be written. */
  readonly logDropped: number;
  /** Requests refused before a route was known, by reason (a code of the codec). */
  readonly refused: Readonly<Record<string, number>>;
}

/** A turn of a backend's health, breaker or ejection, told when it happens. */
export interface BackendEvent {
  readonly at: number;
  readonly backend: string;
  readonly what: "healthy" | "unhealthy" | "ejected" | "returned" | "open" | "half-open" | "closed";
  readonly reason?: string;
}
