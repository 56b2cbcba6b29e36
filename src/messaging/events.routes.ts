/** /api/v1/messages/consume/{topic}/events: consuming by server-sent events. */
import { Type } from "typebox";
import type { Clock } from "../core/clock.ts";
import { handled, type Route, route } from "../platform/http/route.ts";
import type { Registry } from "./delivery/registry.ts";
import { sendEvents, Tails } from "./event-stream.ts";
import { connectionName, consumerNames } from "./messages.schema.ts";
import { topicName } from "./topics.schema.ts";
import type { Tracer } from "./traces.ts";

export interface EventParts {
  registry: Registry;
  tracer: Tracer;
  clock: Clock;
  onError: (error: unknown) => void;
}

export function eventRoutes({ registry, tracer, clock, onError }: EventParts): Route[] {
  const tails = new Tails(clock, onError);
  return [
    route({
      id: "messaging.messages.events",
      method: "GET",
      path: "/api/v1/messages/consume/{topic}/events",
      summary: "Take messages as server-sent events",
      description:
        "Each event's `data` is a message as consume shows it, its `id` the receipt. With `ack=receipts` the " +
        "consumer settles them over HTTP. With `ack=auto` an event is done when the connection stays well after it, or " +
        "when the next connection names it in Last-Event-ID. Either way, who reconnects with Last-Event-ID goes on " +
        "behind it.",
      permission: "messages.consume",
      audit: { none: "data plane: leases are not changes" },
      params: Type.Object({ topic: topicName }),
      query: Type.Object(
        {
          subscription: Type.Optional(topicName),
          ...consumerNames,
          ack: Type.Enum(["auto", "receipts"], { default: "receipts" }),
          limit: Type.Integer({
            minimum: 1,
            maximum: 1000,
            default: 100,
            description: "Messages taken at once.",
          }),
        },
        { additionalProperties: false },
      ),
      responseType: "text/event-stream",
      errors: ["topic_not_found", "subscription_not_found", "log_corrupt"],
      handler: async ({ principal, params, query, headers, signal, response, requestId }) => {
        const { subscription = "default", ack, limit, consumer, consumerPriority: priority } = query;
        const live = await registry.subscription(principal.tenant, params.topic, subscription);
        const { spec: topic, subscriptions } = registry.topic(principal.tenant, params.topic);
        const number = subscriptions.find((spec) => spec.name === subscription)!.number;
        const last = headers["last-event-id"];
        if (typeof last === "string") tails.resume(number, last);
        response.writeHead(200, {
          "content-type": "text/event-stream",
          "cache-control": "no-store",
          "x-accel-buffering": "no",
          "x-request-id": requestId,
        });
        const mode = ack as "auto" | "receipts";
        const name = consumer ?? connectionName(principal.subject, requestId);
        const who = { name, via: "events", priority } as const;
        const from = { topic, subscription, live, tracer };
        sendEvents({ response, ...from, mode, who, limit, signal, clock, tails, onError })
          .catch((error) => {
            if (!signal.aborted && !response.destroyed) onError(error);
          })
          .finally(() => response.end());
        return handled;
      },
    }),
  ];
}
