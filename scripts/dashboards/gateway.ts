/** The dashboard of the gateway: what goes through, how long it takes, what fails, and how the backends are. */
import type { Dashboard, Query } from "./panels.ts";

const chosen = 'tenant=~"$tenant",route=~"$route"';
const rate = (metric: string) => `rate(${metric}{${chosen}}[$__rate_interval])`;
const perRoute = (metric: string) => `sum by (route) (${rate(metric)})`;
const failedShare = (by: string) =>
  `sum${by} (${rate("gateway_requests_failed_total")}) / sum${by} (${rate("gateway_requests_total")})`;

const quantiles = (metric: string): Query[] =>
  [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (${rate(`${metric}_bucket`)}))`,
    legend: `p${quantile * 100}`,
  }));

const breakerWords = { 0: "closed", 1: "half-open", 2: "open" };

export const gateway: Dashboard = {
  uid: "hotswap-gateway",
  title: "HotSwap · Gateway",
  tags: ["hotswap"],
  variables: [
    { label: "tenant", metric: "gateway_requests_total" },
    { label: "route", metric: "gateway_requests_total" },
  ],
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Requests",
          kind: "stat",
          unit: "reqps",
          queries: [{ expr: `sum(${rate("gateway_requests_total")})` }],
        },
        {
          title: "Failed",
          help: "Answered by the gateway for a backend that failed, or not answered at all.",
          kind: "stat",
          unit: "percentunit",
          thresholds: [0.01, 0.05],
          queries: [{ expr: failedShare("") }],
        },
        {
          title: "p99",
          kind: "stat",
          unit: "s",
          thresholds: [0.5, 1],
          queries: quantiles("gateway_request_duration_seconds").slice(2),
        },
        {
          title: "Connections",
          kind: "stat",
          unit: "short",
          queries: [{ expr: "sum(gateway_active_connections)" }],
        },
        {
          title: "Backends left out",
          kind: "stat",
          unit: "short",
          thresholds: [1, 2],
          queries: [{ expr: `count(gateway_backend_healthy{tenant=~"$tenant"} == 0) or vector(0)` }],
        },
        {
          title: "Breakers open",
          kind: "stat",
          unit: "short",
          thresholds: [1, 2],
          queries: [{ expr: `count(gateway_circuit_breaker_state{tenant=~"$tenant"} == 2) or vector(0)` }],
        },
      ],
    },
    {
      title: "Requests",
      panels: [
        {
          title: "Requests, by route",
          unit: "reqps",
          queries: [{ expr: perRoute("gateway_requests_total"), legend: "{{route}}" }],
        },
        {
          title: "Answers, by class of status",
          unit: "reqps",
          queries: [
            { expr: `sum by (status_class) (${rate("gateway_requests_total")})`, legend: "{{status_class}}" },
          ],
        },
        {
          title: "Share that failed, by route",
          unit: "percentunit",
          queries: [{ expr: failedShare(" by (route)"), legend: "{{route}}" }],
        },
        {
          title: "Why requests ended badly",
          help: "Response flags, explained by GET /api/v1/gateway/requests/{id}; and refusals before a route was known.",
          unit: "reqps",
          queries: [
            {
              expr: "sum by (flag) (rate(gateway_response_flags_total[$__rate_interval]))",
              legend: "{{flag}}",
            },
            {
              expr: "sum by (reason) (rate(gateway_requests_refused_total[$__rate_interval]))",
              legend: "refused: {{reason}}",
            },
          ],
        },
      ],
    },
    {
      title: "Latency",
      panels: [
        {
          title: "Request to answer",
          help: "From a request's first byte to the last of its answer.",
          unit: "s",
          queries: quantiles("gateway_request_duration_seconds"),
        },
        {
          title: "Backend",
          help: "From the choice of a backend to the head of its answer. What is above it, the gateway took.",
          unit: "s",
          queries: quantiles("gateway_backend_duration_seconds"),
        },
      ],
    },
    {
      title: "Backends",
      panels: [
        {
          title: "Breakers",
          kind: "stat",
          unit: "short",
          width: 12,
          words: breakerWords,
          thresholds: [1, 2],
          queries: [
            {
              expr: `max by (backend) (gateway_circuit_breaker_state{tenant=~"$tenant"})`,
              legend: "{{backend}}",
            },
          ],
        },
        {
          title: "Used",
          kind: "stat",
          unit: "short",
          width: 12,
          words: { 0: "left out", 1: "used" },
          queries: [
            { expr: `min by (backend) (gateway_backend_healthy{tenant=~"$tenant"})`, legend: "{{backend}}" },
          ],
        },
        {
          title: "Connections to backends",
          unit: "short",
          queries: [
            {
              expr: `sum by (backend) (gateway_backend_connections{tenant=~"$tenant"})`,
              legend: "{{backend}}",
            },
          ],
        },
        {
          title: "Further attempts, by reason",
          unit: "ops",
          queries: [
            {
              expr: "sum by (reason) (rate(gateway_retries_total[$__rate_interval]))",
              legend: "{{reason}}",
            },
          ],
        },
      ],
    },
    {
      title: "Connections and configuration",
      panels: [
        {
          title: "Connections and tunnels, by node",
          unit: "short",
          queries: [
            { expr: "gateway_active_connections", legend: "{{instance}} connections" },
            { expr: "gateway_tunnels", legend: "{{instance}} tunnels" },
          ],
        },
        {
          title: "Snapshot, by node",
          help: "Stale: the database cannot be reached, and the node serves by its last snapshot.",
          unit: "short",
          queries: [
            { expr: "gateway_config_revision", legend: "{{instance}} revision" },
            { expr: "gateway_config_stale", legend: "{{instance}} stale" },
            { expr: "gateway_limits_alone", legend: "{{instance}} limits alone" },
          ],
        },
      ],
    },
  ],
};
