/** Requests for approval over HTTP: ask, look, approve, reject. */
import { Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";
import type { Sql } from "../../stores/sql/port.ts";
import { authorize } from "../access/access.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../http/page.ts";
import { Reply, type Route, route } from "../http/route.ts";
import type { Approvals } from "./approvals.ts";
import { approvalStates } from "./state.ts";

const closed = { additionalProperties: false };
const plainText = "^[^\\u0000-\\u001f\\u007f]*$";
const orNull = (text: ReturnType<typeof Type.String>) => Type.Union([text, Type.Null()]);
const Time = Type.String({ format: "date-time" });

const Kind = Type.String({
  pattern: "^[a-z][a-z0-9._-]{0,62}$",
  description: "What is to be done, such as `config.deploy`.",
});
const ResourcePath = Type.String({
  minLength: 1,
  maxLength: 512,
  pattern: plainText,
  description: "To what, such as `configs/shop/7`.",
});
const Environment = Type.String({ minLength: 1, maxLength: 63, pattern: "^[\\w.-]+$" });
const Summary = Type.String({ maxLength: 500, pattern: plainText });
const Reason = Type.String({ minLength: 1, maxLength: 2000, pattern: "^[^\\u0000]*$" });
const State = Type.Enum([...approvalStates]);

const common = {
  id: Type.String({ format: "uuid" }),
  kind: Kind,
  resource: ResourcePath,
  environment: orNull(Environment),
  summary: orNull(Summary),
  contentHash: Type.String({ description: "SHA-256 over the canonical JSON (RFC 8785) of the content." }),
  state: State,
  author: Type.String(),
  requestedAt: Time,
  expiresAt: Time,
  decidedBy: orNull(Type.String()),
  decidedAt: orNull(Time),
  reason: orNull(Reason),
};
const content = Type.Unknown({ description: "Exactly what is to be approved; any JSON." });
const ApprovalSchema = Type.Object({ ...common, content }, { ...closed, title: "Approval" });
const ApprovalSummary = Type.Object(common, { ...closed, title: "ApprovalSummary" });

const RequestBody = Type.Object(
  {
    kind: Kind,
    resource: ResourcePath,
    content,
    environment: Type.Optional(Environment),
    summary: Type.Optional(Summary),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 30 * 86_400, description: "Default one day." }),
    ),
  },
  closed,
);

const Query = Type.Object(
  {
    ...pageQuery,
    state: Type.Optional(State),
    kind: Type.Optional(Kind),
    resource: Type.Optional(ResourcePath),
  },
  closed,
);
const Id = Type.Object({ id: Type.String({ format: "uuid" }) }, closed);

export function approvalRoutes(approvals: Approvals, sql: Sql): Route[] {
  return [
    listRoute(approvals),
    requestRoute(approvals, sql),
    getRoute(approvals),
    ...decideRoutes(approvals, sql),
  ];
}

function listRoute(approvals: Approvals): Route {
  return route({
    id: "approvals.list",
    method: "GET",
    path: "/api/v1/approvals",
    summary: "Requests for approval, newest first",
    permission: "approvals.read",
    audit: { none: "reads only" },
    query: Query,
    response: pageOf(ApprovalSummary),
    errors: ["cursor_invalid"],
    handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
      const before = decodeCursor(cursor, 1)?.[0];
      if (before !== undefined && !/^[0-9a-f-]{36}$/.test(String(before)))
        throw new HotSwapError("cursor_invalid");
      const rows = await approvals.newest(principal.tenant, filter, before as string | undefined, limit + 1);
      return toPage(
        rows,
        limit,
        ({ content: _, ...summary }) => summary,
        ({ id }) => [id],
      );
    },
  });
}

function requestRoute(approvals: Approvals, sql: Sql): Route {
  return route({
    id: "approvals.request",
    method: "POST",
    path: "/api/v1/approvals",
    summary: "Ask for approval of exactly this content",
    description:
      "An open request of the same kind and resource is answered when its content is the same, " +
      "and becomes void when it is not.",
    permission: "approvals.request",
    checksResource: true,
    audit: { action: "approvals.request" },
    body: RequestBody,
    status: 201,
    response: ApprovalSchema,
    idempotent: true,
    handler: async ({ principal, body, requestId }) => {
      authorize(principal, "approvals.request", { tenant: principal.tenant, environment: body.environment });
      const approval = await sql.tenant(principal.tenant, (tx) =>
        approvals.request(tx, { principal, requestId, ...body }),
      );
      return new Reply(approval, { status: 201, headers: { location: `/api/v1/approvals/${approval.id}` } });
    },
  });
}

function getRoute(approvals: Approvals): Route {
  return route({
    id: "approvals.get",
    method: "GET",
    path: "/api/v1/approvals/{id}",
    summary: "One request for approval, with its content",
    permission: "approvals.read",
    checksResource: true,
    audit: { none: "reads only" },
    params: Id,
    response: ApprovalSchema,
    errors: ["not_found"],
    handler: ({ principal, params }) => approvals.get(principal, params.id),
  });
}

function decideRoutes(approvals: Approvals, sql: Sql): Route[] {
  const shared = {
    method: "POST",
    permission: "approvals.decide",
    checksResource: true,
    params: Id,
    response: ApprovalSchema,
    idempotent: true,
    errors: ["not_found", "approval_self", "approval_void"],
  } as const;
  return [
    route({
      ...shared,
      id: "approvals.approve",
      path: "/api/v1/approvals/{id}/approve",
      summary: "Approve the content of this request",
      audit: { action: "approvals.approve" },
      body: Type.Object({ reason: Type.Optional(Reason) }, closed),
      handler: ({ principal, params, body, requestId }) =>
        sql.tenant(principal.tenant, (tx) =>
          approvals.decide(tx, { principal, requestId, id: params.id, decision: "approve", ...body }),
        ),
    }),
    route({
      ...shared,
      id: "approvals.reject",
      path: "/api/v1/approvals/{id}/reject",
      summary: "Reject this request, and say why",
      audit: { action: "approvals.reject" },
      body: Type.Object({ reason: Reason }, closed),
      handler: ({ principal, params, body, requestId }) =>
        sql.tenant(principal.tenant, (tx) =>
          approvals.decide(tx, { principal, requestId, id: params.id, decision: "reject", ...body }),
        ),
    }),
  ];
}
