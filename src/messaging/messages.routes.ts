/** /api/v1/messages: publishing, consuming, and looking without consuming. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { mediaType, readBody } from "../platform/http/body.ts";
import { type Context, handled, Reply, type Route, route } from "../platform/http/route.ts";
import { parseKey } from "../platform/idempotency/index.ts";
import { eventBatchType } from "./cloudevents.in.ts";
import { cloudEvent } from "./cloudevents.routes.ts";
import {
  consumerNames,
  messageId,
  publishedLine,
  publishReceipt,
  receivedMessages,
  scheduledMessage,
  scheduledReceipt,
  storedMessage,
} from "./messages.schema.ts";
import type { Messages } from "./messages.ts";
import { manyUnderOneKey, messageLine, publishBody } from "./publish.ts";
import { publishLines } from "./publish-stream.ts";
import { topicName } from "./topics.schema.ts";

const json = { "content-type": "application/json; charset=utf-8" };
const ndjson = "application/x-ndjson";
const strict = { additionalProperties: false } as const;
/** `earliest`, `latest`, an offset, or RFC 3339. */
const place = "earliest|latest|[0-9]{1,15}";
const moment = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(Z|[+-][0-9]{2}:[0-9]{2})";
const peekFrom = Type.String({
  pattern: `^(${place}|${moment})$`,
  default: "latest",
  description: "`earliest`, `latest`, an offset, or a time: the first message of then or later.",
});
const byId = Type.Object({ id: messageId });
const consumeQuery = Type.Object(
  {
    subscription: Type.Optional(topicName),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 10 }),
    ...consumerNames,
    wait: Type.Number({ minimum: 0, maximum: 30, default: 0, description: "Seconds." }),
  },
  strict,
);

export function messageRoutes(messages: Messages): Route[] {
  return [...publishRoutes(messages), ...consumeRoutes(messages), ...lookRoutes(messages)];
}

function publishRoutes(messages: Messages): Route[] {
  return [
    route({
      id: "messaging.messages.publish",
      method: "POST",
      path: "/api/v1/messages/publish",
      summary: "Publish a message, a batch, or a stream of lines",
      description:
        "Answered when every message has reached the topic's durability. As application/x-ndjson, one message a " +
        "line to the topic of the query, the answer is streamed too: for each line, in order, its receipt or " +
        "`{error}`. A line that is refused does not stop the others. The header Idempotency-Key of a single message is " +
        "its `idempotencyKey`; messages of a batch have their own.",
      permission: "messages.publish",
      audit: { none: "data plane: messages are kept themselves" },
      query: Type.Object({ topic: Type.Optional(topicName) }, strict),
      body: "stream",
      bodyContent: { "application/json": publishBody, [ndjson]: messageLine },
      status: 201,
      response: Type.Union([
        publishReceipt,
        scheduledReceipt,
        Type.Object({ messages: Type.Array(Type.Union([publishReceipt, scheduledReceipt])) }),
      ]),
      responseContent: { [ndjson]: publishedLine },
      errors: [
        "topic_not_found",
        "schema_violated",
        "schema_too_costly",
        "schema_not_found",
        "message_too_large",
        "dedup_full",
        "schedule_full",
        "log_write_failed",
        "log_outcome_unknown",
        "log_fenced",
        "log_records_lost",
        "disk_full",
      ],
      handler: (context) => publish(messages, context),
    }),
  ];
}

async function publish(messages: Messages, context: Context<unknown, { topic?: string }>): Promise<unknown> {
  const type = mediaType(context.request);
  const { tenant } = context.principal;
  const header = context.headers["idempotency-key"] as string | undefined; // Node joins repeated ones
  const idempotencyKey = header === undefined ? undefined : parseKey(header);
  if (type === ndjson) {
    if (idempotencyKey !== undefined) throw manyUnderOneKey();
    const { topic } = context.query;
    if (topic === undefined) {
      const fields = [{ pointer: "query/topic", message: "is required" }];
      throw new HotSwapError("validation_failed", "A stream of lines needs ?topic=.", { fields });
    }
    await publishLines(messages, tenant, topic, context);
    return handled;
  }
  if (type !== "application/json") {
    throw new HotSwapError("media_type_unsupported", `Send application/json or ${ndjson}.`);
  }
  const bytes = await readBody(context.request, messages.limits.batchBytes);
  return new Reply(await messages.publish(tenant, bytes, idempotencyKey), { status: 201, headers: json });
}

function consumeRoutes(messages: Messages): Route[] {
  return [
    route({
      id: "messaging.messages.consume",
      method: "GET",
      path: "/api/v1/messages/consume/{topic}",
      summary: "Take messages under a lease",
      description:
        "Each message is yours until `leaseExpiresAt`; acknowledge it by then or it goes to another consumer. " +
        "With nothing to give, the answer waits up to `wait` seconds. A lost answer loses nothing. Accept of " +
        `${eventBatchType} gets CloudEvents, whose extensions receipt, attempt and leaseexpiresat say the rest.`,
      permission: "messages.consume",
      audit: { none: "data plane: leases are not changes" },
      params: Type.Object({ topic: topicName }),
      query: consumeQuery,
      response: receivedMessages,
      responseContent: { [eventBatchType]: Type.Array(cloudEvent) },
      errors: ["topic_not_found", "subscription_not_found", "log_corrupt"],
      handler: async (context) => {
        const { topic } = context.params;
        const { subscription = "default", limit, wait, consumer, consumerPriority } = context.query;
        const { tenant, subject } = context.principal;
        const who = { name: consumer ?? subject, via: "pull", priority: consumerPriority } as const;
        const signal = wait > 0 ? context.signal : undefined;
        const asEvents = context.headers.accept?.includes(eventBatchType) ?? false;
        const request = { tenant, topic, subscription, limit, waitMs: wait * 1000, asEvents, who };
        const headers = asEvents ? { "content-type": eventBatchType } : json;
        return new Reply(await messages.consume(request, signal), { headers });
      },
    }),
  ];
}

function lookRoutes(messages: Messages): Route[] {
  return [
    route({
      id: "messaging.messages.get",
      method: "GET",
      path: "/api/v1/messages/{id}",
      summary: "Read a message without consuming it",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: byId,
      response: Type.Union([storedMessage, scheduledMessage]),
      errors: ["message_not_found", "log_corrupt"],
      handler: async ({ principal, params }) =>
        new Reply(await messages.get(principal.tenant, params.id), { headers: json }),
    }),
    route({
      id: "messaging.messages.peek",
      method: "GET",
      path: "/api/v1/topics/{name}/messages",
      summary: "Look at a topic's messages without consuming them",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: Type.Object({ name: topicName }),
      query: Type.Object(
        {
          partition: Type.Integer({ minimum: 0, maximum: 255, default: 0 }),
          from: peekFrom,
          limit: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
        },
        strict,
      ),
      response: Type.Object({ messages: Type.Array(storedMessage) }),
      errors: ["topic_not_found", "log_offset_out_of_range", "log_corrupt"],
      handler: async ({ principal, params, query }) =>
        new Reply(await messages.peek(principal.tenant, params.name, query), { headers: json }),
    }),
  ];
}
