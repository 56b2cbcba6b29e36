/** The Confluent registry's surface: how compatible versions must be, of a subject and by default; and its mode. */
import { type Static, Type } from "typebox";
import { type Route, route } from "../../platform/http/route.ts";
import { defaultMode } from "../modes.ts";
import type { SchemaSubjects } from "../schema-subjects.ts";
import { subjectName } from "../schemas.schema.ts";
import * as wire from "./wire.ts";

const bySubject = Type.Object({ subject: subjectName });
const shown = Type.Object({ compatibilityLevel: wire.level });
const body = Type.Object(
  {
    compatibility: wire.level,
    normalize: Type.Optional(Type.Unknown()),
    alias: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: false },
);
const readLevel = wire.reader<Static<typeof body>>(body);
const read = {
  ...wire.surface,
  permission: "schemas.read",
  audit: { none: "reads only" },
  query: wire.query,
} as const;
const write = {
  ...wire.surface,
  permission: "schemas.configure",
  audit: { action: "schema.configure" },
  query: wire.query,
} as const;

export function configRoutes(subjects: SchemaSubjects): Route[] {
  return [...levelRoutes(subjects), ...subjectLevelRoutes(subjects), ...modeRoutes()];
}

function levelRoutes(subjects: SchemaSubjects): Route[] {
  return [
    route({
      ...read,
      id: "schemas.registry.level",
      method: "GET",
      path: "/config",
      summary: "How compatible versions must be by default (Confluent registry)",
      response: shown,
      handler: async ({ principal }) =>
        wire.reply({
          compatibilityLevel: wire.levelOf(await subjects.defaultCompatibility(principal.tenant)),
        }),
    }),
    route({
      ...write,
      body: "bytes",
      bodyContent: wire.content(body),
      id: "schemas.registry.setLevel",
      method: "PUT",
      path: "/config",
      summary: "Set how compatible versions must be by default (Confluent registry)",
      response: Type.Object({ compatibility: wire.level }),
      handler: async ({ principal, requestId, body: bytes }) => {
        const mode = wire.modeOf(readLevel(bytes).compatibility);
        await subjects.configure({ principal, requestId }, undefined, mode);
        return wire.reply({ compatibility: wire.levelOf(mode) });
      },
    }),
  ];
}

function subjectLevelRoutes(subjects: SchemaSubjects): Route[] {
  return [
    route({
      ...read,
      id: "schemas.registry.subjectLevel",
      method: "GET",
      path: "/config/{subject}",
      summary: "How compatible versions of a subject must be (Confluent registry)",
      params: bySubject,
      response: shown,
      errors: ["schema_not_found"],
      handler: async ({ principal: { tenant }, params, query }) => {
        const own = (await subjects.get(tenant, params.subject))?.compatibility;
        if (own) return wire.reply({ compatibilityLevel: wire.levelOf(own) });
        if (wire.isSet(query.defaultToGlobal))
          return wire.reply({
            compatibilityLevel: wire.levelOf(await subjects.defaultCompatibility(tenant)),
          });
        const detail = `Subject '${params.subject}' does not have subject-level compatibility configured`;
        throw wire.failure("schema_not_found", 40408, detail);
      },
    }),
    route({
      ...write,
      body: "bytes",
      bodyContent: wire.content(body),
      id: "schemas.registry.setSubjectLevel",
      method: "PUT",
      path: "/config/{subject}",
      summary: "Set how compatible versions of a subject must be (Confluent registry)",
      params: bySubject,
      response: Type.Object({ compatibility: wire.level }),
      handler: async ({ principal, requestId, params, body: bytes }) => {
        const mode = wire.modeOf(readLevel(bytes).compatibility);
        await subjects.configure({ principal, requestId }, params.subject, mode);
        return wire.reply({ compatibility: wire.levelOf(mode) });
      },
    }),
    route({
      ...write,
      id: "schemas.registry.removeSubjectLevel",
      method: "DELETE",
      path: "/config/{subject}",
      summary: "Let the default decide for a subject (Confluent registry)",
      params: bySubject,
      response: shown,
      handler: async ({ principal, requestId, params }) => {
        const before = (await subjects.get(principal.tenant, params.subject))?.compatibility ?? defaultMode;
        await subjects.configure({ principal, requestId }, params.subject, null);
        return wire.reply({ compatibilityLevel: wire.levelOf(before) });
      },
    }),
  ];
}

function modeRoutes(): Route[] {
  const mode = {
    response: Type.Object({ mode: Type.String() }),
    handler: () => wire.reply({ mode: "READWRITE" }),
  };
  return [
    route({
      ...read,
      ...mode,
      id: "schemas.registry.mode",
      method: "GET",
      path: "/mode",
      summary: "READWRITE: who may write is a matter of roles (Confluent registry)",
    }),
    route({
      ...read,
      ...mode,
      id: "schemas.registry.subjectMode",
      method: "GET",
      path: "/mode/{subject}",
      summary: "READWRITE, as of all subjects (Confluent registry)",
      params: bySubject,
    }),
  ];
}
