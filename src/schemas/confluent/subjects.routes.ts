/**
 * The Confluent registry's surface, so that existing serializers work unchanged: subjects, versions, schemas by
 * id, compatibility. Only versions in force are shown, and with `deleted` those that are retired. What is registered
 * here is submitted at once, and refused when it breaks something: for a change that has to break, there is
 * /api/v1/schemas with its approvals.
 */
import { type Static, Type } from "typebox";
import { INTEGER_MAX } from "../../core/bounds.ts";
import type { Context } from "../../platform/http/route.ts";
import { type Reply, type Route, route } from "../../platform/http/route.ts";
import type { Checker } from "../checker.ts";
import { isInForce } from "../lifecycle.ts";
import { type Verdict, verdictText } from "../modes.ts";
import { subjectName } from "../schemas.schema.ts";
import type { Schemas } from "../schemas.ts";
import { bundle, sourceOf } from "./references.ts";
import { one, statesOf, visible } from "./visible.ts";
import * as wire from "./wire.ts";

const bySubject = Type.Object({ subject: subjectName });
const byVersion = Type.Object({ subject: subjectName, version: wire.version });
const byNumber = Type.Object({ id: Type.Integer({ minimum: 1, maximum: INTEGER_MAX }) });
const numbers = Type.Array(Type.Integer());
const names = Type.Array(Type.String());
const read = {
  ...wire.surface,
  permission: "schemas.read",
  audit: { none: "reads only" },
  query: wire.query,
} as const;
const readBody = wire.reader<wire.SchemaBody>(wire.schemaBody);
const subjectsMax = 10_000;

export function subjectRoutes(schemas: Schemas, checker: Checker): Route[] {
  return [
    ...listRoutes(schemas),
    ...versionRoutes(schemas),
    ...registerRoutes(schemas, checker),
    ...schemaRoutes(schemas),
    ...compatibilityRoutes(schemas),
  ];
}

function listRoutes(schemas: Schemas): Route[] {
  return [
    route({
      ...read,
      id: "schemas.registry.subjects",
      method: "GET",
      path: "/subjects",
      summary: "Names of subjects (Confluent registry)",
      response: names,
      handler: async ({ principal, query }) => {
        const names = await schemas.names(principal.tenant, statesOf(query), subjectsMax);
        const wanted = names.filter((name) => name.startsWith(query.subjectPrefix ?? ""));
        return wire.reply(wire.part(wanted, query));
      },
    }),
    route({
      ...read,
      id: "schemas.registry.versions",
      method: "GET",
      path: "/subjects/{subject}/versions",
      summary: "Versions of a subject that are in force (Confluent registry)",
      params: bySubject,
      response: numbers,
      errors: ["schema_not_found"],
      handler: async ({ principal, params, query }) => {
        const rows = await visible(schemas, principal.tenant, params.subject, query);
        const versions = rows.map((row) => row.version);
        return wire.reply(wire.part(versions, query));
      },
    }),
  ];
}

function versionRoutes(schemas: Schemas): Route[] {
  return [
    route({
      ...read,
      id: "schemas.registry.version",
      method: "GET",
      path: "/subjects/{subject}/versions/{version}",
      summary: "A version of a subject (Confluent registry)",
      params: byVersion,
      response: wire.shownVersion,
      errors: ["schema_not_found"],
      handler: async ({ principal, params, query }) => {
        const row = await one(schemas, principal.tenant, params.subject, params.version, query);
        return wire.reply(wire.toShown(row));
      },
    }),
    route({
      ...read,
      id: "schemas.registry.versionText",
      method: "GET",
      path: "/subjects/{subject}/versions/{version}/schema",
      summary: "The text of a version (Confluent registry)",
      params: byVersion,
      response: Type.Unknown(),
      errors: ["schema_not_found"],
      handler: async ({ principal, params, query }) => {
        const row = await one(schemas, principal.tenant, params.subject, params.version, query);
        return wire.reply(JSON.parse(sourceOf(row).schema));
      },
    }),
    route({
      ...read,
      id: "schemas.registry.referencedBy",
      method: "GET",
      path: "/subjects/{subject}/versions/{version}/referencedby",
      summary: "Ids of the schemas that refer to a version (Confluent registry)",
      params: byVersion,
      response: numbers,
      errors: ["schema_not_found"],
      handler: async ({ principal, params }) => {
        const row = await one(schemas, principal.tenant, params.subject, params.version);
        const rows = await schemas.referring(principal.tenant, row);
        return wire.reply([...new Set(rows.map(({ number }) => number))]);
      },
    }),
  ];
}

function registerRoutes(schemas: Schemas, checker: Checker): Route[] {
  return [
    route({
      ...wire.surface,
      body: "bytes",
      bodyContent: wire.content(wire.schemaBody),
      id: "schemas.registry.register",
      method: "POST",
      path: "/subjects/{subject}/versions",
      summary: "Register a schema that breaks nothing (Confluent registry)",
      permission: "schemas.write",
      audit: { action: "schema.register" },
      params: bySubject,
      query: wire.query,
      response: Type.Object({
        id: Type.Integer(),
        version: Type.Integer(),
        schemaType: Type.String(),
        schema: Type.String(),
        references: wire.shownVersion.properties.references,
      }),
      errors: ["schema_invalid", "schema_too_costly", "schema_incompatible", "overloaded"],
      handler: (context) => register(schemas, context),
    }),
    route({
      ...read,
      body: "bytes",
      bodyContent: wire.content(wire.schemaBody),
      id: "schemas.registry.lookup",
      method: "POST",
      path: "/subjects/{subject}",
      summary: "Which version of a subject this schema is (Confluent registry)",
      params: bySubject,
      response: wire.shownVersion,
      errors: ["schema_not_found", "schema_invalid", "schema_too_costly", "overloaded"],
      handler: async ({ principal: { tenant }, params, query, body }) => {
        const { text } = await bundled(schemas, tenant, body);
        const { hash } = await checker.examine(text, "/schema");
        const rows = await visible(schemas, tenant, params.subject, query);
        const row = rows.findLast((candidate) => candidate.hash === hash);
        if (!row) throw wire.failure("schema_not_found", wire.schemaNotFound, "Schema not found.");
        return wire.reply(wire.toShown(row));
      },
    }),
  ];
}

