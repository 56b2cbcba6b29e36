/** GET /api/v1/overview: the state of the whole system on one page, as the console draws it. */
import { Type } from "typebox";
import type { Clock } from "../core/clock.ts";
import type { Gateway } from "../gateway/index.ts";
import type { Messaging } from "../messaging/index.ts";
import type { Health } from "../platform/health/index.ts";
import { type Route, route } from "../platform/http/route.ts";
import type { ProcessUsage } from "../platform/telemetry/index.ts";

const count = Type.Integer({ minimum: 0 });

const overview = Type.Object({
  version: Type.String(),
  mode: Type.Enum(["development", "production"]),
  startedAt: Type.String({ format: "date-time" }),
  now: Type.String({ format: "date-time" }),
  health: Type.Object({
    status: Type.Enum(["ok", "degraded", "down"]),
    checks: Type.Array(
      Type.Object({
        name: Type.String(),
        status: Type.Enum(["ok", "down"]),
        detail: Type.Optional(Type.String()),
      }),
    ),
  }),
  messaging: Type.Object({
    topics: count,
    subscriptions: count,
    publishedTotal: Type.Integer({ description: "Since the start of this process, as all totals here." }),
    deliveredTotal: count,
    ackedTotal: count,
    redeliveredTotal: count,
    depth: Type.Integer({ description: "Messages not acknowledged yet, over all subscriptions." }),
    inFlight: count,
    bytes: count,
  }),
  gateway: Type.Object({
    url: Type.Union([Type.String(), Type.Null()], {
      description: "Where clients reach it; null when it is off.",
    }),
    tlsUrl: Type.Union([Type.String(), Type.Null()]),
    status: Type.Enum(["ok", "stale", "off"]),
    routes: count,
    revision: count,
  }),
  process: Type.Object({ cpuSeconds: Type.Number(), rssBytes: count, eventLoopDelayP99Ms: Type.Number() }),
});

export interface OverviewParts {
  version: string;
  mode: "development" | "production";
  clock: Clock;
  health: Health;
  messaging: Messaging;
  gateway: Gateway;
  usage: ProcessUsage;
}

export function overviewRoutes({
  version,
  mode,
  clock,
  health,
  messaging,
  gateway,
  usage,
}: OverviewParts): Route[] {
  const startedAt = new Date(clock.now()).toISOString();
  return [
    route({
      id: "system.overview.get",
      method: "GET",
      path: "/api/v1/overview",
      summary: "The state of the system on one page",
      permission: "system.read",
      audit: { none: "reads only" },
      response: overview,
      handler: async ({ principal }) => ({
        version,
        mode,
        startedAt,
        now: new Date(clock.now()).toISOString(),
        health: await health.report(),
        messaging: await messaging.overview(principal.tenant),
        gateway: gateway.overview(principal.tenant),
        process: usage.read(),
      }),
    }),
  ];
}
