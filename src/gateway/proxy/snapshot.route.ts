/** A route as the data plane gets it, compiled by the control plane: plain data, defaults beside what may be absent. */
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
  /** By a header's value; who has none, or one of a backend that is away, goes to `otherwise`, or by round-robin. */
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
