/** Messages that wait for their time: /api/v1/topics/{name}/scheduled, and taking one back. */
import { Type } from "typebox";
import { decodeCursor, pageOf, pageQuery } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import { messageId, scheduledMessage } from "./messages.schema.ts";
import type { Messages } from "./messages.ts";
import { topicName } from "./topics.schema.ts";

const json = { "content-type": "application/json; charset=utf-8" };

export function scheduledRoutes(messages: Messages): Route[] {
  return [
    route({
      id: "messaging.messages.listScheduled",
      method: "GET",
      path: "/api/v1/topics/{name}/scheduled",
      summary: "List the messages that wait for their time",
      description: "In the order in which they were published.",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: Type.Object({ name: topicName }),
      query: Type.Object(pageQuery, { additionalProperties: false }),
      response: pageOf(scheduledMessage),
      errors: ["topic_not_found", "cursor_invalid"],
      handler: async ({ principal, params, query: { limit, cursor } }) => {
        const from = Number(decodeCursor(cursor, 1)?.[0] ?? 0);
        const page = await messages.scheduled(principal.tenant, params.name, from, limit);
        return new Reply(page, { headers: json });
      },
    }),
    route({
      id: "messaging.messages.cancel",
      method: "DELETE",
      path: "/api/v1/messages/{id}",
      summary: "Take back a message that waits for its time",
      description:
        "Answered when it is certain that the message will not be delivered, with the message. One that is due is " +
        "on its way and is not found any more.",
      permission: "messages.publish",
      audit: { none: "data plane: the delay log keeps it" },
      params: Type.Object({ id: messageId }),
      response: scheduledMessage,
      errors: ["message_not_found", "log_write_failed", "disk_full"],
      handler: async ({ principal, params }) =>
        new Reply(await messages.cancel(principal.tenant, params.id), { headers: json }),
    }),
  ];
}
