/** /api/v1/gateway/routes */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { routeName } from "./fields.schema.ts";
import { analysis, changedRoute, finding, route as routeShape, routeSpec } from "./routes.schema.ts";
import type { ChangedRoute, Routes } from "./routes.ts";
import { readSet, writeYaml } from "./sets.ts";
import type { RouteRow } from "./tables.ts";

const byId = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) });
const etagErrors = ["if_match_required", "etag_mismatch"] as const;

export interface RouteLimits {
  jsonDepth: number;
  /** Of an import. */
  setBytes: number;
}

export function routeRoutes(routes: Routes, limits: RouteLimits): Route[] {
  return [...readRoutes(routes), ...changeRoutes(routes), ...setRoutes(routes, limits)];
}

const listQuery = Type.Object(
  {
    ...pageQuery,
    name: Type.Optional(routeName),
    host: Type.Optional(Type.String({ maxLength: 253, description: "As the routes have it; `*` is none." })),
    enabled: Type.Optional(Type.Boolean()),
    labels: Type.Optional(
      Type.String({ maxLength: 2048, description: "All of these: `team=billing,system=bss`." }),
    ),
  },
  { additionalProperties: false },
);

function readRoutes(routes: Routes): Route[] {
  return [
    route({
      id: "gateway.routes.list",
      method: "GET",
      path: "/api/v1/gateway/routes",
      summary: "List routes by name",
      permission: "gateway.read",
      audit: { none: "reads only" },
      query: listQuery,
      response: pageOf(routeShape),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, labels, ...filter } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const narrowed = { ...filter, labels: readLabels(labels) };
        const rows = await routes.list(principal.tenant, narrowed, after, limit + 1);
        return toPage(rows, limit, toRoute, ({ name }) => [name]);
      },
    }),
    route({
      id: "gateway.routes.analysis",
      method: "GET",
      path: "/api/v1/gateway/routes/analysis",
      summary: "Find routes that overlap or are never reached",
      description: "Of what this node serves. A narrower route beside a wider one is not reported.",
      permission: "gateway.read",
      audit: { none: "reads only" },
      response: analysis,
      handler: async ({ principal }) => {
        const { revision } = await routes.revision(principal.tenant);
        return { revision, ...routes.analysis(principal.tenant) };
      },
    }),
    route({
      id: "gateway.routes.get",
      method: "GET",
      path: "/api/v1/gateway/routes/{id}",
      summary: "Read a route",
      permission: "gateway.read",
      audit: { none: "reads only" },
      params: byId,
      response: routeShape,
      errors: ["gateway_route_not_found"],
      handler: async ({ principal, params }) => {
        const row = await routes.get(principal.tenant, params.id);
        return new Reply(toRoute(row), { headers: { etag: etagOf(row.version) } });
      },
    }),
  ];
}

function changeRoutes(routes: Routes): Route[] {
  return [
    route({
      id: "gateway.routes.create",
      method: "POST",
      path: "/api/v1/gateway/routes",
      summary: "Create a route",
      description: "When this is answered, the gateway of this node serves it, and other nodes soon do.",
      permission: "gateway.write",
      audit: { action: "route.create" },
      query: dryRunQuery,
      body: routeSpec,
      status: 201,
      response: changedRoute,
      errors: ["gateway_route_exists", "gateway_host_taken", "gateway_routes_full"],
      idempotent: true,
      handler: async (context) => shown(await routes.create(actorOf(context), context.body), 201),
    }),
    route({
      id: "gateway.routes.update",
      method: "PUT",
      path: "/api/v1/gateway/routes/{id}",
      summary: "Change a route",
      description:
        "The body is the whole route. Needs If-Match with the ETag that was read, or `*`. Backends that stay keep " +
        "their connections, health and breakers; requests go on under the route that they began with.",
      permission: "gateway.write",
      audit: { action: "route.update" },
      query: dryRunQuery,
      params: byId,
      body: routeSpec,
      response: changedRoute,
      errors: [
        ...(["gateway_route_not_found", "gateway_route_exists", "gateway_host_taken"] as const),
        ...(["gateway_route_deploying", ...etagErrors] as const),
      ],
      handler: async (context) => {
        const check = (row: RouteRow) => requireMatch(context.headers, row.version);
        return shown(await routes.update(actorOf(context), context.params.id, context.body, check));
      },
    }),
    route({
      id: "gateway.routes.delete",
      method: "DELETE",
      path: "/api/v1/gateway/routes/{id}",
      summary: "Delete a route",
      description: "Requests on their way end as they began. With If-Match only that version is deleted.",
      permission: "gateway.delete",
      audit: { action: "route.delete" },
      query: dryRunQuery,
      params: byId,
      errors: ["gateway_route_not_found", "gateway_route_deploying", "etag_mismatch"],
      handler: async (context) => {
        const check = (row: RouteRow) => {
          if (context.headers["if-match"] !== undefined) requireMatch(context.headers, row.version);
        };
        await routes.delete(actorOf(context), context.params.id, check);
      },
    }),
  ];
}

