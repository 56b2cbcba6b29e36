/** /api/v1/topics */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { newTopic, topic, topicName, topicStats, topicUpdate } from "./topics.schema.ts";
import type { TopicRow } from "./topics.sql.ts";
import type { Topics } from "./topics.ts";
import { toValues } from "./topics.values.ts";

const byName = Type.Object({ name: topicName });

/** Of stats, which is served under two names. */
const numbers = {
  method: "GET",
  permission: "topics.read",
  audit: { none: "reads only" },
  params: byName,
  response: topicStats,
  errors: ["topic_not_found"],
} as const;

export function topicRoutes(topics: Topics): Route[] {
  return [...readRoutes(topics), ...changeRoutes(topics)];
}

function changeRoutes(topics: Topics): Route[] {
  return [
    route({
      id: "messaging.topics.create",
      method: "POST",
      path: "/api/v1/topics",
      summary: "Create a topic",
      permission: "topics.write",
      query: dryRunQuery,
      audit: { action: "topic.create" },
      body: newTopic,
      status: 201,
      response: topic,
      errors: ["topic_exists", "durability_unavailable"],
      idempotent: true,
      handler: async (context) => shown(await topics.create(actorOf(context), context.body), 201),
    }),
    route({
      id: "messaging.topics.update",
      method: "PUT",
      path: "/api/v1/topics/{name}",
      summary: "Change a topic",
      description:
        "Partitions may grow; name and type are fixed. Needs If-Match with the ETag that was read, or `*`.",
      permission: "topics.write",
      query: dryRunQuery,
      audit: { action: "topic.update" },
      params: byName,
      body: topicUpdate,
      response: topic,
      errors: [
        "topic_not_found",
        "topic_change_refused",
        "durability_unavailable",
        "if_match_required",
        "etag_mismatch",
      ],
      handler: async (context) => {
        const check = (row: TopicRow) => requireMatch(context.headers, row.version);
        return shown(await topics.update(actorOf(context), context.params.name, context.body, check));
      },
    }),
    route({
      id: "messaging.topics.delete",
      method: "DELETE",
      path: "/api/v1/topics/{name}",
      summary: "Delete a topic with all its messages and subscriptions",
      permission: "topics.write",
      query: dryRunQuery,
      audit: { action: "topic.delete" },
      params: byName,
      errors: ["topic_not_found"],
      handler: (context) => topics.delete(actorOf(context), context.params.name),
    }),
  ];
}

function readRoutes(topics: Topics): Route[] {
  return [
    route({
      id: "messaging.topics.list",
      method: "GET",
      path: "/api/v1/topics",
      summary: "List topics by name",
      permission: "topics.read",
      audit: { none: "reads only" },
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(topic),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor } }) => {
        const after = decodeCursor(cursor, 1)?.[0];
        const rows = await topics.list(principal.tenant, after?.toString(), limit + 1);
        return toPage(rows, limit, toTopic, ({ name }) => [name]);
      },
    }),
    route({
      id: "messaging.topics.get",
      method: "GET",
      path: "/api/v1/topics/{name}",
      summary: "Read a topic",
      permission: "topics.read",
      audit: { none: "reads only" },
      params: byName,
      response: topic,
      errors: ["topic_not_found"],
      handler: async ({ principal, params }) => shown(await topics.get(principal.tenant, params.name)),
    }),
    route({
      ...numbers,
      id: "messaging.topics.stats",
      path: "/api/v1/topics/{name}/stats",
      summary: "What a topic holds, and how far each subscription is",
      handler: ({ principal, params }) => topics.stats(principal.tenant, params.name),
    }),
    route({
      ...numbers,
      id: "messaging.topics.metrics",
      path: "/api/v1/topics/{name}/metrics",
      summary: "The same as its stats, under the name that monitoring looks for",
      handler: ({ principal, params }) => topics.stats(principal.tenant, params.name),
    }),
  ];
}

function shown(row: TopicRow, status = 200): Reply {
  return new Reply(toTopic(row), { status, headers: { etag: etagOf(row.version) } });
}

function toTopic(row: TopicRow) {
  const times = { createdAt: row.created_at.toISOString(), updatedAt: row.updated_at.toISOString() };
  const deadLetters = row.dead_letters_of === null ? {} : { deadLettersOf: row.dead_letters_of };
  return { ...toValues(row), ...deadLetters, version: row.version, ...times };
}
