/** /api/v1/subscriptions/{id}/push: the webhook of a subscription. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Route, route } from "../platform/http/route.ts";
import { pushFormats } from "./push/content.ts";
import type { Pushes, ShownPush } from "./push/push.ts";
import { secretPattern, secretsMax } from "./push/signature.ts";

const byId = Type.Object({ id: Type.String({ format: "uuid" }) });
const strict = { additionalProperties: false } as const;

const target = {
  url: Type.String({
    minLength: 1,
    maxLength: 2048,
    description: "https; it must not lead into a private network.",
  }),
  format: Type.Optional(Type.Enum([...pushFormats], { description: "`json` by default." })),
  batch: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: "Messages of one request; 1 by default." }),
  ),
  concurrency: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 64, description: "Requests at once; 4 by default." }),
  ),
  timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, description: "15 by default." })),
};
const secret = Type.String({ pattern: secretPattern, description: "`whsec_` and 24 to 64 bytes in base64." });
const newPush = Type.Object(
  {
    ...target,
    secrets: Type.Optional(
      Type.Array(secret, {
        minItems: 1,
        maxItems: secretsMax,
        description: "The current one first. Without them one is made, or those that there are stay.",
      }),
    ),
  },
  strict,
);

const nullable = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const push = Type.Object(
  {
    subscriptionId: Type.String(),
    url: Type.String(),
    format: Type.Enum([...pushFormats]),
    batch: Type.Integer(),
    concurrency: Type.Integer(),
    timeoutSeconds: Type.Integer(),
    status: Type.Enum(["active", "paused", "probing", "disabled"]),
    failures: Type.Integer({ description: "Failed requests in a row." }),
    reason: nullable(Type.String({ description: "Of the last failure." })),
    resumesAt: nullable(
      Type.String({ description: "When a pause ends by itself; null of one that a person made." }),
    ),
    secret: Type.Optional(
      Type.String({ description: "Only where it was made by this request; it is not shown again." }),
    ),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { title: "Push" },
);

const usual = { format: "json", batch: 1, concurrency: 4, timeoutSeconds: 15 } as const;

export function pushRoutes(pushes: Pushes): Route[] {
  return [...targetRoutes(pushes), ...verbRoutes(pushes)];
}

function targetRoutes(pushes: Pushes): Route[] {
  return [
    route({
      id: "messaging.subscriptions.setPush",
      method: "PUT",
      path: "/api/v1/subscriptions/{id}/push",
      summary: "Push a subscription's messages to a webhook",
      description:
        "Messages are posted with signatures of Standard Webhooks and are done when the receiver answers 2xx. What fails " +
        "comes again after 2, 4, 8, 16, then 32 seconds; a receiver that fails again and again makes the webhook pause.",
      permission: "subscriptions.write",
      audit: { action: "push.set" },
      params: byId,
      query: dryRunQuery,
      body: newPush,
      response: push,
      errors: ["subscription_not_found", "push_target_refused"],
      handler: async (context) => {
        const { secrets, ...given } = context.body;
        const wanted = { ...usual, ...given } as Parameters<Pushes["set"]>[2];
        const { push, secret } = await pushes.set(actorOf(context), context.params.id, wanted, secrets);
        return toPush(push, context.query.dryRun ? undefined : secret);
      },
    }),
    route({
      id: "messaging.subscriptions.getPush",
      method: "GET",
      path: "/api/v1/subscriptions/{id}/push",
      summary: "Read the webhook of a subscription",
      permission: "subscriptions.read",
      audit: { none: "reads only" },
      params: byId,
      response: push,
      errors: ["subscription_not_found", "push_not_found"],
      handler: async ({ principal, params }) => toPush(await pushes.get(principal.tenant, params.id)),
    }),
    route({
      id: "messaging.subscriptions.deletePush",
      method: "DELETE",
      path: "/api/v1/subscriptions/{id}/push",
      summary: "Stop pushing; the messages stay for other consumers",
      permission: "subscriptions.write",
      audit: { action: "push.delete" },
      params: byId,
      query: dryRunQuery,
      errors: ["subscription_not_found", "push_not_found"],
      handler: (context) => pushes.delete(actorOf(context), context.params.id),
    }),
  ];
}

function verbRoutes(pushes: Pushes): Route[] {
  return [
    route({
      id: "messaging.subscriptions.pausePush",
      method: "POST",
      path: "/api/v1/subscriptions/{id}/push/pause",
      summary: "Push nothing until it is resumed",
      description: "Messages wait, and other consumers of the subscription may have them.",
      permission: "subscriptions.write",
      audit: { action: "push.pause" },
      params: byId,
      query: dryRunQuery,
      response: push,
      errors: ["subscription_not_found", "push_not_found"],
      handler: async (context) => toPush(await pushes.pause(actorOf(context), context.params.id)),
    }),
    route({
      id: "messaging.subscriptions.resumePush",
      method: "POST",
      path: "/api/v1/subscriptions/{id}/push/resume",
      summary: "Push again at once what was paused or disabled",
      permission: "subscriptions.write",
      audit: { action: "push.resume" },
      params: byId,
      query: dryRunQuery,
      response: push,
      errors: ["subscription_not_found", "push_not_found"],
      handler: async (context) => toPush(await pushes.resume(actorOf(context), context.params.id)),
    }),
    route({
      id: "messaging.subscriptions.rotatePushSecret",
      method: "POST",
      path: "/api/v1/subscriptions/{id}/push/rotate",
      summary: "Make a new secret; the former ones sign beside it",
      permission: "subscriptions.write",
      audit: { action: "push.rotate" },
      params: byId,
      query: dryRunQuery,
      response: Type.Object({ secret: Type.String({ description: "It is not shown again." }) }),
      errors: ["subscription_not_found", "push_not_found"],
      handler: async (context) => ({ secret: await pushes.rotate(actorOf(context), context.params.id) }),
    }),
  ];
}

function toPush({ pace, ...shown }: ShownPush, secret?: string) {
  const { status, failures, reason, resumesAt } = pace;
  return {
    ...shown,
    status,
    failures,
    reason,
    resumesAt: resumesAt === null ? null : new Date(resumesAt).toISOString(),
    ...(secret !== undefined && { secret }),
  };
}
