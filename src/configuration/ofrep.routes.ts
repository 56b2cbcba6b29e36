/** /ofrep/v1: feature flags by the OpenFeature Remote Evaluation Protocol, 0.3.0. */
import { Type } from "typebox";
import type { Problem } from "../platform/http/problem.ts";
import { Reply, type Route, route } from "../platform/http/route.ts";
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

export function ofrepRoutes(ofrep: Ofrep): Route[] {
  return [
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
      description: `${about} A flag that cannot be evaluated carries its error. If-None-Match is honoured.`,
      response: Type.Object({ flags: Type.Array(Type.Union([Type.Object(evaluated), Type.Object(failed)])) }),
      conditional: true,
      errors,
      handler: async ({ principal, headers, body }) => {
        const known = headers["if-none-match"];
        const { etag, flags } = await ofrep.evaluateAll(
          principal,
          configOf(headers),
          body.context ?? {},
          known,
        );
        if (!flags) return new Reply(undefined, { status: 304, headers: { etag } });
        return new Reply({ flags }, { headers: { etag } });
      },
    }),
  ];
}
