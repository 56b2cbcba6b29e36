/** /api/v1/configs: configurations themselves. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { mayRead } from "./access.ts";
import * as shapes from "./configs.schema.ts";
import type { Configs } from "./configs.ts";
import type { ConfigRow } from "./tables.ts";

export const byName = Type.Object({ name: shapes.configName });

/** Whether configurations of the environment need an approval. */
export type NeedsApproval = (environment: string) => boolean;

export function configRoutes(configs: Configs, needsApproval: NeedsApproval): Route[] {
  return [...readRoutes(configs, needsApproval), ...changeRoutes(configs, needsApproval)];
}

function readRoutes(configs: Configs, needsApproval: NeedsApproval): Route[] {
  return [
    route({
      id: "configuration.configs.list",
      method: "GET",
      path: "/api/v1/configs",
      summary: "List configurations by name",
      permission: "configs.read",
      checksResource: true,
      audit: { none: "reads only" },
      query: Type.Object(
        {
          ...pageQuery,
          service: Type.Optional(shapes.serviceName),
          environment: Type.Optional(shapes.environmentName),
          text: Type.Optional(
            Type.String({ minLength: 1, maxLength: 128, description: "Part of the name or description." }),
          ),
        },
        { additionalProperties: false },
      ),
      response: pageOf(shapes.config),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const rows = await configs.list(principal.tenant, filter, after, limit + 1);
        const page = toPage(
          rows,
          limit,
          (row) => row,
          ({ name }) => [name],
        );
        const items = page.items.filter((row) => mayRead(principal, row));
        return { ...page, items: items.map((row) => toConfig(row, needsApproval)) };
      },
    }),
    route({
      id: "configuration.configs.get",
      method: "GET",
      path: "/api/v1/configs/{name}",
      summary: "Read a configuration",
      permission: "configs.read",
      checksResource: true,
      audit: { none: "reads only" },
      params: byName,
      response: shapes.config,
      errors: ["config_not_found"],
      handler: async ({ principal, params }) =>
        shown(await configs.get(principal, params.name), needsApproval),
    }),
  ];
}

function changeRoutes(configs: Configs, needsApproval: NeedsApproval): Route[] {
  return [
    route({
      id: "configuration.configs.create",
      method: "POST",
      path: "/api/v1/configs",
      summary: "Create a configuration",
      description: "Its documents come as versions, and nothing is in force before one of them is deployed.",
      permission: "configs.write",
      checksResource: true,
      query: dryRunQuery,
      audit: { action: "config.create" },
      body: shapes.newConfig,
      status: 201,
      response: shapes.config,
      errors: ["config_exists", "configs_full"],
      idempotent: true,
      handler: async (context) =>
        shown(await configs.create(actorOf(context), context.body), needsApproval, 201),
    }),
    route({
      id: "configuration.configs.update",
      method: "PUT",
      path: "/api/v1/configs/{name}",
      summary: "Change a configuration",
      description:
        "Name, service, environment and format are fixed. Needs If-Match with the ETag that was read, or `*`.",
      permission: "configs.write",
      checksResource: true,
      query: dryRunQuery,
      audit: { action: "config.update" },
      params: byName,
      body: shapes.configUpdate,
      response: shapes.config,
      errors: ["config_not_found", "if_match_required", "etag_mismatch"],
      handler: async (context) => {
        const check = (row: ConfigRow) => requireMatch(context.headers, row.revision);
        const row = await configs.update(actorOf(context), context.params.name, context.body, check);
        return shown(row, needsApproval);
      },
    }),
    route({
      id: "configuration.configs.delete",
      method: "DELETE",
      path: "/api/v1/configs/{name}",
      summary: "Delete a configuration with all its versions",
      permission: "configs.delete",
      checksResource: true,
      query: dryRunQuery,
      audit: { action: "config.delete" },
      params: byName,
      errors: ["config_not_found", "config_version_in_use", "etag_mismatch"],
      handler: (context) =>
        configs.delete(actorOf(context), context.params.name, (row) => {
          if (context.headers["if-match"] !== undefined) requireMatch(context.headers, row.revision);
        }),
    }),
  ];
}

function shown(row: ConfigRow, needsApproval: NeedsApproval, status = 200): Reply {
  return new Reply(toConfig(row, needsApproval), { status, headers: { etag: etagOf(row.revision) } });
}

function toConfig(row: ConfigRow, needsApproval: NeedsApproval) {
  const { name, service, environment, format, description, labels, revision } = row;
  const schema =
    row.schema_subject === null ? null : { subject: row.schema_subject, version: row.schema_version };
  return {
    ...{ name, service, environment, format, description, labels, schema },
    currentVersion: row.current_version,
    latestVersion: row.latest_version,
    needsApproval: needsApproval(environment),
    revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
