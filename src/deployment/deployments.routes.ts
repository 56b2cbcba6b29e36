/** /api/v1/deployments, and the same resource narrowed to one kind below another prefix. */
import { type TSchema, Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Context, Reply, type Route, route } from "../platform/http/route.ts";
import { totalsOf } from "./cohort-totals.ts";
import { bodyOf, type DeploymentBody, deployableKinds, targetName } from "./deployments.schema.ts";
import type { Deployments } from "./deployments.ts";
import { type EventParts, eventRoute } from "./events.routes.ts";
import type { Slice } from "./history.sql.ts";
import { type Narrowing, wholeResource } from "./narrowing.ts";
import * as show from "./show.ts";
import { statuses } from "./state.ts";
import type { DeploymentRow } from "./tables.ts";
import { verbRoutes } from "./verbs.routes.ts";

const strict = { additionalProperties: false } as const;
const byId = Type.Object({ id: Type.String({ format: "uuid" }) });

export function deploymentRoutes(
  parts: EventParts & { deployments: Deployments },
  narrowing = wholeResource,
): Route[] {
  const { deployments } = parts;
  const routes = [
    createRoute(deployments, narrowing),
    ...readRoutes(deployments, narrowing),
    eventRoute(parts, narrowing),
    ...numberRoutes(deployments, narrowing),
    ...verbRoutes(deployments, narrowing),
  ];
  return routes.map((one) => ({
    ...one,
    id: one.id.replace(wholeResource.id, narrowing.id),
    path: one.path.replace(wholeResource.prefix, narrowing.prefix),
  }));
}

function createRoute(deployments: Deployments, { prefix, kind }: Narrowing): Route {
  return route({
    id: "deployments.create",
    method: "POST",
    path: "/api/v1/deployments",
    summary: kind ? `Deploy a ${kind}` : "Deploy a version",
    description:
      "Step by step, by a strategy. Fields that the strategy does not know are refused. With dryRun the answer is the " +
      "plan for the units that there are now.",
    permission: "deployments.write",
    checksResource: true,
    audit: { action: "deployments.create" },
    query: dryRunQuery,
    body: bodyOf(kind) as TSchema,
    status: 201,
    response: show.deployment,
    errors: ["deployment_kind_unknown", "deployments_full", "not_found", "gateway_route_not_found"],
    idempotent: true,
    handler: async (context) => {
      const body = { kind, ...(context.body as object) } as DeploymentBody;
      const actor = actorOf(context as Context<unknown, { dryRun: boolean }>);
      const { row, plan, approvalId } = await deployments.create(actor, body);
      const headers = { location: `${prefix}/${row.id}` };
      return new Reply(show.toDeployment(row, approvalId, plan), { status: 201, headers });
    },
  });
}

function readRoutes(deployments: Deployments, { kind: only }: Narrowing): Route[] {
  const kinds = only ? {} : { kind: Type.Optional(Type.Enum([...deployableKinds])) };
  const query = Type.Object(
    {
      ...pageQuery,
      ...kinds,
      target: Type.Optional(targetName),
      environment: Type.Optional(Type.String({ maxLength: 63 })),
      group: Type.Optional(Type.String({ maxLength: 63 })),
      status: Type.Optional(
        Type.Enum(["active", ...statuses], { description: "`active` is all that have not ended." }),
      ),
    },
    strict,
  );
  return [
    route({
      id: "deployments.list",
      method: "GET",
      path: "/api/v1/deployments",
      summary: "List deployments, newest first",
      permission: "deployments.read",
      audit: { none: "reads only" },
      query,
      response: pageOf(show.deploymentSummary),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...given } }) => {
        const filter = { ...given, ...(only && { kind: only }) } as Parameters<Deployments["list"]>[1];
        const before = decodeCursor(cursor, 1)?.[0];
        if (before !== undefined && !/^[0-9a-f-]{36}$/.test(String(before)))
          throw new HotSwapError("cursor_invalid");
        const rows = await deployments.list(principal, filter, before as string | undefined, limit + 1);
        return toPage(rows, limit, show.toSummary, (row) => [row.id]);
      },
    }),
    route({
      id: "deployments.get",
      method: "GET",
      path: "/api/v1/deployments/{id}",
      summary: "A deployment: where it is, what holds it, and what the judge says",
      permission: "deployments.read",
      checksResource: true,
      audit: { none: "reads only" },
      params: byId,
      response: show.deployment,
      errors: ["deployment_not_found"],
      handler: async ({ principal, params }) => {
        const row = await deployments.get(principal, params.id, only);
        return show.toDeployment(row, await deployments.approvalOf(row));
      },
    }),
  ];
}

