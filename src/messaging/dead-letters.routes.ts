/** /api/v1/topics/{name}/dlq and /api/v1/messages/{id}/replay: what was given up, and what becomes of it. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { decodeCursor, encodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import {
  deadLetterList,
  deadLetterQuery,
  newReplay,
  replay,
  replayedMessage,
} from "./dead-letters.schema.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { messageId } from "./messages.schema.ts";
import type { ReplayRow } from "./replays.sql.ts";
import type { Replays } from "./replays.ts";
import { refuseEmpty } from "./selection.ts";
import { topicName } from "./topics.schema.ts";

const byName = Type.Object({ name: topicName });
const byReplay = Type.Object({ name: topicName, id: Type.String({ format: "uuid" }) });
const json = { "content-type": "application/json; charset=utf-8" };

export function deadLetterRoutes(deadLetters: DeadLetters, replays: Replays): Route[] {
  return [listRoute(deadLetters), ...replayRoutes(replays), ...changeRoutes(replays)];
}

function listRoute(deadLetters: DeadLetters): Route {
  return route({
    id: "messaging.deadLetters.list",
    method: "GET",
    path: "/api/v1/topics/{name}/dlq",
    summary: "Dead letters of a topic that wait, grouped by why",
    permission: "messages.read",
    audit: { none: "reads only" },
    params: byName,
    query: deadLetterQuery,
    response: deadLetterList,
    errors: ["topic_not_found", "cursor_invalid"],
    handler: async ({ principal, params, query: { limit, cursor, ...selection } }) => {
      const from = Number(decodeCursor(cursor, 1)?.[0] ?? 0);
      refuseEmpty(selection, "query");
      const { summary, messages } = await deadLetters.list(principal.tenant, params.name, selection, {
        from,
        limit,
      });
      const next = summary.next === null ? null : encodeCursor([summary.next]);
      // The messages' own bytes, in front of what belongs to all of them.
      const rest = JSON.stringify({ ...summary, next });
      const body = Buffer.concat([messages.subarray(0, -1), Buffer.from(`,${rest.slice(1)}`)]);
      return new Reply(body, { headers: json });
    },
  });
}

function replayRoutes(replays: Replays): Route[] {
  return [
    route({
      id: "messaging.replays.list",
      method: "GET",
      path: "/api/v1/topics/{name}/dlq/replays",
      summary: "Replays of a topic's dead letters, newest first",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: byName,
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(replay),
      errors: ["cursor_invalid"],
      handler: async ({ principal, params, query: { limit, cursor } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const found = await replays.list(principal.tenant, params.name, { after, limit: limit + 1 });
        return toPage(found, limit, toReplay, ({ id }) => [id]);
      },
    }),
    route({
      id: "messaging.replays.get",
      method: "GET",
      path: "/api/v1/topics/{name}/dlq/replays/{id}",
      summary: "How far a replay is",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: byReplay,
      response: replay,
      errors: ["replay_not_found"],
      handler: async ({ principal, params }) =>
        toReplay(await replays.get(principal.tenant, params.name, params.id)),
    }),
  ];
}

function changeRoutes(replays: Replays): Route[] {
  return [
    route({
      id: "messaging.replays.create",
      method: "POST",
      path: "/api/v1/topics/{name}/dlq/replay",
      summary: "Replay or discard dead letters",
      description:
        "Goes on in the background; the answer says where to look. Each message goes to the subscription that " +
        "failed, and to no other. With ?dryRun=true it says what would go.",
      permission: "messages.replay",
      query: dryRunQuery,
      audit: { action: "deadletters.replay" },
      params: byName,
      body: newReplay,
      status: 201,
      response: replay,
      errors: ["topic_not_found", "replay_running"],
      idempotent: true,
      handler: async (context) => {
        const { row, sample } = await replays.create(actorOf(context), context.params.name, context.body);
        return new Reply({ ...toReplay(row), sample }, { status: 201 });
      },
    }),
    route({
      id: "messaging.replays.cancel",
      method: "POST",
      path: "/api/v1/topics/{name}/dlq/replays/{id}/cancel",
      summary: "Stop a replay; what it has done stays done",
      permission: "messages.replay",
      query: dryRunQuery,
      audit: { action: "deadletters.cancel" },
      params: byReplay,
      response: replay,
      errors: ["replay_not_found"],
      handler: async (context) => {
        const { name, id } = context.params;
        return toReplay(await replays.cancel(actorOf(context), name, id));
      },
    }),
    route({
      id: "messaging.messages.replay",
      method: "POST",
      path: "/api/v1/messages/{id}/replay",
      summary: "Replay one dead letter",
      description: "By its own id, or by that of the message that it was.",
      permission: "messages.replay",
      query: dryRunQuery,
      audit: { action: "message.replay" },
      params: Type.Object({ id: messageId }),
      response: replayedMessage,
      errors: ["message_not_found", "replay_refused"],
      handler: (context) => replays.replayOne(actorOf(context), context.params.id),
    }),
  ];
}

function toReplay(row: ReplayRow) {
  const { id, topic, action, status, selection, rate, matched, processed, failed, error } = row;
  const times = { createdAt: row.created_at.toISOString(), updatedAt: row.updated_at.toISOString() };
  const counts = { ratePerSecond: rate, matched, processed, failed, error };
  return { id, topic, action, status, selection, ...counts, createdBy: row.created_by, ...times };
}
