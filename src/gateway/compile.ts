/**
 * From routes as people write them to the snapshot that the data plane serves by. Pure: what has to be found out
 * elsewhere (endpoints of a service, keys of an issuer) comes in as arguments.
 *
 * A backend is a tenant's URL with the way to speak to it; routes that name the same one share its connections,
 * health and breaker. Where their settings for it differ, those of the oldest route count.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../core/json.ts";
import type { BackendSpec } from "./backends.schema.ts";
import type { Backend as PlaneBackend } from "./proxy/snapshot.backend.ts";
import type * as plane from "./proxy/snapshot.route.ts";
import { conditionsOf, originOf, rateNames } from "./route-checks.ts";
import type { RouteSpec } from "./routes.schema.ts";

/** One place that a backend of a route stands for. */
export interface Endpoint {
  url: string;
  /** Beside the others of the same service or name; 1 for all of a kind. */
  weight: number;
  /** For TLS, when the URL holds an address. */
  serverName?: string;
}

export interface CompileContext {
  tenant: string;
  /** Endpoints of a service or of a DNS name, as they are known now. */
  endpointsOf(backend: BackendSpec): readonly Endpoint[];
  /** Ids of the issuers that a route's JWT policy names. */
  issuersOf(jwt: NonNullable<NonNullable<RouteSpec["auth"]>["jwt"]>): readonly string[];
  /** The client certificate, chain and key in one text, that a secret holds; undefined while it is not known. */
  pemOf(secret: string): string | undefined;
  /** Added to every priority, so that one tenant's routes for any host stay behind another's for a host. */
  priorityBase: number;
  /** For routes with the label `system: bss` that have no rate limit of their own. */
  bssRate: plane.RateLimit | undefined;
}

export interface CompiledRoute {
  route: plane.Route;
  /** As this route would have them; see `BackendTable`. */
  backends: readonly PlaneBackend[];
}

/** Another version of a route, and who gets it. */
export interface SplitSpec extends Omit<plane.Split, "to"> {
  readonly spec: RouteSpec;
}

/** What both versions name is as the route itself has it. */
export function compileSplit(
  id: string,
  spec: RouteSpec,
  { spec: other, ...split }: SplitSpec,
  context: CompileContext,
): CompiledRoute {
  const { route, backends } = compileRoute(id, spec, context);
  const changed = compileRoute(id, other, context);
  const { id: _, name, tenant, priority, match, ...to } = changed.route;
  const known = new Set(backends.map((backend) => backend.id));
  const added = changed.backends.filter((backend) => !known.has(backend.id));
  return { route: { ...route, split: { ...split, to } }, backends: [...backends, ...added] };
}

export function compileRoute(id: string, spec: RouteSpec, context: CompileContext): CompiledRoute {
  const { tenant } = context;
  const backends = new Map<string, PlaneBackend>();
  const add = (endpoint: Endpoint, own?: BackendSpec) => {
    const backend = compileBackend(context, endpoint, spec, own);
    backends.set(backend.id, backend);
    return backend.id;
  };
  const targets = compileTargets(spec.backends ?? [], context, add);
  const { mirror, match } = spec;
  const route: plane.Route = {
    ...{ id, name: spec.name, tenant },
    priority: context.priorityBase + (spec.priority ?? 0),
    match: compileMatch(match),
    strategy: compileStrategy(spec, (url) => {
      const own = spec.backends?.find((backend) => backend.url && originOf(backend.url) === originOf(url));
      return backendId(tenant, { url, weight: 1 }, spec, own);
    }),
    targets,
    ...(spec.timeouts && { timeouts: spec.timeouts }),
    ...(spec.retry && { retry: spec.retry }),
    ...(spec.request && { request: spec.request }),
    ...(spec.response && { response: spec.response }),
    ...(spec.redirect && { redirect: { status: 308, ...spec.redirect } as plane.Redirect }),
    ...(mirror && {
      mirror: {
        backend: add({ url: mirror.url, weight: 1 }),
        share: tenThousandths(mirror.share ?? 1),
        ...(mirror.bodyBytesMax !== undefined && { bodyBytesMax: mirror.bodyBytesMax }),
      },
    }),
    policies: compilePolicies(spec, context),
    ...(spec.upgrades !== undefined && { upgrades: spec.upgrades }),
  };
  return { route, backends: [...backends.values()] };
}

export function compileMatch({ host, path, methods, headers, query }: RouteSpec["match"]): plane.Match {
  return {
    ...(host !== undefined && { host }),
    ...(path && { path: path as NonNullable<plane.Match["path"]> }),
    ...(methods && { methods }),
    ...(headers && { headers: conditionsOf(headers) }),
    ...(query && { query: conditionsOf(query) }),
  };
}

const tenThousandths = (share: number) => Math.round(share * 10_000);

/**
 * A service or name has its weight as a whole, however many instances stand behind it; alone in its route it needs no
 * more than its instances' own weights.
 */