async function register(
  schemas: Schemas,
  { principal, requestId, params, body }: Context<Static<typeof bySubject>, unknown, Buffer>,
): Promise<Reply> {
  const actor = { principal, requestId };
  const { subject } = params;
  const wanted = await bundled(schemas, principal.tenant, body);
  const done = await schemas.register(actor, { subject, ...wanted, submit: true, refuseBreaking: true });
  const { row } = done.row.state === "draft" ? await schemas.submit(actor, done.row.id) : done;
  return wire.reply({ id: row.number, version: row.version, schemaType: "JSON", ...sourceOf(row) });
}

/** The schema of a body, with what it refers to copied in. */
function bundled(schemas: Schemas, tenant: string, bytes: Buffer) {
  const body = readBody(bytes);
  return bundle(schemas, tenant, wire.textOf(body), body.references ?? []);
}

function schemaRoutes(schemas: Schemas): Route[] {
  const uses = async (tenant: string, number: number) => {
    const rows = await schemas.list(tenant, { number }, undefined, subjectsMax);
    if (rows.length === 0)
      throw wire.failure("schema_not_found", wire.schemaNotFound, `Schema ${number} not found.`);
    return rows.filter(({ state }) => isInForce(state));
  };
  return [
    route({
      ...read,
      id: "schemas.registry.byId",
      method: "GET",
      path: "/schemas/ids/{id}",
      summary: "A schema by the id that serializers use (Confluent registry)",
      params: byNumber,
      response: wire.shownText,
      errors: ["schema_not_found"],
      handler: async ({ principal, params: { id } }) => {
        const row = await schemas.text(principal.tenant, id);
        if (!row) throw wire.failure("schema_not_found", wire.schemaNotFound, `Schema ${id} not found.`);
        return wire.reply({ schemaType: "JSON", ...sourceOf(row) });
      },
    }),
    route({
      ...read,
      id: "schemas.registry.versionsOfId",
      method: "GET",
      path: "/schemas/ids/{id}/versions",
      summary: "Which versions of which subjects have this id (Confluent registry)",
      params: byNumber,
      response: Type.Array(Type.Object({ subject: Type.String(), version: Type.Integer() })),
      errors: ["schema_not_found"],
      handler: async ({ principal, params }) => {
        const rows = await uses(principal.tenant, params.id);
        return wire.reply(rows.map(({ subject, version }) => ({ subject, version })));
      },
    }),
    route({
      ...read,
      id: "schemas.registry.subjectsOfId",
      method: "GET",
      path: "/schemas/ids/{id}/subjects",
      summary: "Which subjects have a version of this id (Confluent registry)",
      params: byNumber,
      response: names,
      errors: ["schema_not_found"],
      handler: async ({ principal, params }) => {
        const rows = await uses(principal.tenant, params.id);
        return wire.reply([...new Set(rows.map(({ subject }) => subject))]);
      },
    }),
    route({
      ...read,
      id: "schemas.registry.types",
      method: "GET",
      path: "/schemas/types",
      summary: "Types of schemas: JSON (Confluent registry)",
      response: names,
      handler: () => wire.reply(["JSON"]),
    }),
  ];
}

function compatibilityRoutes(schemas: Schemas): Route[] {
  const shared = {
    ...read,
    body: "bytes",
    bodyContent: wire.content(wire.schemaBody),
    method: "POST",
    response: Type.Object({ is_compatible: Type.Boolean(), messages: Type.Optional(names) }),
    errors: ["schema_not_found", "schema_invalid", "schema_too_costly", "overloaded"],
  } as const;
  const answer = (verdict: Verdict, isVerbose = false) =>
    wire.reply({
      is_compatible: verdict.compatible,
      ...(isVerbose && { messages: verdict.compatible ? [] : [verdictText(verdict)] }),
    });
  return [
    route({
      ...shared,
      id: "schemas.registry.compatible",
      path: "/compatibility/subjects/{subject}/versions/{version}",
      summary: "Whether a schema is compatible with a version (Confluent registry)",
      params: byVersion,
      handler: async ({ principal, params, query, body }) => {
        const { tenant } = principal;
        const row = await one(schemas, tenant, params.subject, params.version);
        const { text } = await bundled(schemas, tenant, body);
        return answer(
          await schemas.check(tenant, params.subject, text, undefined, row.version),
          wire.isSet(query.verbose),
        );
      },
    }),
    route({
      ...shared,
      id: "schemas.registry.compatibleWithAll",
      path: "/compatibility/subjects/{subject}/versions",
      summary: "Whether a schema could be the next version (Confluent registry)",
      params: bySubject,
      handler: async ({ principal, params, query, body }) => {
        const { tenant } = principal;
        await visible(schemas, tenant, params.subject);
        const { text } = await bundled(schemas, tenant, body);
        return answer(await schemas.check(tenant, params.subject, text), wire.isSet(query.verbose));
      },
    }),
  ];
}
