/** The data plane as the rest of the gateway knows it (`GatewayProxy` of proxy.ts), and how it is started. */
import type { RequestRecord } from "./records.ts";
import type { Snapshot, SnapshotChange, SnapshotProblem } from "./snapshot.ts";
import type { BackendEvent, CohortReport, ProxyStats } from "./stats.ts";

export interface Listen {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 is any free. */
  readonly port: number;
  readonly tls?: {
    /** Default false. "optional" asks without insisting. */
    readonly clientCertificates?: "required" | "optional";
    /** Default true. */
    readonly h2?: boolean;
  };
}

/** Requests that no caller sees, to every backend of the version that a route's split leads to. */
export interface Probe {
  readonly route: string;
  readonly path: string;
  /** To each of them, one after the other. */
  readonly requests: number;
  readonly timeoutMs: number;
}

export interface ProbeFailure {
  readonly backend: string;
  readonly url: string;
  readonly message: string;
}

export interface ProxyOptions {
  readonly listen: readonly Listen[];
  /** Threads; default 1. Each serves requests; none is the caller's. */
  readonly workers?: number;
  /** Another process may listen on the same ports (SO_REUSEPORT), so that it can take over. Workers always may. */
  readonly sharesPorts?: boolean;
  /** Peers whose X-Forwarded-* and X-Request-Id count: addresses or CIDR blocks. Default none. */
  readonly trustedHops?: readonly string[];
  /** Default none. `-` is standard output. Flushed at least every second. */
  readonly accessLog?: { readonly path: string; readonly format?: "json" | "common" | "combined" };
  /** Records kept for `explain`, in each worker; default 2,048. */
  readonly recordsKept?: number;
  /** Of 10,000 requests this many are told to `onRecords`, besides those of sampled traces; default 0. */
  readonly recordShare?: number;
  readonly limits?: Limits;
  readonly onRecords?: (records: readonly RequestRecord[]) => void;
  readonly onBackend?: (event: BackendEvent) => void;
  /** While routes have a split: what was counted since the last time, soon after a failure of a new version. */
  readonly onCohorts?: (reports: readonly CohortReport[]) => void;
  /** A token names an issuer, by its id here, of whose keys none has signed it. */
  readonly onUnknownKey?: (issuer: string) => void;
  /** A worker ended unasked; another is started in its place with the snapshot of last time. */
  readonly onCrash?: (error: Error) => void;
}

/** What was taken from one rate limit here since the data plane was asked last. */
export interface LimitUse {
  /** Its place, and who has it: both go back with the level. */
  readonly at: number;
  /** The same on every node. */
  readonly key: bigint;
  readonly taken: number;
  readonly intervalMs: number;
}

/** What all nodes together took of it, as the time until all of it is there again. */
export interface LimitLevel {
  readonly at: number;
  readonly key: bigint;
  readonly wholeInMs: number;
}

export interface Limits {
  /** Head of a request in bytes; default 16,384. Over it 431. */
  readonly headBytesMax?: number;
  /** Default 100. Over it 431. */
  readonly headersMax?: number;
  /** Default 8,192. Over it 414. */
  readonly targetBytesMax?: number;
  /** Client connections per worker; default 20,000. One more is closed at once. */
  readonly connectionsMax?: number;
  /** From the first byte of a request to the end of its head; default 10,000. */
  readonly headMs?: number;
  /** Between requests; default 75,000. */
  readonly keepAliveMs?: number;
  /** A request body slower than this, after `headMs`, is 408; default 100. */
  readonly bodyBytesPerSecondMin?: number;
  /** HTTP/2 streams per connection; default 128. */
  readonly streamsMax?: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** What `GatewayProxy` of proxy.ts offers. */
export interface DataPlane {
  /** Resolves when every worker listens. Serves by `first` from the first connection on; without it, by no route. */
  start(options: ProxyOptions, first?: Snapshot): Promise<readonly Address[]>;
  /** Resolves when every worker serves by it. What cannot be used is left out and told. */
  publish(snapshot: Snapshot): Promise<readonly SnapshotProblem[]>;
  /** As `publish`, for who knows what changed: costs nothing for what did not. */
  apply(change: SnapshotChange): Promise<readonly SnapshotProblem[]>;
  stats(): Promise<ProxyStats>;
  /** One of the last requests, by its X-Request-Id. */
  explain(requestId: string): Promise<RequestRecord | undefined>;
  /** The last requests, newest first. */
  recent(limit: number): Promise<readonly RequestRecord[]>;
  /**
   * Asks the backends of a route's new version, and leaves the connections to whoever comes next. Resolves to what did
   * not answer below 400; undefined when the route has no split here.
   */
  probe(probe: Probe): Promise<readonly ProbeFailure[] | undefined>;
  /** What callers took from rate limits since the last time, of at most so many of them. */
  limitUses(max: number): readonly LimitUse[];
  /** What other nodes gave counts here too; `now` is this thread's monotonic time. */
  raiseLimits(levels: readonly LimitLevel[], now: number): void;
  /** Accepts no more, answers what has begun, and ends at `drainMs` in any case; default 10,000. */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}
