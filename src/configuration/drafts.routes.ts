/** /api/v1/configs/{name}/draft: what the caller is writing. */
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { byName } from "./configs.routes.ts";
import * as shapes from "./configs.schema.ts";
import type { Drafts, InspectedDraft } from "./drafts.ts";
import { documentErrors, made } from "./versions.routes.ts";

const path = "/api/v1/configs/{name}/draft";
const reads = { method: "GET", permission: "configs.read", audit: { none: "reads only" } } as const;
const writes = { permission: "configs.write", query: dryRunQuery } as const;
const shared = { params: byName, checksResource: true } as const;

export function draftRoutes(drafts: Drafts, bodyLimit: number): Route[] {
  return [...readRoutes(drafts), ...changeRoutes(drafts, bodyLimit)];
}

function readRoutes(drafts: Drafts): Route[] {
  return [
    route({
      ...reads,
      ...shared,
      id: "configuration.drafts.list",
      path: "/api/v1/configs/{name}/drafts",
      summary: "Who is writing a draft of a configuration",
      response: shapes.drafts,
      errors: ["config_not_found"],
      handler: async ({ principal, params }) => {
        const rows = await drafts.list(principal, params.name);
        const items = rows.map(({ author, parent, updated_at }) => {
          return { author, parent, updatedAt: updated_at.toISOString() };
        });
        return { items };
      },
    }),
    route({
      ...reads,
      ...shared,
      id: "configuration.drafts.get",
      path,
      summary: "Read one's own draft, with what is wrong with it and what it changes",
      response: shapes.draft,
      errors: ["config_not_found", "config_draft_not_found"],
      handler: async ({ principal, params }) => shown(await drafts.get(principal, params.name)),
    }),
  ];
}

function changeRoutes(drafts: Drafts, bodyLimit: number): Route[] {
  return [
    route({
      ...shared,
      ...writes,
      id: "configuration.drafts.save",
      method: "PUT",
      path,
      summary: "Save one's own draft, valid or not",
      description: "With If-Match it is saved only when nobody has meanwhile, such as another window.",
      audit: { action: "draft.save" },
      body: shapes.draftBody,
      bodyLimit,
      response: shapes.draft,
      errors: ["config_not_found", "config_too_large", "etag_mismatch"],
      handler: async (context) => {
        const { headers, params, body } = context;
        const check = (row: { revision: number } | undefined) => {
          if (headers["if-match"] !== undefined) requireMatch(headers, row?.revision ?? 0);
        };
        return shown(await drafts.save(actorOf(context), params.name, body.text, check));
      },
    }),
    route({
      ...shared,
      ...writes,
      id: "configuration.drafts.discard",
      method: "DELETE",
      path,
      summary: "Throw one's own draft away",
      audit: { action: "draft.discard" },
      errors: ["config_not_found", "config_draft_not_found"],
      handler: (context) => drafts.discard(actorOf(context), context.params.name),
    }),
    route({
      ...shared,
      ...writes,
      id: "configuration.drafts.publish",
      method: "POST",
      path: `${path}/publish`,
      summary: "Make one's own draft the next version",
      audit: { action: "draft.publish" },
      body: shapes.publishBody,
      status: 201,
      response: shapes.madeVersion,
      errors: [...documentErrors, "config_draft_not_found", "config_conflict"],
      idempotent: true,
      handler: async (context) =>
        made(await drafts.publish(actorOf(context), context.params.name, context.body.note)),
    }),
  ];
}

function shown({ row, mistakes, warnings, changes }: InspectedDraft): Reply {
  const { config, author, text, parent, revision } = row;
  const updatedAt = row.updated_at.toISOString();
  const body = {
    config,
    author,
    text,
    parent,
    revision,
    updatedAt,
    mistakes,
    warnings,
    changes: changes ?? null,
  };
  return new Reply(body, { headers: { etag: etagOf(revision) } });
}
