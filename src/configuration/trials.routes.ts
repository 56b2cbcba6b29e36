/**
 * /api/v1/configs/{name}/versions/{version}/trials and …/draft/trials: asking live instances whether they would take
 * what has been written.
 */
import { Type } from "typebox";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Route, route } from "../platform/http/route.ts";
import { byName } from "./configs.routes.ts";
import { configName, versionNumber as version } from "./configs.schema.ts";
import { trial } from "./trials.schema.ts";
import type { Trials } from "./trials.ts";

const byVersion = Type.Object({ name: configName, version });
const newTrial = Type.Object(
  {
    instances: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 5, description: "How many are asked, at most." }),
    ),
  },
  { additionalProperties: false },
);

const errors = ["config_not_found", "config_version_not_found"] as const;
/** What keeps a draft from being a version. */
const draftErrors = [
  "config_not_found",
  "config_invalid",
  "config_schema_violated",
  "config_secret_unknown",
  "schema_not_found",
  "schema_too_costly",
] as const;

const list = Type.Object({ items: Type.Array(trial, { description: "The newest first, at most 20." }) });
const begins = {
  method: "POST",
  permission: "configs.write",
  checksResource: true,
  audit: { action: "config.trial" },
  query: dryRunQuery,
  body: newTrial,
  status: 201,
  response: trial,
  idempotent: true,
} as const;
const lists = {
  method: "GET",
  permission: "configs.read",
  checksResource: true,
  audit: { none: "reads only" },
  response: list,
} as const;
const instancesDefault = 5;

export function trialRoutes(trials: Trials): Route[] {
  return [...ofVersions(trials), ...ofDrafts(trials)];
}

function ofVersions(trials: Trials): Route[] {
  return [
    route({
      ...begins,
      id: "configuration.trials.begin",
      path: "/api/v1/configs/{name}/versions/{version}/trial",
      summary: "Ask live instances whether they would take a version",
      description:
        "A sample of them checks the version and applies nothing. Answers come within seconds; read them with " +
        "GET …/trials.",
      params: byVersion,
      errors: [...errors, "config_trial_nobody"],
      handler: (context) => {
        const { name, version } = context.params;
        const count = context.body.instances ?? instancesDefault;
        return trials.ofVersion(actorOf(context), name, version, count);
      },
    }),
    route({
      ...lists,
      id: "configuration.trials.list",
      path: "/api/v1/configs/{name}/versions/{version}/trials",
      summary: "What instances answered to trials of a version",
      description: "Also to those of a draft that said the same.",
      params: byVersion,
      errors,
      handler: async ({ principal, params }) => {
        return { items: await trials.listOfVersion(principal, params.name, params.version) };
      },
    }),
  ];
}

function ofDrafts(trials: Trials): Route[] {
  return [
    route({
      ...begins,
      id: "configuration.drafts.try",
      path: "/api/v1/configs/{name}/draft/trial",
      summary: "Ask live instances whether they would take one's own draft",
      description:
        "As it is saved now, and fit to be a version. A sample of them checks it and applies nothing. Answers come " +
        "within seconds; read them with GET …/trials.",
      params: byName,
      errors: [...draftErrors, "config_draft_not_found", "config_trial_nobody"],
      handler: (context) => {
        const count = context.body.instances ?? instancesDefault;
        return trials.ofDraft(actorOf(context), context.params.name, count);
      },
    }),
    route({
      ...lists,
      id: "configuration.drafts.listTrials",
      path: "/api/v1/configs/{name}/draft/trials",
      summary: "What instances answered to trials of one's own drafts",
      params: byName,
      errors: ["config_not_found"],
      handler: async ({ principal, params }) => {
        return { items: await trials.listOfDraft(principal, params.name) };
      },
    }),
  ];
}
