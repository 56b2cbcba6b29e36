/** /api/v1/topics/{name}/events: publishing CloudEvents. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { mediaType, readBody } from "../platform/http/body.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import {
  eventBatchType,
  eventType,
  parseBinaryEvent,
  parseEvent,
  parseEventBatch,
} from "./cloudevents.in.ts";
import { publishReceipt } from "./messages.schema.ts";
import type { Messages } from "./messages.ts";
import { topicName } from "./topics.schema.ts";

const text = Type.String({ minLength: 1 });
/** What JSON Schema can say of it; the rest is checked by name. */
export const cloudEvent = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: text,
    source: text,
    type: text,
    datacontenttype: Type.Optional(text),
    dataschema: Type.Optional(text),
    subject: Type.Optional(text),
    time: Type.Optional(text),
    data: Type.Optional(Type.Unknown()),
    data_base64: Type.Optional(Type.String()),
  },
  {
    additionalProperties: true,
    description: "CloudEvents 1.0, JSON format; further members are extensions.",
  },
);

export function cloudEventRoutes(messages: Messages): Route[] {
  return [
    route({
      id: "messaging.topics.events",
      method: "POST",
      path: "/api/v1/topics/{name}/events",
      summary: "Publish CloudEvents",
      description:
        "Structured as application/cloudevents+json, batched as application/cloudevents-batch+json, or binary: the " +
        "attributes in header fields `ce-…` and the data as the body, of any other content type. A repeat of the same " +
        "source and id is stored once within the topic's dedupWindowSeconds.",
      permission: "messages.publish",
      audit: { none: "data plane: messages are kept themselves" },
      params: Type.Object({ name: topicName }),
      body: "stream",
      bodyContent: {
        [eventType]: cloudEvent,
        [eventBatchType]: Type.Array(cloudEvent),
        "*/*": Type.Unknown(),
      },
      status: 201,
      response: Type.Union([publishReceipt, Type.Object({ messages: Type.Array(publishReceipt) })]),
      errors: ["topic_not_found", "message_too_large", "log_write_failed", "disk_full"],
      handler: async ({ principal, params, request, headers }) => {
        const { limits } = messages;
        const topic = messages.topic(principal.tenant, params.name);
        const bytes = await readBody(request, limits.batchBytes);
        const type = mediaType(request);
        if (type === eventBatchType)
          return reply(await messages.publishAll(topic, parseEventBatch(bytes, limits), true));
        if (type === eventType)
          return reply(await messages.publishAll(topic, [parseEvent(bytes, limits)], false));
        if (headers["ce-specversion"] === undefined || type.startsWith("application/cloudevents")) {
          const detail = `Send ${eventType}, ${eventBatchType}, or header fields ce-….`;
          throw new HotSwapError("media_type_unsupported", detail);
        }
        return reply(await messages.publishAll(topic, [parseBinaryEvent(headers, bytes, limits)], false));
      },
    }),
  ];
}

const reply = (body: string) =>
  new Reply(body, { status: 201, headers: { "content-type": "application/json; charset=utf-8" } });
