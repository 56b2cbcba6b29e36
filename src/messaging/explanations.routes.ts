/** /api/v1/subscriptions/{id}/explain and /api/v1/messages/{id}/explain: why something is not delivered. */
import { Type } from "typebox";
import { type Route, route } from "../platform/http/route.ts";
import type { Explanations } from "./explanations.ts";
import { messageId } from "./messages.schema.ts";
import { messageExplanation, subscriptionExplanation, subscriptionName } from "./subscriptions.schema.ts";

export function explanationRoutes(explanations: Explanations): Route[] {
  return [
    route({
      id: "messaging.subscriptions.explain",
      method: "GET",
      path: "/api/v1/subscriptions/{id}/explain",
      summary: "Why its messages are not with consumers, and who its consumers are",
      permission: "subscriptions.read",
      audit: { none: "reads only" },
      params: Type.Object({ id: Type.String({ format: "uuid" }) }),
      response: subscriptionExplanation,
      errors: ["subscription_not_found"],
      handler: ({ principal, params }) => explanations.subscription(principal.tenant, params.id),
    }),
    route({
      id: "messaging.messages.explain",
      method: "GET",
      path: "/api/v1/messages/{id}/explain",
      summary: "Where a message stands for a subscription, and why",
      permission: "messages.read",
      audit: { none: "reads only" },
      params: Type.Object({ id: messageId }),
      query: Type.Object({ subscription: Type.Optional(subscriptionName) }, { additionalProperties: false }),
      response: messageExplanation,
      errors: ["message_not_found", "subscription_not_found"],
      handler: ({ principal, params, query }) =>
        explanations.message(principal.tenant, params.id, query.subscription),
    }),
  ];
}
