/** What a person does to a deployment: pause, resume, promote, roll back, and ask to go on in spite of a freeze. */
import { Type } from "typebox";
import { type Actor, actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Context, type Route, route } from "../platform/http/route.ts";
import { reason } from "./deployments.schema.ts";
import type { Deployments } from "./deployments.ts";
import type { Narrowing } from "./narrowing.ts";
import * as show from "./show.ts";
import type { DeploymentRow } from "./tables.ts";

const strict = { additionalProperties: false } as const;
const ReasonBody = Type.Object({ reason: Type.Optional(reason) }, strict);

const shared = {
  method: "POST",
  permission: "deployments.write",
  checksResource: true,
  params: Type.Object({ id: Type.String({ format: "uuid" }) }),
  query: dryRunQuery,
  response: show.deployment,
  errors: ["deployment_not_found", "deployment_state_refused"],
  idempotent: true,
} as const;

type Verb = Context<{ id: string }, { dryRun: boolean }>;

/** A narrowed resource knows its own kind only. */
async function actorFor(deployments: Deployments, { kind }: Narrowing, context: Verb): Promise<Actor> {
  if (kind) await deployments.get(context.principal, context.params.id, kind);
  return actorOf(context);
}

async function shown(deployments: Deployments, row: DeploymentRow) {
  return show.toDeployment(row, await deployments.approvalOf(row));
}

export function verbRoutes(deployments: Deployments, narrowing: Narrowing): Route[] {
  return [...steering(deployments, narrowing), ...goingBack(deployments, narrowing)];
}

function steering(deployments: Deployments, narrowing: Narrowing): Route[] {
  const actor = (context: Verb) => actorFor(deployments, narrowing, context);
  const answer = (row: DeploymentRow) => shown(deployments, row);
  return [
    route({
      ...shared,
      id: "deployments.pause",
      path: "/api/v1/deployments/{id}/pause",
      summary: "Hold a deployment where it is",
      description: "Its clock stands still. What hurts is still rolled back.",
      audit: { action: "deployments.pause" },
      body: ReasonBody,
      handler: async (context) =>
        answer(await deployments.pause(await actor(context), context.params.id, context.body.reason)),
    }),
    route({
      ...shared,
      id: "deployments.resume",
      path: "/api/v1/deployments/{id}/resume",
      summary: "Let a paused deployment go on",
      audit: { action: "deployments.resume" },
      body: ReasonBody,
      handler: async (context) => answer(await deployments.resume(await actor(context), context.params.id)),
    }),
    route({
      ...shared,
      id: "deployments.promote",
      path: "/api/v1/deployments/{id}/promote",
      summary: "End the wait of this step, or with `full` expose all at once",
      description:
        "Ends a pause, a manual gate and an undecided judge. Freezes stay, and so does the failure budget.",
      audit: { action: "deployments.promote" },
      body: Type.Object({ full: Type.Boolean({ default: false }), reason: Type.Optional(reason) }, strict),
      handler: async (context) =>
        answer(await deployments.promote(await actor(context), context.params.id, context.body)),
    }),
  ];
}

function goingBack(deployments: Deployments, narrowing: Narrowing): Route[] {
  const actor = (context: Verb) => actorFor(deployments, narrowing, context);
  return [
    route({
      ...shared,
      id: "deployments.rollback",
      path: "/api/v1/deployments/{id}/rollback",
      summary: "Take a deployment back",
      description:
        "Ignores freezes, pauses and gates. What has not begun is cancelled; what has ended stays as it is, and the " +
        "answer says how.",
      audit: { action: "deployments.rollback" },
      body: Type.Object({ reason }, strict),
      handler: async (context) =>
        shown(
          deployments,
          await deployments.rollback(await actor(context), context.params.id, context.body.reason),
        ),
    }),
    route({
      ...shared,
      id: "deployments.breakGlass",
      path: "/api/v1/deployments/{id}/break-glass",
      summary: "Ask that a deployment may go on in spite of a freeze",
      description:
        "Another person must approve the request that `approvalId` names. It counts for today's freezes only.",
      audit: { action: "deployments.breakglass" },
      body: Type.Object({ reason }, strict),
      handler: async (context) => {
        const { row, approvalId } = await deployments.breakGlass(
          await actor(context),
          context.params.id,
          context.body.reason,
        );
        return show.toDeployment(row, approvalId);
      },
    }),
  ];
}
