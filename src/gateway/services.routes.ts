/** /api/v1/gateway/services: instances that register themselves and stay by heartbeats. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Route, route } from "../platform/http/route.ts";
import { serviceName } from "./backends.schema.ts";
import { labels } from "./routes.schema.ts";
import type { InstanceRow } from "./services.sql.ts";
import type { Services } from "./services.ts";

const instanceId = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$" });
const byService = Type.Object({ name: serviceName });
const byInstance = Type.Object({ name: serviceName, id: instanceId });

const values = {
  url: Type.String({ pattern: "^https?://[^\\s/?#@]{1,255}/?$", description: "Host and port, no path." }),
  weight: Type.Integer({ minimum: 0, maximum: 1000, default: 1, description: "0 takes no traffic." }),
  labels: { ...labels, default: {} } as typeof labels,
  ttlSeconds: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 30,
    description: "It is gone when it was silent for so long; three heartbeats should fit.",
  }),
};

const newInstance = Type.Object(
  {
    id: Type.Optional(instanceId),
    url: values.url,
    weight: Type.Optional(values.weight),
    labels: Type.Optional(values.labels),
    ttlSeconds: Type.Optional(values.ttlSeconds),
  },
  { additionalProperties: false },
);

const instance = Type.Object(
  {
    id: instanceId,
    service: serviceName,
    ...values,
    expiresAt: Type.String({ format: "date-time" }),
    registeredAt: Type.String({ format: "date-time" }),
  },
  { title: "ServiceInstance" },
);

export function serviceRoutes(services: Services): Route[] {
  return [
    route({
      id: "gateway.services.list",
      method: "GET",
      path: "/api/v1/gateway/services",
      summary: "List the instances of all services",
      permission: "gateway.read",
      audit: { none: "reads only" },
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(instance),
      errors: ["cursor_invalid"],
      handler: ({ principal, query }) => page(services, principal.tenant, undefined, query),
    }),
    route({
      id: "gateway.instances.list",
      method: "GET",
      path: "/api/v1/gateway/services/{name}/instances",
      summary: "List the instances of a service",
      permission: "gateway.read",
      audit: { none: "reads only" },
      params: byService,
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(instance),
      errors: ["cursor_invalid"],
      handler: ({ principal, params, query }) => page(services, principal.tenant, params.name, query),
    }),
    ...changeRoutes(services),
  ];
}

function changeRoutes(services: Services): Route[] {
  return [
    route({
      id: "gateway.instances.register",
      method: "POST",
      path: "/api/v1/gateway/services/{name}/instances",
      summary: "Register an instance of a service",
      description:
        "Routes with this service among their backends use it at once. With the id of one it is brought up to date.",
      permission: "gateway.register",
      audit: { action: "instance.register" },
      query: dryRunQuery,
      params: byService,
      body: newInstance,
      status: 201,
      response: instance,
      errors: ["gateway_instances_full"],
      idempotent: true,
      handler: async (context) =>
        toInstance(await services.register(actorOf(context), context.params.name, context.body)),
    }),
    route({
      id: "gateway.instances.heartbeat",
      method: "POST",
      path: "/api/v1/gateway/services/{name}/instances/{id}/heartbeat",
      summary: "Say that an instance lives",
      description: "404 means that it is not registered any more: register it again.",
      permission: "gateway.register",
      audit: { none: "nothing changes but a deadline" },
      params: byInstance,
      response: instance,
      errors: ["gateway_instance_not_found"],
      handler: async ({ principal, params }) =>
        toInstance(await services.heartbeat(principal.tenant, params.name, params.id)),
    }),
    route({
      id: "gateway.instances.deregister",
      method: "DELETE",
      path: "/api/v1/gateway/services/{name}/instances/{id}",
      summary: "Take an instance away",
      description: "It gets no new request; what it is answering it may finish.",
      permission: "gateway.register",
      audit: { action: "instance.deregister" },
      query: dryRunQuery,
      params: byInstance,
      errors: ["gateway_instance_not_found"],
      handler: (context) => services.deregister(actorOf(context), context.params.name, context.params.id),
    }),
  ];
}

async function page(
  services: Services,
  tenant: string,
  service: string | undefined,
  { limit, cursor }: { limit: number; cursor?: string },
) {
  const key = decodeCursor(cursor, 2)?.map(String) as [string, string] | undefined;
  const rows = await services.list(tenant, { service, after: key, limit: limit + 1 });
  return toPage(rows, limit, toInstance, (row) => [row.service, row.id]);
}

function toInstance({ id, service, url, weight, labels, ttl_seconds, expires_at, created_at }: InstanceRow) {
  const times = { expiresAt: expires_at.toISOString(), registeredAt: created_at.toISOString() };
  return { id, service, url, weight, labels, ttlSeconds: ttl_seconds, ...times };
}
