/** /api/v1/secrets: set, named and deleted; never read back. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Route, route } from "../platform/http/route.ts";
import { secretNamePattern } from "./secret-references.ts";
import type { Secrets } from "./secrets.ts";
import type { SecretRow } from "./tables.ts";

const name = Type.String({
  pattern: secretNamePattern,
  description: "Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 100.",
});
const byName = Type.Object({ name });
const secret = Type.Object(
  {
    name,
    revision: Type.Integer({ description: "How often it was set." }),
    author: Type.String({ description: "Who set it last." }),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { title: "Secret" },
);
const strict = { additionalProperties: false } as const;
const bodyLimit = 512 * 1024; // a value of 64 KiB, however its characters are escaped

export function secretRoutes(secrets: Secrets): Route[] {
  return [
    route({
      id: "configuration.secrets.list",
      method: "GET",
      path: "/api/v1/secrets",
      summary: "List the names of secrets",
      permission: "configs.read",
      audit: { none: "reads only" },
      query: Type.Object(pageQuery, strict),
      response: pageOf(secret),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        return toPage(await secrets.list(principal.tenant, after, limit + 1), limit, toSecret, (row) => [
          row.name,
        ]);
      },
    }),
    route({
      id: "configuration.secrets.set",
      method: "PUT",
      path: "/api/v1/secrets/{name}",
      summary: "Set a secret that configurations can refer to",
      description: "Nobody can read the value back; instances get it inside of their documents.",
      permission: "secrets.write",
      audit: { action: "secret.set" },
      query: dryRunQuery,
      params: byName,
      body: Type.Object(
        { value: Type.String({ minLength: 1, maxLength: 65_536, description: "At most 64 KiB of UTF-8." }) },
        strict,
      ),
      bodyLimit,
      response: secret,
      handler: async (context) =>
        toSecret(await secrets.set(actorOf(context), context.params.name, context.body.value)),
    }),
    route({
      id: "configuration.secrets.delete",
      method: "DELETE",
      path: "/api/v1/secrets/{name}",
      summary: "Delete a secret",
      permission: "secrets.write",
      audit: { action: "secret.delete" },
      query: Type.Object(
        {
          ...dryRunQuery.properties,
          force: Type.Boolean({
            default: false,
            description: "Also when a version in force or a route refers to it.",
          }),
        },
        strict,
      ),
      params: byName,
      errors: ["secret_not_found", "secret_in_use"],
      handler: (context) => secrets.delete(actorOf(context), context.params.name, context.query.force),
    }),
  ];
}

function toSecret({ name, revision, author, created_at, updated_at }: SecretRow) {
  return { name, revision, author, createdAt: created_at.toISOString(), updatedAt: updated_at.toISOString() };
}
