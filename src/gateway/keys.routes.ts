/** /api/v1/gateway/keys: API keys of those who call routes. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Route, route } from "../platform/http/route.ts";
import { routeName } from "./fields.schema.ts";
import type { KeyRow } from "./keys.sql.ts";
import type { Keys } from "./keys.ts";

const shown = {
  id: Type.String(),
  name: routeName,
  hint: Type.String({ description: "How the key begins." }),
  groups: Type.Array(routeName),
  createdAt: Type.String({ format: "date-time" }),
  expiresAt: Type.Union([Type.String({ format: "date-time" }), Type.Null()]),
};
const key = Type.Object(shown);
const newKey = Type.Object(
  {
    name: routeName,
    groups: Type.Optional(
      Type.Array(routeName, {
        maxItems: 32,
        uniqueItems: true,
        description: "Routes may ask for one of them.",
      }),
    ),
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 315_360_000 })),
  },
  { additionalProperties: false },
);
const madeKey = Type.Object({
  ...shown,
  key: Type.String({ description: "What a caller sends. Not kept: it can never be shown again." }),
});

export function keyRoutes(keys: Keys): Route[] {
  return [
    route({
      id: "gateway.keys.create",
      method: "POST",
      path: "/api/v1/gateway/keys",
      summary: "Make an API key",
      description:
        "The key is in this answer and nowhere else, so no answer is kept for an Idempotency-Key; a repeat meets the name.",
      permission: "gateway.write",
      audit: { action: "key.create" },
      query: dryRunQuery,
      body: newKey,
      status: 201,
      response: madeKey,
      errors: ["gateway_key_exists", "gateway_keys_full"],
      handler: async (context) => {
        const { row, key } = await keys.create(actorOf(context), context.body);
        return { ...toKey(row), key };
      },
    }),
    route({
      id: "gateway.keys.list",
      method: "GET",
      path: "/api/v1/gateway/keys",
      summary: "List API keys by name",
      permission: "gateway.read",
      audit: { none: "reads only" },
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(key),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        return toPage(await keys.list(principal.tenant, after, limit + 1), limit, toKey, ({ name }) => [
          name,
        ]);
      },
    }),
    route({
      id: "gateway.keys.revoke",
      method: "DELETE",
      path: "/api/v1/gateway/keys/{id}",
      summary: "Withdraw an API key",
      permission: "gateway.write",
      audit: { action: "key.revoke" },
      query: dryRunQuery,
      params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) }),
      errors: ["gateway_key_not_found"],
      handler: (context) => keys.revoke(actorOf(context), context.params.id),
    }),
  ];
}

function toKey({ id, name, hint, groups, created_at, expires_at }: KeyRow) {
  return {
    id,
    name,
    hint,
    groups,
    createdAt: created_at.toISOString(),
    expiresAt: expires_at?.toISOString() ?? null,
  };
}
