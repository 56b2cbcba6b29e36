/** /api/v1/subscriptions */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { etagOf, requireMatch } from "../platform/http/etag.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
import type { Filter } from "./delivery/filter.ts";
import { policyOf } from "./delivery/policy.ts";
import {
  newSubscription,
  seekResult,
  seekTarget,
  subscription,
  subscriptionUpdate,
} from "./subscriptions.schema.ts";
import type { SubscriptionRow } from "./subscriptions.sql.ts";
import type { Subscriptions } from "./subscriptions.ts";
import { topicName } from "./topics.schema.ts";

const byId = Type.Object({ id: Type.String({ format: "uuid" }) });

export function subscriptionRoutes(subscriptions: Subscriptions): Route[] {
  return [...changeRoutes(subscriptions), ...readRoutes(subscriptions)];
}

function changeRoutes(subscriptions: Subscriptions): Route[] {
  return [
    route({
      id: "messaging.subscriptions.create",
      method: "POST",
      path: "/api/v1/subscriptions",
      summary: "Subscribe to a pubsub topic",
      permission: "subscriptions.write",
      query: dryRunQuery,
      audit: { action: "subscription.create" },
      body: newSubscription,
      status: 201,
      response: subscription,
      errors: ["topic_not_found", "subscription_exists", "subscription_fixed"],
      idempotent: true,
      handler: async (context) => {
        const { body, principal, query } = context;
        const row = await subscriptions.create(actorOf(context), body);
        const preview = query.dryRun && body.filter ? { topic: body.topic, filter: body.filter } : undefined;
        return preview ? tried(subscriptions, principal.tenant, row, preview) : shown(row, 201);
      },
    }),
    route({
      id: "messaging.subscriptions.update",
      method: "PUT",
      path: "/api/v1/subscriptions/{id}",
      summary: "Change a subscription",
      description:
        "What is not named stays. It counts from the next delivery on. Needs If-Match with the ETag that was read, " +
        "or `*`.",
      permission: "subscriptions.write",
      query: dryRunQuery,
      audit: { action: "subscription.update" },
      params: byId,
      body: subscriptionUpdate,
      response: subscription,
      errors: ["subscription_not_found", "if_match_required", "etag_mismatch"],
      handler: async (context) => {
        const check = (row: SubscriptionRow) => requireMatch(context.headers, row.version);
        return shown(await subscriptions.update(actorOf(context), context.params.id, context.body, check));
      },
    }),
    route({
      id: "messaging.subscriptions.seek",
      method: "POST",
      path: "/api/v1/subscriptions/{id}/seek",
      summary: "Make a subscription go on from another place",
      description:
        "From the beginning or end of what is stored, from a time on, or from an offset of a partition. What lies " +
        "behind it is delivered, again if need be; what lies before it is done. What is out on lease is taken back: " +
        "old receipts settle nothing.",
      permission: "subscriptions.write",
      query: dryRunQuery,
      audit: { action: "subscription.seek" },
      params: byId,
      body: seekTarget,
      response: seekResult,
      errors: ["subscription_not_found", "topic_not_found", "log_write_failed", "disk_full"],
      handler: (context) => subscriptions.seek(actorOf(context), context.params.id, context.body),
    }),
    deleteRoute(subscriptions),
  ];
}

function deleteRoute(subscriptions: Subscriptions): Route {
  return route({
    id: "messaging.subscriptions.delete",
    method: "DELETE",
    path: "/api/v1/subscriptions/{id}",
    summary: "Delete a subscription; the messages stay in the topic",
    permission: "subscriptions.write",
    query: dryRunQuery,
    audit: { action: "subscription.delete" },
    params: byId,
    errors: ["subscription_not_found", "subscription_fixed"],
    handler: (context) => subscriptions.delete(actorOf(context), context.params.id),
  });
}

function readRoutes(subscriptions: Subscriptions): Route[] {
  return [
    route({
      id: "messaging.subscriptions.list",
      method: "GET",
      path: "/api/v1/subscriptions",
      summary: "List subscriptions",
      permission: "subscriptions.read",
      audit: { none: "reads only" },
      query: Type.Object({ ...pageQuery, topic: Type.Optional(topicName) }, { additionalProperties: false }),
      response: pageOf(subscription),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, topic } }) => {
        const after = decodeCursor(cursor, 1)?.[0]?.toString();
        const rows = await subscriptions.list(principal.tenant, { topic, after, limit: limit + 1 });
        return toPage(rows, limit, toSubscription, ({ id }) => [id]);
      },
    }),
    route({
      id: "messaging.subscriptions.get",
      method: "GET",
      path: "/api/v1/subscriptions/{id}",
      summary: "Read a subscription",
      permission: "subscriptions.read",
      audit: { none: "reads only" },
      params: byId,
      response: subscription,
      errors: ["subscription_not_found"],
      handler: async ({ principal, params }) => shown(await subscriptions.get(principal.tenant, params.id)),
    }),
  ];
}

/** What a subscription would be, and which of the newest messages it would get. */
async function tried(
  subscriptions: Subscriptions,
  tenant: string,
  row: SubscriptionRow,
  { topic, filter }: { topic: string; filter: Filter },
): Promise<Reply> {
  const preview = await subscriptions.preview(tenant, topic, filter);
  return new Reply({ ...toSubscription(row), preview }, { status: 201 });
}

function shown(row: SubscriptionRow, status = 200): Reply {
  return new Reply(toSubscription(row), { status, headers: { etag: etagOf(row.version) } });
}

function toSubscription(row: SubscriptionRow) {
  const { id, name, topic, ack_deadline_seconds: ackDeadlineSeconds, version } = row;
  const times = { createdAt: row.created_at.toISOString(), updatedAt: row.updated_at.toISOString() };
  return { id, name, topic, ackDeadlineSeconds, ...policyOf(row.policy), version, ...times };
}
