/** /api/v1/schemas: versions of schemas and their life. */
import { type Static, Type } from "typebox";
import { INTEGER_MAX } from "../core/bounds.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { authorize } from "../platform/access/access.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Context, Reply, type Route, route } from "../platform/http/route.ts";
import type { Checker } from "./checker.ts";
import { diffSchemas } from "./diff.ts";
import { schemaStates } from "./lifecycle.ts";
import type { Verdict } from "./modes.ts";
import { type Replay, summarise } from "./replay.ts";
import * as shapes from "./schemas.schema.ts";
import type { Registered, Schemas } from "./schemas.ts";
import type { VersionRow } from "./tables.ts";

const strict = { additionalProperties: false } as const;
const byId = Type.Object({ id: Type.String({ format: "uuid" }) });
const shared = { method: "POST", params: byId, query: dryRunQuery, response: shapes.schemaVersion } as const;
const replayLimit = 1_000;
/** Of uses of a version; the number of all is told beside them. */
const usesMax = 1_000;

export function schemaRoutes(schemas: Schemas, checker: Checker): Route[] {
  return [
    ...readRoutes(schemas),
    ...registerRoutes(schemas, checker),
    ...lifeRoutes(schemas),
    ...endRoutes(schemas),
    validateRoute(schemas, checker),
    diffRoute(schemas, checker),
  ];
}

function readRoutes(schemas: Schemas): Route[] {
  return [
    route({
      id: "schemas.list",
      method: "GET",
      path: "/api/v1/schemas",
      summary: "List schema versions by subject",
      permission: "schemas.read",
      audit: { none: "reads only" },
      query: Type.Object(
        {
          ...pageQuery,
          subject: Type.Optional(shapes.subjectName),
          version: Type.Optional(shapes.version),
          state: Type.Optional(Type.Enum([...schemaStates])),
        },
        strict,
      ),
      response: pageOf(shapes.schemaSummary),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
        const key = decodeCursor(cursor, 2);
        if (key && !Number.isSafeInteger(key[1])) throw new HotSwapError("cursor_invalid");
        const after = key && { subject: String(key[0]), version: Number(key[1]) };
        const found = await schemas.list(principal.tenant, filter, after, limit + 1);
        return toPage(found, limit, toSummary, ({ subject, version }) => [subject, version]);
      },
    }),
    route({
      id: "schemas.get",
      method: "GET",
      path: "/api/v1/schemas/{id}",
      summary: "Read a schema version with its text and verdict",
      permission: "schemas.read",
      audit: { none: "reads only" },
      params: byId,
      response: shapes.schemaVersion,
      errors: ["schema_not_found"],
      handler: async ({ principal, params }) => toVersion(await schemas.get(principal.tenant, params.id)),
    }),
    route({
      id: "schemas.usage",
      method: "GET",
      path: "/api/v1/schemas/{id}/usage",
      summary: "Which topics, subscriptions, consumers, configurations and schemas use this version",
      description:
        "A subscription reads by the version that it names, or else by that of its topic, and so do its consumers: those " +
        "heard of in the last five minutes, on any node. A node that does not answer within two seconds is `missing`.",
      permission: "schemas.read",
      audit: { none: "reads only" },
      params: byId,
      query: Type.Object({ kind: Type.Optional(shapes.userKind) }, strict),
      response: shapes.usage,
      errors: ["schema_not_found"],
      handler: async (caller) => {
        const { kind } = caller.query;
        const row = await schemas.get(caller.principal.tenant, caller.params.id);
        const isElsewhere = kind === undefined || kind === "consumer"; // the rest is in SQL, the same for all nodes
        const { uses, total, missing } = await schemas.usage(row, isElsewhere ? { caller } : {});
        const items = kind === undefined ? uses : uses.filter((use) => use.kind === kind);
        return { items: items.slice(0, usesMax), total: total - (uses.length - items.length), missing };
      },
    }),
  ];
}

function registerRoutes(schemas: Schemas, checker: Checker): Route[] {
  return [
    route({
      id: "schemas.register",
      method: "POST",
      path: "/api/v1/schemas",
      summary: "Register a schema as the next version of its subject",
      description:
        "It becomes a draft, with a verdict on how it compares with the versions in force. The same schema again " +
        "is answered with the version that it is already, and `created` false.",
      permission: "schemas.write",
      audit: { action: "schema.register" },
      query: dryRunQuery,
      body: shapes.newSchema,
      status: 201,
      response: shapes.registered,
      errors: ["schema_invalid", "schema_too_costly", "overloaded"],
      idempotent: true,
      handler: async (context) => {
        const { schema, ...rest } = context.body;
        const done = await schemas.register(actorOf(context), { ...rest, text: JSON.stringify(schema) });
        const headers = { location: `/api/v1/schemas/${done.row.id}` };
        return new Reply({ ...toVersion(done.row), created: done.isNew }, { status: 201, headers });
      },
    }),
    route({
      id: "schemas.check",
      method: "POST",
      path: "/api/v1/schemas/check",
      summary: "Compare a schema with its subject, and with real messages; nothing is kept",
      permission: "schemas.read",
      audit: { none: "reads only" },
      body: shapes.checkBody,
      response: shapes.checked,
      errors: ["schema_invalid", "schema_too_costly", "overloaded", "topic_not_found"],
      handler: async ({ principal, body }) => {
        const { subject, compatibility: mode, version, replay } = body;
        const text = JSON.stringify(body.schema);
        const { tenant } = principal;
        const compatibility = await schemas.check(tenant, subject, text, mode, version);
        let tried: Replay | null = null;
        if (replay) {
          authorize(principal, "messages.read", {});
          const payloads = await schemas.payloads(tenant, replay.topic, replay.limit ?? replayLimit);
          tried = summarise(replay.topic, await checker.validate(text, payloads, "/payload"));
        }
        return { compatibility, replay: tried };
      },
    }),
  ];
}

