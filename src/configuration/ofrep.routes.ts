/** /ofrep/v1: feature flags by the OpenFeature Remote Evaluation Protocol, 0.3.0. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import type { Problem } from "../platform/http/problem.ts";
import { handled, Reply, type Route, route } from "../platform/http/route.ts";
import type { FlagStreams } from "./flag-streams.ts";
import { type FlagTickets, flagEventsPath } from "./flag-tickets.ts";
import type { Ofrep } from "./ofrep.ts";

const flagKey = Type.String({ minLength: 1, maxLength: 256 });

const request = Type.Object(
  {
    context: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "What rules may ask for; `targetingKey` says who it is.",
      }),
    ),
  },
  { additionalProperties: false },
);

const value = Type.Unknown({ description: "Absent: the caller's own default." });
const metadata = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]));
const evaluated = {
  key: flagKey,
  value: Type.Optional(value),
  variant: Type.Optional(Type.String()),
  reason: Type.String(),
  metadata,
};
const failed = { key: flagKey, errorCode: Type.String(), errorDetails: Type.String() };

/** Which configuration is asked when the header does not say it. */
const configDefault = "flags";

const configOf = (headers: Readonly<Record<string, unknown>>) => {
  const named = headers["x-hotswap-config"];
  return typeof named === "string" && named !== "" ? named : configDefault;
};

/** Their codes, besides ours. */
const errorCodes: Readonly<Record<string, string>> = {
  flag_not_found: "FLAG_NOT_FOUND",
  flag_evaluation_failed: "PARSE_ERROR",
  validation_failed: "INVALID_CONTEXT",
  json_malformed: "PARSE_ERROR",
};

function problem({ code, detail, data }: Problem): Record<string, unknown> {
  const { key, errorCode = errorCodes[code] ?? "GENERAL" } = (data ?? {}) as Record<string, unknown>;
  return { ...(key !== undefined && { key }), errorCode, errorDetails: detail };
}

const shared = {
  method: "POST",
  permission: "flags.evaluate",
  checksResource: true,
  audit: { none: "reads only" },
  body: request,
  problem,
} as const;
const errors = ["config_not_found", "config_holds_no_flags", "secret_not_found"] as const;
const about =
  "Flags are a configuration in flagd's format: the one that the header `X-HotSwap-Config` names, by default `flags`. " +
  "The token may come in `X-API-Key` instead of `Authorization`.";

/** A revision, as a stream told it; what is none says nothing. */
function revisionOf(text: string | undefined): number | undefined {
  const revision = text === undefined ? Number.NaN : Number(text);
  return Number.isSafeInteger(revision) && revision >= 0 ? revision : undefined;
}

const eventStream = Type.Object({
  type: Type.Literal("sse"),
  endpoint: Type.Object({ requestUri: Type.String({ description: "At the origin of this server." }) }),
});

export interface OfrepParts {
  ofrep: Ofrep;
  tickets: FlagTickets;
  streams: FlagStreams;
}

export function ofrepRoutes({ ofrep, tickets, streams }: OfrepParts): Route[] {
  return [
    eventsRoute({ ofrep, tickets, streams }),
    route({
      ...shared,
      id: "ofrep.flags.evaluate",
      path: "/ofrep/v1/evaluate/flags/{key}",
      summary: "Evaluate a feature flag",
      description: about,
      params: Type.Object({ key: flagKey }),
      response: Type.Object(evaluated),
      errors: [...errors, "flag_not_found", "flag_evaluation_failed"],
      handler: ({ principal, params, headers, body }) =>
        ofrep.evaluate(principal, configOf(headers), params.key, body.context ?? {}),
    }),
    route({
      ...shared,
      id: "ofrep.flags.evaluateAll",
      path: "/ofrep/v1/evaluate/flags",
      summary: "Evaluate all feature flags",
      description:
        `${about} A flag that cannot be evaluated carries its error. If-None-Match is honoured. \`eventStreams\` says ` +
        "where changes are told, by events that ask to evaluate anew.",
      query: Type.Object(
        {
          flagConfigEtag: Type.Optional(
            Type.String({ maxLength: 256, description: "The `etag` of the event upon which this is asked." }),
          ),
          flagConfigLastModified: Type.Optional(Type.String({ maxLength: 64, description: "Not used." })),
        },
        { additionalProperties: false },
      ),
      response: Type.Object({
        flags: Type.Array(Type.Union([Type.Object(evaluated), Type.Object(failed)])),
        eventStreams: Type.Array(eventStream),
      }),
      conditional: true,
      errors,
      handler: async ({ principal, query, headers, body }) => {
        const config = configOf(headers);
        const { etag, flags } = await ofrep.evaluateAll(principal, config, body.context ?? {}, {
          known: headers["if-none-match"],
          revision: revisionOf(query.flagConfigEtag) ?? 0,
        });
        if (!flags) return new Reply(undefined, { status: 304, headers: { etag } });
        const requestUri = `${flagEventsPath}?ticket=${await tickets.issue(principal, config)}`;
        return new Reply(
          { flags, eventStreams: [{ type: "sse", endpoint: { requestUri } }] },
          { headers: { etag } },
        );
      },
    }),
  ];
}

function eventsRoute({ ofrep, tickets, streams }: OfrepParts): Route {
  return route({
    id: "ofrep.flags.events",
    method: "GET",
    path: flagEventsPath,
    summary: "Hear that feature flags have changed, as server-sent events",
    description:
      'An event\'s data is `{"type": "refetchEvaluation", "etag": …}`: evaluate all flags anew, with the etag as the ' +
      "query's `flagConfigEtag`. The address comes from `eventStreams` of an evaluation; its ticket stands for the " +
      "token there, ends with it, and is good for nothing else.",
    permission: "flags.evaluate",
    checksResource: true,
    audit: { none: "reads only" },
    query: Type.Object(
      { ticket: Type.String({ minLength: 1, maxLength: 2_048 }) },
      { additionalProperties: false },
    ),
    responseType: "text/event-stream",
    errors: ["config_not_found", "overloaded"],
    problem,
    handler: async ({ principal, query, headers, response, requestId }) => {
      const { tenant, config, expiresAt } = await tickets.read(query.ticket);
      if (tenant !== principal.tenant)
        throw new HotSwapError("token_invalid", "The ticket is another tenant's.");
      const scope = await ofrep.scopeOf(tenant, config);
      const since = revisionOf(headers["last-event-id"] as string | undefined);
      await streams.open(response, { scope, config, since, expiresAt, requestId });
      return handled;
    },
  });
}