const cohort = Type.Object(
  {
    requests: Type.Number(),
    errors: Type.Number(),
    errorRate: Type.Union([Type.Number(), Type.Null()]),
    slow: Type.Union([Type.Number(), Type.Null()]),
    latencyMs: Type.Union([
      Type.Object({ p50: Type.Number(), p95: Type.Number(), p99: Type.Number() }),
      Type.Null(),
    ]),
    custom: Type.Record(Type.String(), Type.Number()),
  },
  { title: "DeploymentCohort" },
);

const healthQuery = Type.Object(
  {
    ...pageQuery,
    after: Type.Optional(
      Type.Integer({
        ...{ minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        description: "Only samples with a higher number than this one: what came since.",
      }),
    ),
    order: Type.Enum(["oldest", "newest"], { default: "oldest", description: "Which sample comes first." }),
  },
  strict,
);

const PAGE = 1_000;
const PAGES_MAX = 20;

function numberRoutes(deployments: Deployments, { kind }: Narrowing): Route[] {
  const shared = {
    method: "GET",
    permission: "deployments.read",
    checksResource: true,
    params: byId,
    audit: { none: "reads only" },
    errors: ["deployment_not_found", "cursor_invalid"],
  } as const;
  return [
    route({
      ...shared,
      id: "deployments.health",
      path: "/api/v1/deployments/{id}/health",
      summary: "What was measured of both versions, with the verdict after each sample",
      query: healthQuery,
      response: pageOf(show.healthItem),
      handler: async ({ principal, params, query: { limit, cursor, after = 0, order } }) => {
        const row = await deployments.get(principal, params.id, kind);
        const from = numberOf(decodeCursor(cursor, 1)?.[0]);
        const slice: Omit<Slice, "limit"> =
          order === "newest"
            ? { after, ...(from !== undefined && { before: from }), order }
            : { after: Math.max(after, from ?? 0) };
        const samples = await deployments.health(principal.tenant, row.id, { ...slice, limit: limit + 1 });
        return toPage(samples, limit, show.toHealth, ({ number }) => [number]);
      },
    }),
    route({
      ...shared,
      id: "deployments.metrics",
      path: "/api/v1/deployments/{id}/metrics",
      summary: "Both versions in sum, since the deployment began",
      response: Type.Object({
        ...{ status: Type.Enum([...statuses]), share: Type.Number(), samples: Type.Integer() },
        ...{ canary: cohort, control: cohort },
        verdict: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
        progress: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
      }),
      handler: async ({ principal, params }) => {
        const row = await deployments.get(principal, params.id, kind);
        const samples = await samplesOf(deployments, row);
        const { status, share } = show.toSummary(row);
        return {
          ...{ status, share, samples: samples.length },
          ...{ canary: totalsOf(samples, "canary"), control: totalsOf(samples, "control") },
          verdict: row.verdicts.at(-1) ?? null,
          progress: row.progress && show.toProgress(row.progress),
        };
      },
    }),
  ];
}

async function samplesOf(deployments: Deployments, { tenant_id: tenant, id }: DeploymentRow) {
  const samples = [];
  let after = 0;
  for (let page = 0; page < PAGES_MAX; page++) {
    const rows = await deployments.health(tenant, id, { after, limit: PAGE });
    samples.push(...rows.map(({ sample }) => sample));
    if (rows.length < PAGE) break;
    after = rows.at(-1)!.number;
  }
  return samples;
}

function numberOf(key: string | number | undefined): number | undefined {
  if (key !== undefined && !Number.isSafeInteger(key)) throw new HotSwapError("cursor_invalid");
  return key as number | undefined;
}
