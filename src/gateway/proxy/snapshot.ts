/**
 * What the control plane tells the data plane, and what it hears back: plain, immutable data, and the only thing
 * that the two know of each other. It crosses threads by structured clone.
 *
 * Identity is by id. What is deeply equal in the next snapshot keeps its connections, health, breaker and counters,
 * and a request goes on under the route that it began with. A field that is absent has the default named beside it.
 *
 * Of the routes that match, the highest `priority` wins; then the more specific one, as order.ts has it; then the
 * smaller id.
 */

export interface Snapshot {
  /** Grows with every publish; shows up in metrics, in `explain` and in the access log. */
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly backends: readonly Backend[];
  /** Chosen by SNI; the first serves who names none. Only for listeners with TLS. */
  readonly certificates?: readonly Certificate[];
  readonly issuers?: readonly TokenIssuer[];
  readonly apiKeys?: readonly ApiKey[];
}

/** The difference between two snapshots; what a publish costs grows with this and not with the whole. */
export interface SnapshotChange {
  readonly revision: number;
  readonly routes?: readonly Route[];
  readonly removedRoutes?: readonly string[];
  readonly backends?: readonly Backend[];
  readonly removedBackends?: readonly string[];
  /** These lists are small and come whole when any of them changed. */
  readonly certificates?: readonly Certificate[];
  readonly issuers?: readonly TokenIssuer[];
  readonly apiKeys?: readonly ApiKey[];
}

export interface Route {
  readonly id: string;
  readonly name: string;
  /** Whose it is; a part of rate-limit keys and of records. */
  readonly tenant: string;
  /** Default 0. */
  readonly priority?: number;
  readonly match: Match;
  /** Default round-robin, which is smooth weighted when weights differ. */
  readonly strategy?: Strategy;
  readonly targets: readonly Target[];
  /** Which version of the route this is, for records and metrics ("stable", "canary"). */
  readonly variant?: string;
  /** A share of the callers under another version of the route: canary, blue-green, A/B. */
  readonly split?: Split;
  readonly timeouts?: Timeouts;
  readonly retry?: Retry;
  readonly request?: RequestTransform;
  readonly response?: ResponseTransform;
  /** Answers by itself; targets may be empty then. */
  readonly redirect?: Redirect;
  readonly mirror?: Mirror;
  readonly policies?: Policies;
  /** WebSocket and other upgrades; default true. */
  readonly upgrades?: boolean;
}

export interface Match {
  /** `api.example.org`, or `*.example.org` for one or more labels before it. Lower case, no port. Default any. */
  readonly host?: string;
  readonly path?:
    | { readonly exact: string }
    /** Whole segments: `/a` matches `/a` and `/a/b`, not `/ab`. */
    | { readonly prefix: string }
    /** `/orders/{id}/lines`: a name takes one segment; `{rest*}` at the end takes what is left. */
    | { readonly template: string };
  readonly methods?: readonly string[];
  readonly headers?: readonly Condition[];
  readonly query?: readonly Condition[];
}

/** One of `equals`, `prefix`, `oneOf`, `present`; `present: false` means that it must be absent. */
export interface Condition {
  readonly name: string;
  readonly equals?: string;
  readonly prefix?: string;
  readonly oneOf?: readonly string[];
  readonly present?: boolean;
}

export type Strategy =
  | { readonly kind: "round-robin" }
  | { readonly kind: "weighted" }
  | { readonly kind: "least-connections" }
  | { readonly kind: "two-choices" }
  | { readonly kind: "ip-hash" }
  /** By a header's value; `byValue` maps it to a backend, others and none go to `otherwise`, or by round-robin. */
  | {
      readonly kind: "header";
      readonly header: string;
      readonly byValue: Readonly<Record<string, string>>;
      readonly otherwise?: string;
    }
  /** Round-robin for the first request, then the backend that the cookie names while it is usable. */
  | {
      readonly kind: "sticky";
      readonly cookie: string;
      readonly ttlSeconds?: number;
      readonly secure?: boolean;
    };

