/** /api/v1/schema-subjects: what schemas are versions of, and how compatible the versions must be. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Route, route } from "../platform/http/route.ts";
import type { Mode } from "./modes.ts";
import type { SchemaSubjects } from "./schema-subjects.ts";
import * as shapes from "./schemas.schema.ts";
import type { SubjectRow } from "./tables.ts";

const byName = Type.Object({ name: shapes.subjectName });

export function subjectRoutes(subjects: SchemaSubjects): Route[] {
  return [
    route({
      id: "schemas.subjects.list",
      method: "GET",
      path: "/api/v1/schema-subjects",
      summary: "List subjects by name",
      permission: "schemas.read",
      audit: { none: "reads only" },
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(shapes.subject),
      errors: ["cursor_invalid"],
      handler: async ({ principal: { tenant }, query: { limit, cursor } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const usual = await subjects.defaultCompatibility(tenant);
        const found = await subjects.list(tenant, after, limit + 1);
        return toPage(
          found,
          limit,
          (row) => toSubject(row, usual),
          ({ name }) => [name],
        );
      },
    }),
    route({
      id: "schemas.subjects.get",
      method: "GET",
      path: "/api/v1/schema-subjects/{name}",
      summary: "Read a subject",
      permission: "schemas.read",
      audit: { none: "reads only" },
      params: byName,
      response: shapes.subject,
      errors: ["schema_not_found"],
      handler: ({ principal, params }) => shown(subjects, principal.tenant, params.name),
    }),
    route({
      id: "schemas.subjects.configure",
      method: "PUT",
      path: "/api/v1/schema-subjects/{name}",
      summary: "Set how compatible the versions of a subject must be",
      description: "A subject that nobody has named yet is made. The default of all subjects is PUT /config.",
      permission: "schemas.configure",
      audit: { action: "schema.configure" },
      params: byName,
      query: dryRunQuery,
      body: shapes.subjectChange,
      response: shapes.subject,
      handler: async (context) => {
        const { name } = context.params;
        const row = await subjects.configure(actorOf(context), name, context.body.compatibility);
        return toSubject(row!, await subjects.defaultCompatibility(context.principal.tenant));
      },
    }),
  ];
}

async function shown(subjects: SchemaSubjects, tenant: string, name: string) {
  const row = await subjects.get(tenant, name);
  if (!row) throw new HotSwapError("schema_not_found", `There is no subject named ${JSON.stringify(name)}.`);
  return toSubject(row, await subjects.defaultCompatibility(tenant));
}

function toSubject(row: SubjectRow, usual: Mode) {
  const { name, compatibility, last_version: lastVersion } = row;
  return {
    name,
    compatibility,
    effective: compatibility ?? usual,
    lastVersion,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
