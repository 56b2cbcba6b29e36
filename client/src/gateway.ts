/** The API gateway: its routes, how their backends are, what goes through, and why a request went as it did. */
import type { Json } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

/** A route as it is written; what is not named here is in openapi.json. */
export interface RouteSpec {
  name: string;
  description?: string;
  /** Default true. */
  enabled?: boolean;
  /** The highest of those that match wins; then the more specific one. Default 0. */
  priority?: number;
  labels?: Record<string, string>;
  match: RouteMatch;
  strategy?: string;
  backends?: RouteBackend[];
  [member: string]: unknown;
}

export interface RouteMatch {
  host?: string;
  path?: { prefix?: string; exact?: string; template?: string };
  methods?: string[];
  headers?: unknown;
  query?: unknown;
}

export interface RouteBackend {
  url?: string;
  service?: string;
  dns?: { name: string; [member: string]: unknown };
  weight?: number;
}

export interface GatewayRoute extends RouteSpec {
  id: string;
  /** Of this route; `update` takes it to notice changes by others. */
  version: number;
  /** Of the route set that this version came with. */
  revision: number;
  createdAt: string;
  updatedAt: string;
}

/** Two routes that get in each other's way. */
export interface RouteFinding {
  kind: "unreachable" | "ambiguous" | "overlap" | "settings-differ";
  route: string;
  other: string;
  message: string;
}

export interface ChangedRoute extends GatewayRoute {
  warnings: RouteFinding[];
}

export interface RouteAnalysis {
  revision: number;
  routes: number;
  findings: RouteFinding[];
  truncated: boolean;
}

export interface PlaceChange {
  /** JSON Pointer into the route. */
  pointer: string;
  before?: Json;
  after?: Json;
}

export interface RouteImport {
  dryRun: boolean;
  revision: number;
  diff: {
    added: string[];
    changed: { name: string; changes: PlaceChange[] }[];
    removed: string[];
    unchanged: number;
  };
  warnings: RouteFinding[];
}

/** A set of routes, or new fields of one, as a JSON merge patch. */
export type PreviewRequest =
  | { routes: readonly RouteSpec[]; mode?: "replace" | "merge" }
  | { route: string; change: Record<string, unknown> };

/** Which of the last requests would be served otherwise. */
export interface RoutePreview {
  /** So many were looked at. */
  requests: number;
  unchanged: number;
  /** A header field or the query would decide, and is not kept. */
  undecided: number;
  groups: {
    /** Names of routes; null is none. */
    from: string | null;
    to: string | null;
    effects: ("route" | "backends" | "policies" | "handling")[];
    count: number;
    examples: { method: string; host: string; path: string; requestId: string }[];
  }[];
}

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

export interface GatewayStatus {
  url: string | null;
  tlsUrl: string | null;
  status: "ok" | "stale" | "off";
  revision: number;
  routes: number;
  workers: number;
  connections: number;
  tunnels: number;
  checkedAt: string | null;
  staleSince: string | null;
  /** Over what rate limits count: this node, all nodes, or each alone while the shared store is away. */
  limits: "node" | "shared" | "alone";
  problems: { kind: string; id: string; message: string }[];
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

export interface RouteFilter {
  name?: string | undefined;
  /** All of these: `team=billing,system=bss`. */
  labels?: string | undefined;
}

export interface NewGatewayKey {
  name: string;
  /** Routes may ask for one of them. */
  groups?: string[];
  expiresInSeconds?: number;
}

export interface GatewayKey {
  id: string;
  name: string;
  /** How the key begins. */
  hint: string;
  groups: string[];
  createdAt: string;
  expiresAt: string | null;
}

/** With `dryRun` everything is checked and nothing is kept. */
export type ChangeOptions = CallOptions & { dryRun?: boolean | undefined };

const base = "/api/v1/gateway";

export class Gateway {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  status(options: CallOptions = {}): Promise<GatewayStatus> {
    return this.#get(`${base}/status`, options);
  }

  traffic(options: CallOptions = {}): Promise<GatewayTraffic> {
    return this.#get(`${base}/traffic`, options);
  }

  /** Routes by name. */
  routes(filter: PageOptions & RouteFilter = {}): Promise<Page<GatewayRoute>> {
    const { limit, cursor, name, labels, ...options } = filter;
    const query = { limit, cursor, name, labels };
    return this.#transport.json({ method: "GET", path: `${base}/routes`, query, ...options });
  }

