/**
 * The Confluent registry's surface, so that existing serializers work unchanged: subjects, versions, schemas by
 * id, compatibility. Only versions in force are shown. What is registered here is submitted at once, and refused
 * when it breaks something: for a change that has to break, there is /api/v1/schemas with its approvals.
 */
import { type Static, Type } from "typebox";
import type { Context } from "../../platform/http/route.ts";
import { type Reply, type Route, route } from "../../platform/http/route.ts";
import type { Checker } from "../checker.ts";
import { isInForce } from "../lifecycle.ts";
import { type Verdict, verdictText } from "../modes.ts";
import { subjectName } from "../schemas.schema.ts";
import type { Schemas } from "../schemas.ts";
import type { VersionRow } from "../tables.ts";
import * as wire from "./wire.ts";

const version = Type.String({ maxLength: 20, description: "A number, or `latest`." });
const bySubject = Type.Object({ subject: subjectName });
const byVersion = Type.Object({ subject: subjectName, version });
const byNumber = Type.Object({ id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) });
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
        const rows = await schemas.subjects(principal.tenant, undefined, subjectsMax);
        const prefix = query.subjectPrefix ?? "";
        const found = rows.filter(({ name, last_version }) => last_version > 0 && name.startsWith(prefix));
        return wire.reply(found.map(({ name }) => name));
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
      handler: async ({ principal, params }) => {
        const rows = await visible(schemas, principal.tenant, params.subject);
        return wire.reply(rows.map((row) => row.version));
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
      handler: async ({ principal, params }) => {
        const row = await one(schemas, principal.tenant, params.subject, params.version);
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
      handler: async ({ principal, params }) => {
        const { text } = await one(schemas, principal.tenant, params.subject, params.version);
        return wire.reply(JSON.parse(text));
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
      handler: async ({ principal, params, body }) => {
        const { hash } = await checker.examine(wire.textOf(readBody(body)), "/schema");
        const rows = await visible(schemas, principal.tenant, params.subject);
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
  const text = wire.textOf(readBody(body));
  const done = await schemas.register(actor, { subject, text, submit: true, refuseBreaking: true });
  const { row } = done.row.state === "draft" ? await schemas.submit(actor, done.row.id) : done;
  return wire.reply({ id: row.number, version: row.version, schemaType: "JSON", schema: row.text });
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
      response: Type.Object({ schema: Type.String(), schemaType: Type.String() }),
      errors: ["schema_not_found"],
      handler: async ({ principal, params: { id } }) => {
        const row = await schemas.text(principal.tenant, id);
        if (!row) throw wire.failure("schema_not_found", wire.schemaNotFound, `Schema ${id} not found.`);
        return wire.reply({ schema: row.text, schemaType: "JSON" });
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
        const text = wire.textOf(readBody(body));
        return answer(
          await schemas.check(tenant, params.subject, text, undefined, row.version),
          query.verbose,
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
        await visible(schemas, principal.tenant, params.subject);
        const text = wire.textOf(readBody(body));
        return answer(await schemas.check(principal.tenant, params.subject, text), query.verbose);
      },
    }),
  ];
}

/** Versions in force; error 40401 when there is none. */
async function visible(schemas: Schemas, tenant: string, subject: string): Promise<VersionRow[]> {
  const rows = (await schemas.versionsOf(tenant, subject)).filter(({ state }) => isInForce(state));
  if (rows.length > 0) return rows;
  throw wire.failure("schema_not_found", wire.subjectNotFound, `Subject '${subject}' not found.`);
}

async function one(schemas: Schemas, tenant: string, subject: string, wanted: string): Promise<VersionRow> {
  const rows = await visible(schemas, tenant, subject);
  if (wanted === "latest" || wanted === "-1")
    return rows.findLast(({ state }) => state === "approved") ?? rows.at(-1)!;
  if (!/^[1-9]\d{0,9}$/.test(wanted))
    throw wire.failure("validation_failed", wire.invalidVersion, "The version must be a number or `latest`.");
  const row = rows.find((candidate) => candidate.version === Number(wanted));
  if (row) return row;
  throw wire.failure("schema_not_found", wire.versionNotFound, `Version ${wanted} not found.`);
}
