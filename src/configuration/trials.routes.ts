/** /api/v1/configs/{name}/versions/{version}/trials: asking live instances whether they would take a version. */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Route, route } from "../platform/http/route.ts";
import { configName, versionNumber as version } from "./configs.schema.ts";
import { instanceId } from "./instances.schema.ts";
import type { Trials } from "./trials.ts";

const byVersion = Type.Object({ name: configName, version });
const instant = Type.String({ format: "date-time" });

const trial = Type.Object({
  id: Type.String(),
  version,
  status: Type.Enum(["asking", "done", "expired"]),
  asked: Type.Integer({ description: "So many instances." }),
  accepted: Type.Integer(),
  rejected: Type.Integer(),
  answers: Type.Array(Type.Object({ instanceId, ok: Type.Boolean(), reason: Type.String() })),
  silent: Type.Array(instanceId, { description: "Those that have not answered." }),
  by: Type.String(),
  at: instant,
  expiresAt: instant,
});

const newTrial = Type.Object(
  {
    instances: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 5, description: "How many are asked, at most." }),
    ),
  },
  { additionalProperties: false },
);

const errors = ["config_not_found", "config_version_not_found"] as const;

export function trialRoutes(trials: Trials): Route[] {
  return [
    route({
      id: "configuration.trials.begin",
      method: "POST",
      path: "/api/v1/configs/{name}/versions/{version}/trial",
      summary: "Ask live instances whether they would take a version",
      description:
        "A sample of them checks the version and applies nothing. Answers come within seconds; read them with " +
        "GET …/trials.",
      permission: "configs.write",
      checksResource: true,
      audit: { action: "config.trial" },
      params: byVersion,
      query: dryRunQuery,
      body: newTrial,
      status: 201,
      response: trial,
      errors: [...errors, "config_trial_nobody"],
      idempotent: true,
      handler: (context) => {
        const { name, version } = context.params;
        return trials.begin(actorOf(context), name, version, context.body.instances ?? 5);
      },
    }),
    route({
      id: "configuration.trials.list",
      method: "GET",
      path: "/api/v1/configs/{name}/versions/{version}/trials",
      summary: "What instances answered to trials of a version",
      permission: "configs.read",
      checksResource: true,
      audit: { none: "reads only" },
      params: byVersion,
      response: Type.Object({ items: Type.Array(trial, { description: "The newest first, at most 20." }) }),
      errors,
      handler: async ({ principal, params }) => {
        return { items: await trials.list(principal, params.name, params.version) };
      },
    }),
  ];
}