  /** Every route, page after page. */
  allRoutes(filter: CallOptions & RouteFilter = {}): AsyncGenerator<GatewayRoute> {
    return this.#transport.items((cursor) => this.routes({ cursor, ...filter }));
  }

  route(id: string, options: CallOptions = {}): Promise<GatewayRoute> {
    return this.#get(path`/api/v1/gateway/routes/${id}`, options);
  }

  /** Routes that overlap or are never reached. */
  analysis(options: CallOptions = {}): Promise<RouteAnalysis> {
    return this.#get(`${base}/routes/analysis`, options);
  }

  createRoute(spec: RouteSpec, { dryRun, ...options }: ChangeOptions = {}): Promise<ChangedRoute> {
    return this.#transport.json({
      method: "POST",
      path: `${base}/routes`,
      query: { dryRun },
      body: spec,
      headers: idempotencyKey(),
      idempotent: true,
      ...options,
    });
  }

  /** The whole route anew. Fails with `etag_mismatch` when it is no longer at `version`. */
  updateRoute(
    id: string,
    version: number,
    spec: RouteSpec,
    { dryRun, ...options }: ChangeOptions = {},
  ): Promise<ChangedRoute> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/gateway/routes/${id}`,
      query: { dryRun },
      body: spec,
      headers: { "if-match": `"${version}"` },
      ...options,
    });
  }

  deleteRoute(id: string, { dryRun, ...options }: ChangeOptions = {}): Promise<void> {
    const query = { dryRun };
    return this.#transport.json({
      method: "DELETE",
      path: path`/api/v1/gateway/routes/${id}`,
      query,
      ...options,
    });
  }

  /** Makes the route set what these are; `merge` leaves routes that are not among them. */
  importRoutes(
    routes: readonly RouteSpec[],
    { dryRun, mode = "replace", ...options }: ChangeOptions & { mode?: "replace" | "merge" } = {},
  ): Promise<RouteImport> {
    return this.#transport.json({
      method: "POST",
      path: `${base}/routes/import`,
      query: { dryRun, mode },
      body: { routes },
      ...options,
    });
  }

  /** Replays the last requests against routes as they would be; changes nothing. */
  previewRoutes(wanted: PreviewRequest, options: CallOptions = {}): Promise<RoutePreview> {
    return this.#transport.json({
      method: "POST",
      path: `${base}/routes/preview`,
      body: wanted,
      ...options,
    });
  }

  /** The set in force, or that of an earlier revision. */
  exportRoutes({ revision, ...options }: CallOptions & { revision?: number | undefined } = {}): Promise<{
    revision: number;
    routes: RouteSpec[];
  }> {
    const query = { revision };
    return this.#transport.json({ method: "GET", path: `${base}/routes/export`, query, ...options });
  }

  async backends(options: CallOptions = {}): Promise<GatewayBackend[]> {
    return (await this.#get<{ items: GatewayBackend[] }>(`${base}/backends`, options)).items;
  }

  overrideBackend(
    id: string,
    override: BackendOverride,
    { dryRun, ...options }: ChangeOptions = {},
  ): Promise<GatewayBackend> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/gateway/backends/${id}/override`,
      query: { dryRun },
      body: override,
      ...options,
    });
  }

  /** The last requests that the node served, newest first. */
  async requests({ limit, ...options }: CallOptions & { limit?: number } = {}): Promise<ServedRequest[]> {
    const answer = await this.#transport.json<{ items: ServedRequest[] }>({
      method: "GET",
      path: `${base}/requests`,
      query: { limit },
      ...options,
    });
    return answer.items;
  }

  /** Why a request went the way it went, by its X-Request-Id. */
  explain(id: string, options: CallOptions = {}): Promise<ExplainedRequest> {
    return this.#get(path`/api/v1/gateway/requests/${id}`, options);
  }

  /** `key` is in this answer and nowhere else. */
  createKey(key: NewGatewayKey, options: CallOptions = {}): Promise<GatewayKey & { key: string }> {
    return this.#transport.json({ method: "POST", path: `${base}/keys`, body: key, ...options });
  }

  /** Every API key, page after page. */
  allKeys(options: CallOptions = {}): AsyncGenerator<GatewayKey> {
    return this.#transport.items<GatewayKey>((cursor) =>
      this.#transport.json({ method: "GET", path: `${base}/keys`, query: { cursor }, ...options }),
    );
  }

  revokeKey(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/gateway/keys/${id}`, ...options });
  }

  #get<Answer>(target: string, options: CallOptions): Promise<Answer> {
    return this.#transport.json({ method: "GET", path: target, ...options });
  }
}