function lifeRoutes(schemas: Schemas): Route[] {
  return [
    route({
      ...shared,
      id: "schemas.submit",
      path: "/api/v1/schemas/{id}/submit",
      summary: "Submit a draft for approval",
      description:
        "Opens a request for approval that carries verdict and counter-example. What is proven to break nothing is " +
        "approved at once when schemas.autoApprove says so.",
      permission: "schemas.write",
      audit: { action: "schema.submit" },
      errors: ["schema_not_found", "schema_state_refused", "overloaded"],
      handler: async (context) => answer(await schemas.submit(actorOf(context), context.params.id)),
    }),
    route({
      ...shared,
      id: "schemas.approve",
      path: "/api/v1/schemas/{id}/approve",
      summary: "Approve a version in review, so that it is in force",
      description:
        "Decides the open request for approval, or uses the one that was approved. Nobody approves their own.",
      permission: "schemas.approve",
      audit: { action: "schema.approve" },
      body: shapes.approveBody,
      errors: [
        "schema_not_found",
        "schema_state_refused",
        "approval_self",
        "approval_void",
        "approval_required",
        "not_found",
        "overloaded",
      ],
      handler: async (context) =>
        answer(await schemas.approve(actorOf(context), context.params.id, context.body.reason)),
    }),
  ];
}

function endRoutes(schemas: Schemas): Route[] {
  return [
    route({
      ...shared,
      id: "schemas.deprecate",
      path: "/api/v1/schemas/{id}/deprecate",
      summary: "Tell everybody to move to another version",
      description: "It stays in force. Refused while something uses it, on any node, unless `force`.",
      permission: "schemas.write",
      audit: { action: "schema.deprecate" },
      body: shapes.endBody,
      errors: ["schema_not_found", "schema_state_refused", "schema_in_use"],
      handler: async (context) =>
        toVersion(await schemas.end(actorOf(context), context.params.id, "deprecate", endOf(context))),
    }),
    route({
      ...shared,
      id: "schemas.retire",
      path: "/api/v1/schemas/{id}/retire",
      summary: "Take a version out of force for good",
      description:
        "Of a deprecated version, or of one that was never approved. While something uses it, on any node, only with " +
        "`force`, and by who may set how compatible versions must be.",
      permission: "schemas.write",
      audit: { action: "schema.retire" },
      body: shapes.endBody,
      errors: ["schema_not_found", "schema_state_refused", "schema_in_use"],
      handler: async (context) =>
        toVersion(await schemas.end(actorOf(context), context.params.id, "retire", endOf(context))),
    }),
  ];
}

const endOf = (context: Context<unknown, unknown, Static<typeof shapes.endBody>>) => ({
  ...context.body,
  caller: context,
});

function validateRoute(schemas: Schemas, checker: Checker): Route {
  return route({
    id: "schemas.validate",
    method: "POST",
    path: "/api/v1/schemas/{id}/validate",
    summary: "Hold a payload against this version",
    permission: "schemas.read",
    audit: { none: "reads only" },
    params: byId,
    body: shapes.validateBody,
    response: shapes.validated,
    errors: ["schema_not_found", "schema_too_costly", "overloaded"],
    handler: async ({ principal, params, body }) => {
      const { text } = await schemas.get(principal.tenant, params.id);
      const [errors] = await checker.validate(text, [JSON.stringify(body.payload)], "/payload");
      return { valid: errors === null, errors: errors ?? [] };
    },
  });
}

function diffRoute(schemas: Schemas, checker: Checker): Route {
  return route({
    id: "schemas.diff",
    method: "GET",
    path: "/api/v1/schemas/{id}/diff",
    summary: "What changed since another version, and whether anything can break by it",
    permission: "schemas.read",
    audit: { none: "reads only" },
    params: byId,
    query: Type.Object(
      {
        from: Type.Optional(
          Type.Integer({ minimum: 1, maximum: INTEGER_MAX, description: "Default: the version before." }),
        ),
      },
      strict,
    ),
    response: shapes.diffed,
    errors: ["schema_not_found", "overloaded"],
    handler: async ({ principal, params, query }) => {
      const row = await schemas.get(principal.tenant, params.id);
      const from = query.from ?? row.version - 1;
      const other = (await schemas.versionsOf(principal.tenant, row.subject)).find(
        ({ version }) => version === from,
      );
      if (!other) throw new HotSwapError("schema_not_found", `${row.subject} has no version ${from}.`);
      const { checks } = await checker.compare("full", row, [other]);
      const of = (wanted: string) => checks.find(({ direction }) => direction === wanted)!;
      const outcome = ({ version: _, direction: __, ...comparison }: Verdict["checks"][number]) => comparison;
      return {
        from,
        to: row.version,
        changes: diffSchemas(JSON.parse(other.text) as Json, JSON.parse(row.text) as Json),
        backward: outcome(of("backward")),
        forward: outcome(of("forward")),
      };
    },
  });
}

const answer = ({ row }: Registered) => toVersion(row);

function toSummary(row: VersionRow) {
  const { id, subject, version, number, state, draft, hash, description, author } = row;
  return {
    ...{ id, subject, version, number, state, draft, hash, description, author },
    compatible: (JSON.parse(row.verdict) as Verdict).compatible,
    approvalId: row.approval_id,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function toVersion(row: VersionRow) {
  return {
    ...toSummary(row),
    schema: JSON.parse(row.text) as unknown,
    compatibility: JSON.parse(row.verdict) as Verdict,
  };
}