export interface Target {
  /** The id of a backend. */
  readonly backend: string;
  /** Default 1; 0 takes no traffic. */
  readonly weight?: number;
}

/** All of a route but what says which requests are its own: these two versions of it have in common. */
export type RouteVersion = Omit<Route, "id" | "name" | "tenant" | "priority" | "match" | "split">;

export interface Split {
  /** Whose counts these are (`onCohorts`); another one begins to count anew. */
  readonly deployment: string;
  /** The same seed as in the other systems, so that a user is in one cohort everywhere. */
  readonly seed: string;
  /** What names a caller. A request without it counts by its client address. */
  readonly unit:
    | { readonly kind: "ip" }
    | { readonly kind: "header"; readonly name: string }
    | { readonly kind: "cookie"; readonly name: string };
  /** Callers below it are exposed (core/cohort.ts). Who is exposed at a bound stays exposed at a larger one. */
  readonly bound: number;
  /** A request with this field is exposed whatever the bound, and not counted in either cohort. */
  readonly tester?: { readonly name: string; readonly value: string };
  /** What the exposed get; its `variant` is "canary" by default. */
  readonly to: RouteVersion;
}

/** Milliseconds; 0 is none. */
export interface Timeouts {
  /** Default 2,000. */
  readonly connectMs?: number;
  /** From the request's last byte to the answer's first; default 30,000. */
  readonly firstByteMs?: number;
  /** Without a byte in either direction, also of a tunnel; default 60,000 (tunnels: 3,600,000). */
  readonly idleMs?: number;
  /** Of the whole exchange with all attempts; default 0. Not for tunnels. */
  readonly totalMs?: number;
}

export interface Retry {
  /** Further attempts; default 1; 0 turns retries off. */
  readonly attempts?: number;
  /** Statuses that are tried again; default 502, 503, 504. A failed connection is always. */
  readonly statuses?: readonly number[];
  /** First delay, doubled each time, with jitter; default 25. */
  readonly backoffMs?: number;
  /** Retries as a share of requests in the last ten seconds; default 0.2. */
  readonly budget?: number;
  /** Retries per second that the budget always allows; default 3. */
  readonly budgetFloor?: number;
  /** Default GET, HEAD, OPTIONS, TRACE, PUT, DELETE. */
  readonly methods?: readonly string[];
}

export interface HeaderChange {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface RequestTransform {
  readonly headers?: HeaderChange;
  /** Takes the matched prefix away, or puts another in its place. */
  readonly replacePrefix?: string;
  /** A whole path; `{name}` of a template match is filled in. The query is kept. */
  readonly path?: string;
  /** Default "preserve": the backend sees the caller's Host; "backend" sends that of its URL. */
  readonly host?: "preserve" | "backend";
}

export interface ResponseTransform {
  readonly headers?: HeaderChange;
}

export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** Absolute, or a path; `{path}` and `{query}` (with its `?`) are filled in. */
  readonly location: string;
}

export interface Mirror {
  readonly backend: string;
  /** Of 10,000. */
  readonly share: number;
  /** A request with a larger body is not mirrored; default 65,536. */
  readonly bodyBytesMax?: number;
}

export interface Policies {
  /** A larger request body is 413; default 104,857,600; 0 is none. */
  readonly requestBytesMax?: number;
  readonly ip?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly rateLimits?: readonly RateLimit[];
  readonly cors?: Cors;
  readonly jwt?: JwtPolicy;
  readonly apiKey?: ApiKeyPolicy;
}

export interface RateLimit {
  /** Lower case; appears in the RateLimit fields. */
  readonly name: string;
  /** At once. */
  readonly burst: number;
  readonly perSecond: number;
  /** client: the token's or key's subject, or the address. */
  readonly per: "client" | "route" | "tenant";
}

export interface Cors {
  /** Exact origins, or `*` alone. */
  readonly origins: readonly string[];
  readonly methods?: readonly string[];
  readonly headers?: readonly string[];
  readonly exposed?: readonly string[];
  readonly credentials?: boolean;
  readonly maxAgeSeconds?: number;
}

