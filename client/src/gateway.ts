/** The API gateway: its routes, how their backends are, what goes through, and why a request went as it did. */
import type {
  ChangedRoute,
  GatewayRoute,
  PreviewRequest,
  RouteAnalysis,
  RouteFilter,
  RouteImport,
  RoutePreview,
  RouteSpec,
} from "./gateway-routes.ts";
import type { NewServiceInstance, ServiceInstance } from "./gateway-services.ts";
import type {
  BackendOverride,
  ExplainedRequest,
  GatewayBackend,
  GatewayTraffic,
  ServedRequest,
} from "./gateway-traffic.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

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

  /** Of one service, or of all, page after page. */
  allServiceInstances({
    service,
    ...options
  }: CallOptions & { service?: string } = {}): AsyncGenerator<ServiceInstance> {
    const of =
      service === undefined ? `${base}/services` : path`/api/v1/gateway/services/${service}/instances`;
    return this.#transport.items<ServiceInstance>((cursor) =>
      this.#transport.json({ method: "GET", path: of, query: { cursor }, ...options }),
    );
  }

  /** Routes with this service among their backends use it at once, as long as it sends heartbeats. */
  registerInstance(
    service: string,
    instance: NewServiceInstance,
    options: CallOptions = {},
  ): Promise<ServiceInstance> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/gateway/services/${service}/instances`,
      body: instance,
      ...options,
    });
  }

  /** Rejects with `gateway_instance_not_found` when it is not registered any more: register it again. */
  heartbeatInstance(service: string, id: string, options: CallOptions = {}): Promise<ServiceInstance> {
    return this.#transport.json({
      method: "POST",
      path: path`/api/v1/gateway/services/${service}/instances/${id}/heartbeat`,
      ...options,
    });
  }

  /** It gets no new request; what it is answering it may finish. */
  deregisterInstance(service: string, id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({
      method: "DELETE",
      path: path`/api/v1/gateway/services/${service}/instances/${id}`,
      ...options,
    });
  }

  #get<Answer>(target: string, options: CallOptions): Promise<Answer> {
    return this.#transport.json({ method: "GET", path: target, ...options });
  }
}