function compileTargets(
  specs: readonly BackendSpec[],
  context: CompileContext,
  add: (endpoint: Endpoint, own: BackendSpec) => string,
): plane.Target[] {
  const isStatic = specs.every(({ url }) => url !== undefined);
  const scale = isStatic || specs.length === 1 ? 1 : 1_000;
  const targets = new Map<string, number>();
  for (const spec of specs) {
    const whole = spec.weight ?? 1;
    const endpoints = spec.url === undefined ? context.endpointsOf(spec) : [{ url: spec.url, weight: 1 }];
    const sum = endpoints.reduce((total, { weight }) => total + weight, 0);
    for (const endpoint of endpoints) {
      const part =
        scale === 1 ? whole * endpoint.weight : Math.ceil((whole * scale * endpoint.weight) / (sum || 1));
      const id = add(endpoint, spec);
      targets.set(id, (targets.get(id) ?? 0) + part);
    }
  }
  return [...targets].map(([backend, weight]) => ({ backend, weight }));
}

function compileStrategy(spec: RouteSpec, idOf: (url: string) => string): plane.Strategy {
  const { strategy = "round-robin", header, sticky } = spec;
  if (strategy === "header") {
    const byValue = Object.entries(header!.byValue).map(([value, url]) => [value, idOf(url)]);
    return {
      ...{
        kind: "header",
        header: header!.name,
        byValue: Object.fromEntries(byValue) as Record<string, string>,
      },
      ...(header!.otherwise !== undefined && { otherwise: idOf(header!.otherwise) }),
    };
  }
  if (strategy === "sticky") return { kind: "sticky", cookie: "hotswap-backend", ...sticky };
  return { kind: strategy };
}

const waysOf = ({ connection }: RouteSpec, { url, serverName }: Endpoint, own: BackendSpec = {}) => {
  const tls = { ...(serverName !== undefined && { serverName }), ...connection?.tls, ...own.tls };
  const isSecure = url.startsWith("https:") && Object.keys(tls).length > 0;
  return { ...(connection?.protocol === "h2" && { protocol: "h2" as const }), ...(isSecure && { tls }) };
};

/** The same for the same tenant, origin, protocol and TLS settings, on every node and for ever. */
export function backendId(tenant: string, endpoint: Endpoint, spec: RouteSpec, own?: BackendSpec): string {
  const origin = originOf(endpoint.url) ?? endpoint.url;
  const identity = canonicalJson([tenant, origin, waysOf(spec, endpoint, own)]);
  return createHash("sha256").update(identity).digest("hex").slice(0, 16);
}

function compileBackend(
  { tenant, pemOf }: CompileContext,
  endpoint: Endpoint,
  spec: RouteSpec,
  own: BackendSpec | undefined,
): PlaneBackend {
  const { connectionsMax, idleMax, idleMs, slowStartMs } = spec.connection ?? {};
  const { tls: { clientCertificate, ...tls } = {}, ...ways } = waysOf(spec, endpoint, own);
  const pem = clientCertificate && pemOf(clientCertificate.$secret);
  const shown = { ...tls, ...(pem !== undefined && { cert: pem, key: pem }) };
  return {
    id: backendId(tenant, endpoint, spec, own),
    url: originOf(endpoint.url) ?? endpoint.url,
    ...ways,
    ...(Object.keys(shown).length > 0 && { tls: shown }),
    ...(connectionsMax !== undefined && { connectionsMax }),
    ...(idleMax !== undefined && { idleMax }),
    ...(idleMs !== undefined && { idleMs }),
    ...(slowStartMs !== undefined && { slowStartMs }),
    ...(spec.health && { health: spec.health }),
    ...(spec.outlier && { outlier: spec.outlier }),
    ...(spec.breaker && { breaker: spec.breaker }),
  };
}

function compilePolicies(
  { limits, ip, cors, auth, labels }: RouteSpec,
  context: CompileContext,
): plane.Policies {
  const { tenant, bssRate } = context;
  const names = rateNames(limits?.rate ?? []);
  const rates = (limits?.rate ?? []).map(({ requests, perSeconds = 60, burst, per = "client" }, index) => ({
    name: names[index]!,
    ...{ burst: burst ?? requests, perSecond: requests / perSeconds, per },
  }));
  if (rates.length === 0 && bssRate && labels?.system === "bss") rates.push({ ...bssRate });
  const jwt = auth?.jwt;
  return {
    ...(limits?.requestBytesMax !== undefined && { requestBytesMax: limits.requestBytesMax }),
    ...(ip && { ip }),
    ...(rates.length > 0 && { rateLimits: rates }),
    ...(cors && { cors }),
    ...(jwt && {
      jwt: {
        issuers: context.issuersOf(jwt),
        ...(jwt.audience !== undefined && { audience: jwt.audience }),
        ...(jwt.scopes && { scopes: jwt.scopes }),
        ...(jwt.anyRole && { anyRole: jwt.anyRole }),
        ...(jwt.scopeRoles && { scopeRoles: jwt.scopeRoles }),
        ...(jwt.claimHeaders && { claimHeaders: jwt.claimHeaders }),
      },
    }),
    ...(auth?.apiKey && {
      apiKey: {
        ...(auth.apiKey.header !== undefined && { header: auth.apiKey.header }),
        groups: (auth.apiKey.groups ?? ["*"]).map((group) => keyGroup(tenant, group)),
      },
    }),
  };
}

/** Keys of all tenants are in one list; the tenant in front keeps them apart. Every key is in the group `*`. */
export const keyGroup = (tenant: string, group: string) => `${tenant}/${group}`;
