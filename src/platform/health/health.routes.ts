/**
 * GET /health: the process lives; it asks no store, since a restart would not mend one. GET /ready: it can
 * serve. Both are public for probes and balancers, so they name checks but no details.
 */
import { Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";
import { type Route, route } from "../http/route.ts";
import type { CheckResult, Health } from "./health.ts";

const check = Type.Object({ name: Type.String(), status: Type.Enum(["ok", "down"]) });
const retryAfterMs = 1_000;

export function healthRoutes(health: Health): Route[] {
  return [
    route({
      id: "system.health.get",
      method: "GET",
      path: "/health",
      summary: "Whether the process lives",
      permission: "public",
      audit: { none: "reads only" },
      response: Type.Object({ status: Type.Literal("ok") }),
      handler: () => ({ status: "ok" }),
    }),
    route({
      id: "system.ready.get",
      method: "GET",
      path: "/ready",
      summary: "Whether the process can serve",
      description:
        "`degraded`: it can, although something that it can do without is down. 503 lists the checks in `data`.",
      permission: "public",
      audit: { none: "reads only" },
      response: Type.Object({ status: Type.Enum(["ok", "degraded"]), checks: Type.Array(check) }),
      errors: ["store_unavailable", "shutting_down"],
      handler: async () => readiness(health),
    }),
  ];
}

async function readiness(health: Health): Promise<unknown> {
  // Nobody is asked while draining: the stores may be closing, and the answer must not wait for them.
  if (health.draining) {
    const data = { checks: health.latest().map(withoutDetail) };
    throw new HotSwapError("shutting_down", "The server is stopping.", { data, retryAfterMs });
  }
  const report = await health.report();
  const checks = report.checks.map(withoutDetail);
  if (report.status !== "down") return { status: report.status, checks };
  const down = checks.filter(({ status }) => status === "down").map(({ name }) => name);
  const detail = `These checks fail: ${down.join(", ")}.`;
  throw new HotSwapError("store_unavailable", detail, { data: { checks }, retryAfterMs });
}

const withoutDetail = ({ name, status }: CheckResult) => ({ name, status });