export interface JwtPolicy {
  /** Ids of issuers in the snapshot. */
  readonly issuers: readonly string[];
  readonly audience?: string;
  /** All of these in `scope` or `scp`. */
  readonly scopes?: readonly string[];
  /** One of these in `roles`, `groups` or `realm_access.roles`. */
  readonly anyRole?: readonly string[];
  /** Scope → role that it stands for. */
  readonly scopeRoles?: Readonly<Record<string, string>>;
  /** Claim → header that the backend gets; what a caller sends under that name is removed. */
  readonly claimHeaders?: Readonly<Record<string, string>>;
}

export interface ApiKeyPolicy {
  /** Default x-api-key. Removed before the backend sees the request. */
  readonly header?: string;
  /** A key must belong to one of these groups; default any. */
  readonly groups?: readonly string[];
}

export interface ApiKey {
  /** SHA-256 of the key, lower-case hex. */
  readonly hash: string;
  readonly subject: string;
  readonly groups?: readonly string[];
}

export interface TokenIssuer {
  readonly id: string;
  /** The `iss` claim. Several may have the same, with other keys or another audience. */
  readonly issuer: string;
  /** The claim, with dots for inner ones, that must name the tenant of the route; absent for one without tenants. */
  readonly tenantClaim?: string;
  /** For tokens without that claim. */
  readonly defaultTenant?: string;
  readonly audience?: string;
  readonly algorithms: readonly string[];
  /** Public keys as JWK. The control plane fetches and renews them. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

export interface Certificate {
  /** Server names, wildcards of one label allowed. */
  readonly hosts: readonly string[];
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Authorities, PEM, that a client's certificate must be of where the listener asks for one. */
  readonly clientCa?: string;
}

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

// What comes back.

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

/** Why an exchange ended other than well; the letters of Envoy's access log where it has the same. */
export type ResponseFlag =
  | "NR" // no route
  | "UH" // no usable backend
  | "UF" // connection to the backend failed
  | "UC" // backend closed early
  | "UT" // backend too slow
  | "UP" // backend broke the protocol
  | "UO" // breaker open, or too many connections
  | "URX" // retries or their budget spent
  | "RL" // rate-limited
  | "DC" // client gone
  | "DT" // client too slow
  | "DP" // client broke the protocol
  | "UA" // refused by a policy
  | "LR"; // answered here: redirect, preflight

export interface AttemptRecord {
  readonly backend: string;
  readonly address: string;
  /** Milliseconds after the request began. */
  readonly startMs: number;
  /** Undefined when the connection was there already. */
  readonly connectMs?: number;
  readonly firstByteMs?: number;
  readonly endMs: number;
  readonly status?: number;
  readonly flag?: ResponseFlag;
}

/** One exchange, for `explain`, for spans and for the access log. */
export interface RequestRecord {
  /** X-Request-Id. */
  readonly id: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** Wall time of the request's first byte. */
  readonly at: number;
  readonly worker: number;
  readonly revision: number;
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  readonly protocol: "1.0" | "1.1" | "2";
  readonly client: string;
  readonly subject?: string;
  readonly route?: string;
  readonly tenant?: string;
  readonly variant?: string;
  readonly status: number;
  readonly flags: readonly ResponseFlag[];
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly totalMs: number;
  /** Until the route and its policies had spoken. */
  readonly decidedMs: number;
  /** What the balancer chose from, as it saw it. Kept for what `explain` asks for. */
  readonly candidates?: readonly Candidate[];
  readonly attempts: readonly AttemptRecord[];
}

export interface Candidate {
  readonly backend: string;
  readonly weight: number;
  readonly inFlight: number;
  readonly usable: boolean;
  /** Why not: "unhealthy", "ejected", "open", "draining", "weight 0". */
  readonly reason?: string;
}

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
}

/** What a worker counted of a route under deployment. */
export interface CohortReport {
  readonly route: string;
  readonly deployment: string;
  readonly canary: CohortNumbers;
  readonly control: CohortNumbers;
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

/** Something of a snapshot that could not be used; the rest is. */
export interface SnapshotProblem {
  readonly kind: "route" | "backend" | "certificate" | "issuer";
  readonly id: string;
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
