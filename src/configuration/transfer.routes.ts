/** /api/v1/configs/export and /import. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, encodeCursor, pageOf, pageQuery } from "../platform/http/page.ts";
import { type Route, route } from "../platform/http/route.ts";
import * as shapes from "./configs.schema.ts";
import type { ExportedConfig, Transfer } from "./transfer.ts";

export function transferRoutes(transfer: Transfer, importLimitBytes: number): Route[] {
  return [
    route({
      id: "configuration.configs.export",
      method: "GET",
      path: "/api/v1/configs/export",
      summary: "Configurations with the document in force, as an import takes them",
      description:
        "Where nothing is in force, with the newest version. Secrets are references, as they are in the documents.",
      permission: "configs.read",
      checksResource: true,
      audit: { none: "reads only" },
      query: Type.Object(
        {
          ...pageQuery,
          service: Type.Optional(shapes.serviceName),
          environment: Type.Optional(shapes.environmentName),
        },
        { additionalProperties: false },
      ),
      response: pageOf(shapes.exportedConfig),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const { items, next } = await transfer.export(principal, filter, after, limit);
        return { items: items.map(toExported), next: next === undefined ? null : encodeCursor([next]) };
      },
    }),
    route({
      id: "configuration.configs.import",
      method: "POST",
      path: "/api/v1/configs/import",
      summary: "Create and change configurations in one go",
      description:
        "All of them or none. What is not there is created, what differs becomes a version, and what is not named " +
        "stays. Nothing is deployed by it.",
      permission: "configs.write",
      checksResource: true,
      audit: { action: "config.import" },
      query: dryRunQuery,
      body: shapes.importBody,
      bodyLimit: importLimitBytes,
      response: shapes.imported,
      errors: ["config_import_invalid", "configs_full", "config_versions_full", "config_secret_unknown"],
      handler: async (context) => {
        const { configs, note } = context.body;
        const report = await transfer.import(actorOf(context), configs, note);
        return { dryRun: context.query.dryRun, ...report };
      },
    }),
  ];
}

function toExported({ config, version }: ExportedConfig) {
  const { name, service, environment, format, description, labels } = config;
  const schema =
    config.schema_subject === null
      ? null
      : { subject: config.schema_subject, version: config.schema_version };
  return {
    ...{ name, service, environment, format, description, labels, schema },
    text: version?.text ?? null,
    version: version?.version ?? null,
    hash: version?.hash ?? null,
  };
}