const placeChange = Type.Object({
  pointer: Type.String(),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
});

const importResult = Type.Object({
  dryRun: Type.Boolean(),
  revision: Type.Integer({
    description: "Of the set after the import; with dryRun what it would have been.",
  }),
  diff: Type.Object({
    added: Type.Array(routeName),
    changed: Type.Array(Type.Object({ name: routeName, changes: Type.Array(placeChange) })),
    removed: Type.Array(routeName),
    unchanged: Type.Integer(),
  }),
  warnings: Type.Array(finding),
});

const revision = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const routeSet = Type.Object(
  { revision: Type.Optional(revision), routes: Type.Array(routeSpec) },
  { title: "RouteSet", additionalProperties: false },
);
const exported = Type.Object({ revision, routes: Type.Array(routeSpec) });

const setTypes = ["application/json", "application/yaml"] as const;

function setRoutes(routes: Routes, limits: RouteLimits): Route[] {
  return [
    route({
      id: "gateway.routes.import",
      method: "POST",
      path: "/api/v1/gateway/routes/import",
      summary: "Make the route set what a document says",
      description:
        "JSON or YAML. Routes are told apart by name. All of it is taken in one revision, or nothing: mistakes are " +
        "told for every route, and the set that is served stays. To remove routes needs `gateway.delete`.",
      permission: "gateway.write",
      audit: { action: "routes.import" },
      query: Type.Object(
        {
          ...dryRunQuery.properties,
          mode: Type.Enum(["replace", "merge"], {
            default: "replace",
            description: "`replace` removes routes that are not named; `merge` leaves them.",
          }),
        },
        { additionalProperties: false },
      ),
      body: "bytes",
      bodyLimit: limits.setBytes,
      bodyContent: { "application/json": routeSet, "application/yaml": routeSet },
      response: importResult,
      errors: ["gateway_set_invalid", "gateway_host_taken", "gateway_routes_full", "gateway_route_deploying"],
      handler: async (context) => {
        const type = (context.headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
        if (!setTypes.some((known) => known === type)) {
          throw new HotSwapError("media_type_unsupported", `Send ${setTypes.join(" or ")}.`);
        }
        const specs = readSet(context.body as Buffer, type, limits.jsonDepth);
        const { dryRun, mode } = context.query;
        const result = await routes.import(actorOf(context), specs, mode as "replace" | "merge");
        return { dryRun, ...result };
      },
    }),
    route({
      id: "gateway.routes.export",
      method: "GET",
      path: "/api/v1/gateway/routes/export",
      summary: "The route set as a document",
      description: "Can be imported as it is; an earlier revision too, which takes the set back.",
      permission: "gateway.read",
      audit: { none: "reads only" },
      query: Type.Object(
        {
          format: Type.Enum(["json", "yaml"], { default: "json" }),
          revision: Type.Optional(revision),
        },
        { additionalProperties: false },
      ),
      response: exported,
      responseContent: { "application/yaml": exported },
      errors: ["gateway_revision_not_found"],
      handler: async ({ principal, query: { format, revision } }) => {
        const set = await routes.export(principal.tenant, revision);
        if (format === "json") return set;
        return new Reply(writeYaml(set), { headers: { "content-type": "application/yaml; charset=utf-8" } });
      },
    }),
  ];
}

function readLabels(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined || text === "") return undefined;
  const pairs = text.split(",").map((pair) => {
    const at = pair.indexOf("=");
    if (at > 0) return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    const fields = [{ pointer: "query/labels", message: "must be name=value, with commas between them" }];
    throw new HotSwapError("validation_failed", "labels must be name=value, with commas between them.", {
      fields,
    });
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

function shown({ row, warnings }: ChangedRoute, status = 200): Reply {
  return new Reply({ ...toRoute(row), warnings }, { status, headers: { etag: etagOf(row.version) } });
}

function toRoute({ id, spec, version, from_revision: revision, created_at, updated_at }: RouteRow) {
  const times = { createdAt: created_at.toISOString(), updatedAt: updated_at.toISOString() };
  return { id, ...spec, version, revision, ...times };
}
