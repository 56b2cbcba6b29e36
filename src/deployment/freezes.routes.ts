/** /api/v1/freezes */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { deployableKinds, reason, targetName } from "./deployments.schema.ts";
import type { FreezeBody, Freezes } from "./freezes.ts";
import { freeze, toFreeze } from "./show.ts";
import type { FreezeRow } from "./tables.ts";

const strict = { additionalProperties: false } as const;
const byId = Type.Object({ id: Type.String({ format: "uuid" }) });
const time = (description: string) => Type.String({ format: "date-time", description });

const body = Type.Object(
  {
    kind: Type.Optional(Type.Enum([...deployableKinds], { description: "Without it, all kinds." })),
    environment: Type.Optional(Type.String({ minLength: 1, maxLength: 63, pattern: "^[\\w.-]+$" })),
    target: Type.Optional(targetName),
    from: Type.Optional(time("Default: now.")),
    to: time("The end, which is not in it."),
    reason,
  },
  strict,
);

export function freezeRoutes(freezes: Freezes): Route[] {
  return [...readRoutes(freezes), ...changeRoutes(freezes)];
}

function readRoutes(freezes: Freezes): Route[] {
  const shared = { method: "GET", permission: "deployments.read", audit: { none: "reads only" } } as const;
  return [
    route({
      ...shared,
      id: "freezes.list",
      path: "/api/v1/freezes",
      summary: "List freezes, newest first",
      query: Type.Object(pageQuery, strict),
      response: pageOf(freeze),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor } }) => {
        const before = decodeCursor(cursor, 1)?.[0];
        if (before !== undefined && !/^[0-9a-f-]{36}$/.test(String(before)))
          throw new HotSwapError("cursor_invalid");
        const rows = await freezes.list(principal.tenant, before as string | undefined, limit + 1);
        return toPage(rows, limit, toFreeze, ({ id }) => [id]);
      },
    }),
    route({
      ...shared,
      id: "freezes.get",
      path: "/api/v1/freezes/{id}",
      summary: "Read a freeze",
      params: byId,
      response: freeze,
      errors: ["not_found"],
      handler: async ({ principal, params }) => shown(await freezes.get(principal.tenant, params.id)),
    }),
  ];
}

function changeRoutes(freezes: Freezes): Route[] {
  const shared = { permission: "deployments.freeze", query: dryRunQuery } as const;
  return [
    route({
      ...shared,
      id: "freezes.create",
      method: "POST",
      path: "/api/v1/freezes",
      summary: "Let nothing go forward for a while",
      description:
        "Of one kind, environment or target, or of all. Deployments hold where they are; a rollback goes through.",
      audit: { action: "freezes.create" },
      body,
      status: 201,
      response: freeze,
      errors: ["deployments_full"],
      idempotent: true,
      handler: async (context) =>
        shown(await freezes.create(actorOf(context), context.body as FreezeBody), 201),
    }),
    route({
      ...shared,
      id: "freezes.update",
      method: "PUT",
      path: "/api/v1/freezes/{id}",
      summary: "Change a freeze",
      description: "The body is the whole freeze. Needs If-Match with the ETag that was read, or `*`.",
      audit: { action: "freezes.update" },
      params: byId,
      body,
      response: freeze,
      errors: ["not_found", "if_match_required", "etag_mismatch"],
      handler: async (context) => {
        const check = ({ version }: FreezeRow) => requireMatch(context.headers, version);
        return shown(
          await freezes.update(actorOf(context), context.params.id, context.body as FreezeBody, check),
        );
      },
    }),
    route({
      ...shared,
      id: "freezes.delete",
      method: "DELETE",
      path: "/api/v1/freezes/{id}",
      summary: "End a freeze",
      audit: { action: "freezes.delete" },
      params: byId,
      errors: ["not_found"],
      handler: async (context) => {
        await freezes.delete(actorOf(context), context.params.id);
      },
    }),
  ];
}

function shown(row: FreezeRow, status = 200): Reply {
  return new Reply(toFreeze(row), { status, headers: { etag: etagOf(row.version) } });
}
