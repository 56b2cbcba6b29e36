/** /api/v1/configs/{name}/versions: documents, what differs between them, and where each value came from. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { byName } from "./configs.routes.ts";
import * as shapes from "./configs.schema.ts";
import type { ConfigRow, EventRow, VersionRow } from "./tables.ts";
import type { VersionSummary } from "./versions.sql.ts";
import type { MadeVersion, Versions } from "./versions.ts";

const byVersion = Type.Object({ name: shapes.configName, version: shapes.versionNumber });
const reads = {
  method: "GET",
  permission: "configs.read",
  checksResource: true,
  audit: { none: "reads only" },
} as const;
export const documentErrors = [
  "config_not_found",
  "config_invalid",
  "config_too_large",
  "config_schema_violated",
  "config_secret_unknown",
  "config_versions_full",
  "schema_not_found",
  "schema_too_costly",
] as const;

export function versionRoutes(versions: Versions, bodyLimit: number): Route[] {
  return [
    ...listRoutes(versions),
    ...readRoutes(versions),
    ...makeRoutes(versions, bodyLimit),
    deleteRoute(versions),
  ];
}

function listRoutes(versions: Versions): Route[] {
  return [
    route({
      ...reads,
      id: "configuration.versions.list",
      path: "/api/v1/configs/{name}/versions",
      summary: "List the versions of a configuration, newest first",
      params: byName,
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(shapes.versionSummary),
      errors: ["config_not_found", "cursor_invalid"],
      handler: async ({ principal, params, query: { limit, cursor } }) => {
        const before = decodeCursor(cursor, 1)?.[0];
        if (before !== undefined && !isVersion(before)) throw new HotSwapError("cursor_invalid");
        const found = await versions.list(principal, params.name, before, limit + 1);
        return toPage(
          found.versions,
          limit,
          (row) => toSummary(row, found.config),
          ({ version }) => [version],
        );
      },
    }),
    route({
      ...reads,
      id: "configuration.configs.history",
      path: "/api/v1/configs/{name}/history",
      summary: "What happened to a configuration, newest first",
      description: "Versions that were made, promoted or deleted, and each change of the one in force.",
      params: byName,
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(shapes.event),
      errors: ["config_not_found", "cursor_invalid"],
      handler: async ({ principal, params, query: { limit, cursor } }) => {
        const before = decodeCursor(cursor, 1)?.[0]?.toString();
        if (before !== undefined && !/^[0-9a-f-]{36}$/.test(before)) throw new HotSwapError("cursor_invalid");
        const events = await versions.history(principal, params.name, before, limit + 1);
        return toPage(events, limit, toEvent, ({ id }) => [id]);
      },
    }),
  ];
}

function readRoutes(versions: Versions): Route[] {
  return [
    route({
      ...reads,
      id: "configuration.versions.get",
      path: "/api/v1/configs/{name}/versions/{version}",
      summary: "Read a version with its document",
      params: byVersion,
      response: shapes.version,
      errors: ["config_not_found", "config_version_not_found"],
      handler: async ({ principal, params }) => {
        const { config, row } = await versions.get(principal, params.name, params.version);
        return { ...toSummary(row, config), format: config.format, text: row.text, value: row.value };
      },
    }),
    route({
      ...reads,
      id: "configuration.versions.diff",
      path: "/api/v1/configs/{name}/versions/{from}/diff/{to}",
      summary: "What differs between two versions",
      description:
        "Items of a list that have an `id`, `key` or `name` are told apart by it. Literal values that look like " +
        "secrets are masked.",
      params: Type.Object({
        name: shapes.configName,
        from: shapes.versionNumber,
        to: shapes.versionNumber,
      }),
      response: shapes.diff,
      errors: ["config_not_found", "config_version_not_found"],
      handler: async ({ principal, params: { name, from, to } }) => ({
        from,
        to,
        ...(await versions.diff(principal, name, from, to)),
      }),
    }),
    route({
      ...reads,
      id: "configuration.versions.blame",
      path: "/api/v1/configs/{name}/versions/{version}/blame",
      summary: "Which version, and who, brought each value of a version",
      params: byVersion,
      response: shapes.blamed,
      errors: ["config_not_found", "config_version_not_found"],
      handler: async ({ principal, params: { name, version } }) => {
        const places = await versions.blame(principal, name, version);
        const items = places.map(({ createdAt, ...place }) => ({
          ...place,
          createdAt: createdAt.toISOString(),
        }));
        return { version, items };
      },
    }),
  ];
}

function makeRoutes(versions: Versions, bodyLimit: number): Route[] {
  const makes = {
    method: "POST",
    permission: "configs.write",
    checksResource: true,
    params: byName,
    query: dryRunQuery,
    status: 201,
    response: shapes.madeVersion,
    idempotent: true,
  } as const;
  return [
    route({
      ...makes,
      id: "configuration.versions.create",
      path: "/api/v1/configs/{name}/versions",
      summary: "Make a version of a document",
      description:
        "It is held against the schema of the configuration, and the secrets that it refers to must be there. The same " +
        "content again is answered with the version that it is already, and `created` false.",
      audit: { action: "version.create" },
      body: shapes.newVersion,
      bodyLimit,
      errors: [...documentErrors, "config_conflict"],
      handler: async (context) =>
        made(await versions.create(actorOf(context), context.params.name, context.body)),
    }),
    route({
      ...makes,
      id: "configuration.configs.promote",
      path: "/api/v1/configs/{name}/promote",
      summary: "Copy a version to the configuration of another environment",
      description:
        "It becomes a version there, held against the schema there, and remembers where it came from. It is not in " +
        "force before it is deployed.",
      audit: { action: "config.promote" },
      body: shapes.promotion,
      errors: [...documentErrors, "config_version_not_found", "config_promotion_refused"],
      handler: async (context) => {
        const { to, ...options } = context.body;
        return made(await versions.promote(actorOf(context), context.params.name, to, options));
      },
    }),
  ];
}

function deleteRoute(versions: Versions): Route {
  return route({
    id: "configuration.versions.delete",
    method: "DELETE",
    path: "/api/v1/configs/{name}/versions/{version}",
    summary: "Delete a version that is neither in force nor being deployed",
    permission: "configs.delete",
    checksResource: true,
    query: dryRunQuery,
    audit: { action: "version.delete" },
    params: byVersion,
    errors: ["config_not_found", "config_version_not_found", "config_version_in_use"],
    handler: (context) => versions.delete(actorOf(context), context.params.name, context.params.version),
  });
}

const isVersion = (key: unknown): key is number =>
  Number.isSafeInteger(key) && Math.abs(Number(key)) < 2 ** 31;

export function made({ row, isNew, warnings }: MadeVersion): Reply {
  const location = `/api/v1/configs/${row.config}/versions/${row.version}`;
  const body = { ...toSummary(row, undefined), created: isNew, warnings };
  return new Reply(body, { status: 201, headers: { location } });
}

function toSummary(row: VersionSummary | VersionRow, config: ConfigRow | undefined) {
  const { version, hash, note, author, parent, secrets, origin } = row;
  const schema =
    row.schema_subject === null ? null : { subject: row.schema_subject, version: row.schema_version };
  return {
    ...{ config: row.config, version, hash, note, author, parent, schema, secrets, origin },
    current: config?.current_version === version,
    createdAt: row.created_at.toISOString(),
  };
}

function toEvent({ id, type, version, from_version, author, note, deployment, created_at }: EventRow) {
  const at = created_at.toISOString();
  return { id, type, version, fromVersion: from_version, author, note, deployment, at };
}
