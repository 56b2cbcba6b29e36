/** deploy/grafana/dashboards: the Grafana JSON of the dashboards that scripts/dashboards describes. */
import { deployments } from "./dashboards/deployments.ts";
import { gateway } from "./dashboards/gateway.ts";
import { messaging } from "./dashboards/messaging.ts";
import { type Dashboard, grafanaJson } from "./dashboards/panels.ts";
import { server } from "./dashboards/server.ts";

export const dashboards: readonly Dashboard[] = [messaging, gateway, deployments, server];

/** File name → content. */
export function dashboardFiles(): [string, string][] {
  return dashboards.map((dashboard) => {
    const name = dashboard.uid.replace("hotswap-", "");
    return [`deploy/grafana/dashboards/${name}.json`, `${JSON.stringify(grafanaJson(dashboard), null, 2)}\n`];
  });
}
