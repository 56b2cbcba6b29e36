/** /api/v1/gateway: its state, its traffic, and why a request went the way it went. */
import { Type } from "typebox";
import { type Route, route } from "../platform/http/route.ts";
import type { Follower } from "./follower.ts";
import type { RequestRecord } from "./proxy/records.ts";
import { flagMeanings, type Requests } from "./requests.ts";
import type { SharedLimits } from "./shared-limits.ts";
import type { Traffic } from "./traffic.ts";

const count = Type.Integer({ minimum: 0 });
const number = Type.Number({ minimum: 0 });
const orNull = <Schema extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Number>>(
  schema: Schema,
) => Type.Union([schema, Type.Null()]);
const text = Type.String();
const time = Type.String({ format: "date-time" });
const counts = Type.Record(Type.String(), count);

const status = Type.Object({
  url: orNull(text),
  tlsUrl: orNull(text),
  /** What the data plane has done since it started. */
  status: Type.Enum(["ok", "stale", "off"], {
    description: "`stale`: SQL cannot be reached, and the gateway serves by the last snapshot that it has.",
  }),
  revision: Type.Integer({
    description: "Of the snapshot that this node serves by; each node counts its own.",
  }),
  routes: Type.Integer({ description: "Of all tenants." }),
  workers: count,
  connections: count,
  tunnels: count,
  checkedAt: orNull(time),
  staleSince: orNull(time),
  limits: Type.Enum(["node", "shared", "alone"], {
    description:
      "Over what rate limits count. `node`: this one, as it shares no key-value store with others. `shared`: all " +
      "nodes. `alone`: the shared store is away, and each node counts by itself.",
  }),
  problems: Type.Array(Type.Object({ kind: text, id: text, message: text }), {
    description:
      "What the data plane left out, as it cannot be served, and issuers of tokens whose keys cannot be read.",
  }),
});

export interface GatewayParts {
  follower: Follower;
  requests: Requests;
  traffic: Traffic;
  limits(): SharedLimits["state"];
  address(): { url: string | undefined; tlsUrl: string | undefined };
}

export function gatewayRoutes(parts: GatewayParts): Route[] {
  return [
    route({
      id: "gateway.status.get",
      method: "GET",
      path: "/api/v1/gateway/status",
      summary: "Where the gateway of this node listens, and what it serves by",
      permission: "gateway.read",
      audit: { none: "reads only" },
      response: status,
      handler: ({ principal }) => showStatus(parts, principal.tenant),
    }),
    route({
      id: "gateway.traffic.get",
      method: "GET",
      path: "/api/v1/gateway/traffic",
      summary: "What goes through each route and backend",
      description:
        "Rates are over `windowSeconds`, which grows to ten while somebody asks every second or so.",
      permission: "gateway.read",
      audit: { none: "reads only" },
      response: traffic,
      handler: ({ principal }) => showTraffic(parts, principal.tenant),
    }),
    ...requestRoutes(parts),
  ];
}

async function showStatus({ follower, traffic, limits, address }: GatewayParts, tenant: string) {
  const { url, tlsUrl } = address();
  const { revision, routes, checkedAt, staleSince, problems } = follower.state;
  const { workers, connections, tunnels } = (await traffic.read()).totals;
  const own = problems.filter(
    ({ kind, id }) => kind !== "route" || follower.builder.find(id)?.tenant === tenant,
  );
  return {
    ...{ url: url ?? null, tlsUrl: tlsUrl ?? null },
    status: url === undefined ? "off" : staleSince === undefined ? "ok" : "stale",
    ...{ revision, routes, workers, connections, tunnels },
    checkedAt: toTime(checkedAt || undefined),
    staleSince: toTime(staleSince),
    limits: limits(),
    problems: [...own, ...follower.issuerProblems(tenant)].map(({ kind, id, message }) => ({
      kind,
      id: follower.routeName(id) ?? id,
      message,
    })),
  };
}

const toTime = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());

const routeTraffic = Type.Object({
  id: text,
  name: text,
  variant: text,
  requests: count,
  failed: count,
  active: count,
  byClass: Type.Array(count, { description: "Answers by the first digit of their status, from 1xx to 5xx." }),
  requestBytes: count,
  responseBytes: count,
  requestsPerSecond: number,
  failuresPerSecond: number,
  p50Seconds: orNull(number),
  p99Seconds: orNull(number),
});

const backendTraffic = Type.Object({
  id: text,
  url: text,
  healthy: Type.Boolean(),
  ejected: Type.Boolean(),
  breaker: Type.Enum(["closed", "open", "half-open"]),
  inFlight: count,
  connections: count,
  requests: count,
  failures: count,
  requestsPerSecond: number,
});

const traffic = Type.Object({
  at: time,
  windowSeconds: number,
  connections: count,
  tunnels: count,
  retries: counts,
  flags: counts,
  refused: {
    ...counts,
    description: "Requests that ended before a route was known, by reason.",
  } as typeof counts,
  routes: Type.Array(routeTraffic),
  backends: Type.Array(backendTraffic),
});

async function showTraffic({ follower, traffic: source }: GatewayParts, tenant: string) {
  const { windowSeconds, totals, routes, backends } = await source.read();
  const { connections, tunnels, retries, flags, refused } = totals;
  return {
    ...{
      at: new Date(follower.now()).toISOString(),
      windowSeconds,
      connections,
      tunnels,
      retries,
      flags,
      refused,
    },
    routes: routes.flatMap((route) => {
      const known = follower.builder.find(route.id);
      if (known?.tenant !== tenant) return [];
      return { ...route, name: known.spec.name, byClass: route.byClass.slice(-5) };
    }),
    backends: backends.flatMap(({ idle, lastProblem, ...backend }) => {
      const known = follower.backends.find(backend.id);
      return known?.tenant === tenant ? { ...backend, url: known.backend.url } : [];
    }),
  };
}

