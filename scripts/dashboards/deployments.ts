/** The dashboard of deployments: what is under way, how deployments end, and how long they take. */
import type { Dashboard } from "./panels.ts";

const chosen = 'job=~"$job",kind=~"$kind"';
const ended = (metric: string) => `sum by (strategy) (increase(${metric}{${chosen}}[1h]))`;
const rate = (metric: string) => `sum(increase(${metric}{${chosen}}[1h]))`;

export const deployments: Dashboard = {
  uid: "hotswap-deployments",
  title: "HotSwap · Deployments",
  tags: ["hotswap"],
  variables: [
    { label: "job", metric: "active_deployments" },
    { label: "kind", metric: "active_deployments" },
  ],
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Under way",
          help: "Running, held, and those that wait for their start.",
          kind: "stat",
          unit: "short",
          width: 6,
          queries: [{ expr: `sum(active_deployments{${chosen}})` }],
        },
        {
          title: "Came into force",
          help: "Of those that ended within an hour.",
          kind: "stat",
          unit: "percentunit",
          width: 6,
          queries: [
            {
              expr:
                `${rate("deployments_completed_total")} / (${rate("deployments_completed_total")} + ` +
                `${rate("deployments_rolledback_total")} + ${rate("deployments_failed_total")})`,
            },
          ],
        },
        {
          title: "Under way, by strategy",
          unit: "short",
          width: 12,
          queries: [
            {
              expr: `sum by (kind, strategy) (active_deployments{${chosen}})`,
              legend: "{{kind}} {{strategy}}",
            },
          ],
        },
      ],
    },
    {
      title: "How they end",
      panels: [
        {
          title: "Begun within an hour, by strategy",
          unit: "short",
          queries: [{ expr: ended("deployments_started_total"), legend: "{{strategy}}" }],
        },
        {
          title: "Taken back within an hour, by cause",
          unit: "short",
          queries: [
            {
              expr: `sum by (cause) (increase(deployments_rolledback_total{${chosen}}[1h]))`,
              legend: "{{cause}}",
            },
          ],
        },
        {
          title: "Duration (p50, p95, p99)",
          unit: "s",
          queries: ["0.5", "0.95", "0.99"].map((quantile) => ({
            expr:
              `histogram_quantile(${quantile}, sum by (le) ` +
              `(rate(deployment_duration_seconds_bucket{${chosen}}[1h])))`,
            legend: quantile,
          })),
        },
        {
          title: "Failures of targets",
          help: "Calls that failed and are tried again.",
          unit: "short",
          queries: [
            {
              expr: `sum by (kind) (rate(deployment_target_failures_total{${chosen}}[$__rate_interval]))`,
              legend: "{{kind}}",
            },
          ],
        },
      ],
    },
  ],
};
