/** /api/v1/gateway/backends: how backends are, and what people set on them by hand. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Route, route } from "../platform/http/route.ts";
import type { Backends, BackendView } from "./backends.ts";

const count = Type.Integer({ minimum: 0 });
const byId = Type.Object({ id: Type.String({ pattern: "^[0-9a-f]{1,64}$" }) });

const backend = Type.Object(
  {
    id: Type.String(),
    url: Type.String(),
    protocol: Type.Enum(["h1", "h2"]),
    routes: Type.Array(Type.String(), { description: "Names of the routes that use it." }),
    healthy: Type.Boolean({ description: "By active checks; true as long as none has failed." }),
    ejected: Type.Boolean({ description: "Left out for a while, as real requests failed." }),
    breaker: Type.Enum(["closed", "open", "half-open"]),
    inFlight: count,
    connections: count,
    idle: count,
    requests: Type.Integer({ minimum: 0, description: "Since the start of this node, as all totals." }),
    failures: count,
    lastProblem: Type.Union([Type.String(), Type.Null()]),
    override: Type.Union([
      Type.Object({
        breaker: Type.Enum(["open", "closed", "automatic"]),
        draining: Type.Boolean(),
      }),
      Type.Null(),
    ]),
  },
  { title: "Backend" },
);

const newOverride = Type.Object(
  {
    breaker: Type.Optional(
      Type.Enum(["open", "closed", "automatic"], {
        description: "`open` lets nothing through, `closed` everything; default `automatic`.",
      }),
    ),
    draining: Type.Optional(Type.Boolean({ description: "It gets no new requests; default false." })),
    reason: Type.Optional(Type.String({ maxLength: 512, description: "For the audit." })),
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2_592_000, description: "After which it ends by itself." }),
    ),
  },
  { additionalProperties: false },
);

export function backendRoutes(backends: Backends): Route[] {
  return [
    route({
      id: "gateway.backends.list",
      method: "GET",
      path: "/api/v1/gateway/backends",
      summary: "How the backends are, as this node sees them",
      permission: "gateway.read",
      audit: { none: "reads only" },
      response: Type.Object({ items: Type.Array(backend) }),
      handler: async ({ principal }) => ({ items: (await backends.list(principal.tenant)).map(toBackend) }),
    }),
    route({
      id: "gateway.backends.get",
      method: "GET",
      path: "/api/v1/gateway/backends/{id}",
      summary: "How one backend is",
      permission: "gateway.read",
      audit: { none: "reads only" },
      params: byId,
      response: backend,
      errors: ["gateway_backend_not_found"],
      handler: async ({ principal, params }) => toBackend(await backends.get(principal.tenant, params.id)),
    }),
    route({
      id: "gateway.backends.override",
      method: "POST",
      path: "/api/v1/gateway/backends/{id}/override",
      summary: "Open, close or drain a backend by hand",
      description: "Replaces what was set before; `{}` takes it back. Holds on every node.",
      permission: "gateway.write",
      audit: { action: "backend.override" },
      query: dryRunQuery,
      params: byId,
      body: newOverride,
      response: backend,
      errors: ["gateway_backend_not_found"],
      handler: async (context) =>
        toBackend(await backends.override(actorOf(context), context.params.id, context.body)),
    }),
  ];
}

function toBackend({ id, url, protocol, routes, state, override }: BackendView) {
  return {
    ...{ id, url, protocol, routes },
    healthy: state?.healthy ?? true,
    ejected: state?.ejected ?? false,
    breaker: state?.breaker ?? "closed",
    inFlight: state?.inFlight ?? 0,
    connections: state?.connections ?? 0,
    idle: state?.idle ?? 0,
    requests: state?.requests ?? 0,
    failures: state?.failures ?? 0,
    lastProblem: state?.lastProblem ?? null,
    override: override
      ? { breaker: override.breaker ?? "automatic", draining: override.draining ?? false }
      : null,
  };
}