const requestFields = {
  id: text,
  at: time,
  method: text,
  host: text,
  path: Type.String({ description: "Without the query." }),
  protocol: text,
  client: text,
  subject: orNull(text),
  route: orNull(text),
  variant: orNull(text),
  status: Type.Integer({ description: "0 when there was no answer." }),
  code: orNull(Type.String({ description: "Of the error, when the gateway answered with one of its own." })),
  flags: Type.Array(Type.Object({ flag: text, meaning: text })),
  requestBytes: count,
  responseBytes: count,
  totalMs: number,
  decidedMs: Type.Number({
    minimum: 0,
    description: "Until the route was known and its policies had spoken.",
  }),
  attempts: count,
  traceId: text,
  worker: count,
  revision: Type.Integer(),
};

const state = Type.Object({
  backend: text,
  url: orNull(text),
  healthy: Type.Boolean(),
  ejected: Type.Boolean(),
  breaker: text,
  inFlight: count,
  lastProblem: orNull(text),
});

const explained = Type.Object({
  ...requestFields,
  attempts: Type.Array(
    Type.Object({
      backend: text,
      url: orNull(text),
      address: text,
      startMs: Type.Number(),
      connectMs: orNull(Type.Number({ description: "Null on a connection that was there already." })),
      firstByteMs: orNull(Type.Number()),
      endMs: Type.Number(),
      status: Type.Union([Type.Integer(), Type.Null()]),
      flag: orNull(text),
      problem: orNull(Type.String({ description: "What went wrong, in words." })),
    }),
  ),
  considered: Type.Array(Type.Object({ route: text, chosen: Type.Boolean(), reason: text }), {
    description:
      "Routes that fit its host and path as they are now, in the order in which they are looked at.",
  }),
  candidates: Type.Array(
    Type.Object({
      backend: text,
      url: orNull(text),
      weight: number,
      inFlight: count,
      usable: Type.Boolean(),
      reason: orNull(text),
    }),
    { description: "What the balancer chose from, as it was then." },
  ),
  rateLimits: Type.Array(Type.Object({ name: text, burst: count, perSecond: number, per: text })),
  backendsNow: Type.Array(state),
});

function requestRoutes({ requests, follower }: GatewayParts): Route[] {
  return [
    route({
      id: "gateway.requests.list",
      method: "GET",
      path: "/api/v1/gateway/requests",
      summary: "The last requests that this node served, newest first",
      permission: "gateway.read",
      audit: { none: "reads only" },
      query: Type.Object(
        { limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }) },
        { additionalProperties: false },
      ),
      response: Type.Object({ items: Type.Array(Type.Object(requestFields)) }),
      handler: async ({ principal, query }) => {
        const records = await requests.recent(principal.tenant, query.limit);
        return { items: records.map((record) => toRequest(record, follower)) };
      },
    }),
    route({
      id: "gateway.requests.get",
      method: "GET",
      path: "/api/v1/gateway/requests/{id}",
      summary: "Why a request went the way it went",
      description:
        "By its X-Request-Id, which every answer of the gateway carries. Held in memory for a while by the node that served it.",
      permission: "gateway.read",
      audit: { none: "reads only" },
      params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) }),
      response: explained,
      errors: ["gateway_request_not_found"],
      handler: async ({ principal, params }) => {
        const found = await requests.explain(principal.tenant, params.id);
        const { record, considered, states, urlOf } = found;
        return {
          ...toRequest(record, follower),
          considered,
          candidates: (record.candidates ?? []).map(({ reason = null, ...candidate }) => {
            return { ...candidate, url: urlOf(candidate.backend), reason };
          }),
          attempts: record.attempts.map((attempt) => ({
            ...absentAsNull(attempt),
            url: urlOf(attempt.backend),
          })),
          rateLimits: follower.builder.compiled(record.route)?.policies?.rateLimits ?? [],
          backendsNow: states.map(({ id, healthy, ejected, breaker, inFlight, lastProblem = null }) => {
            return { backend: id, url: urlOf(id), healthy, ejected, breaker, inFlight, lastProblem };
          }),
        };
      },
    }),
  ];
}

function absentAsNull(attempt: RequestRecord["attempts"][number]) {
  const {
    backend,
    address,
    startMs,
    connectMs = null,
    firstByteMs = null,
    endMs,
    status = null,
    flag = null,
    problem = null,
  } = attempt;
  return { backend, address, startMs, connectMs, firstByteMs, endMs, status, flag, problem };
}

function toRequest(record: RequestRecord, follower: Follower) {
  const { id, at, method, host, path, protocol, client, status, requestBytes, responseBytes } = record;
  const {
    totalMs,
    decidedMs,
    traceId,
    worker,
    revision,
    subject = null,
    variant = null,
    code = null,
  } = record;
  return {
    ...{ id, at: new Date(at).toISOString(), method, host, path, protocol, client, subject },
    route: record.route === undefined ? null : (follower.routeName(record.route) ?? record.route),
    ...{ variant, status, code },
    flags: record.flags.map((flag) => ({ flag, meaning: flagMeanings[flag] })),
    ...{ requestBytes, responseBytes, totalMs, decidedMs, traceId, worker, revision },
    attempts: record.attempts.length,
  };
}
