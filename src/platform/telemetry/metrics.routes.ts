/**
 * GET /metrics for Prometheus. It shows the topics of all tenants, so it needs a token with `metrics.read`
 * (`authorization: { credentials_file }` in Prometheus) unless the setting `metrics.public` opens it.
 */
import { Reply, type Route, route } from "../http/route.ts";
import type { Metrics } from "./metrics.ts";

export function metricsRoutes(metrics: Metrics, isPublic: boolean): Route[] {
  return [
    route({
      id: "system.metrics.get",
      method: "GET",
      path: "/metrics",
      summary: "All metrics in the text format of Prometheus",
      description: "Needs a token with `metrics.read`, or the setting `metrics.public`.",
      permission: isPublic ? "public" : "metrics.read",
      audit: { none: "reads only" },
      responseType: "text/plain",
      handler: async () =>
        new Reply(await metrics.text(), { headers: { "content-type": metrics.contentType } }),
    }),
  ];
}
