/** The dashboard of the nodes: health, requests, and what each process uses of its machine. */
import type { Dashboard, Query } from "./panels.ts";

const chosen = 'job=~"$job",instance=~"$instance"';
const requests = `http_server_request_duration_seconds_count{${chosen}}`;
const gauge = (metric: string, factor = ""): Query[] => [
  { expr: `${metric}{${chosen}}${factor}`, legend: "{{instance}}" },
];

export const server: Dashboard = {
  uid: "hotswap-server",
  title: "HotSwap · Nodes",
  tags: ["hotswap"],
  variables: [
    { label: "job", metric: "health_check_up" },
    { label: "instance", metric: "health_check_up" },
  ],
  rows: [
    {
      title: "Health",
      panels: [
        {
          title: "Nodes that answer",
          kind: "stat",
          unit: "short",
          width: 6,
          queries: [{ expr: `sum(up{${chosen}})` }],
        },
        {
          title: "Up for",
          kind: "stat",
          unit: "s",
          width: 6,
          queries: [{ expr: `time() - process_start_time_seconds{${chosen}}`, legend: "{{instance}}" }],
        },
        {
          title: "Checks",
          help: "Each part of a node that is asked whether it works. Anything but well is worth a look.",
          kind: "stat",
          unit: "short",
          width: 12,
          words: { 0: "not well", 1: "well" },
          queries: [{ expr: `health_check_up{${chosen}}`, legend: "{{instance}} {{check}}" }],
        },
      ],
    },
    {
      title: "Requests",
      panels: [
        {
          title: "Requests, by status",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (http_response_status_code) (rate(${requests}[$__rate_interval]))`,
              legend: "{{http_response_status_code}}",
            },
          ],
        },
        {
          title: "Share of 5xx",
          unit: "percentunit",
          queries: [
            {
              expr:
                `sum by (instance) (rate(http_server_request_duration_seconds_count{${chosen},` +
                `http_response_status_code=~"5.."}[$__rate_interval])) ` +
                `/ sum by (instance) (rate(${requests}[$__rate_interval]))`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          title: "Time to answer, p99, by route",
          help: "Receiving waits for messages (wait=…), so its long times are not slow ones.",
          unit: "s",
          queries: [
            {
              expr:
                `histogram_quantile(0.99, sum by (http_route, le) ` +
                `(rate(http_server_request_duration_seconds_bucket{${chosen}}[$__rate_interval])))`,
              legend: "{{http_route}}",
            },
          ],
        },
        {
          title: "Requests under way",
          unit: "short",
          queries: [
            {
              expr: `sum by (instance) (http_server_active_requests{${chosen}})`,
              legend: "{{instance}}",
            },
          ],
        },
      ],
    },
    {
      title: "Process",
      panels: [
        {
          title: "Processor, of one core",
          unit: "percentunit",
          queries: [
            {
              expr: `rate(process_cpu_seconds_total{${chosen}}[$__rate_interval])`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          title: "Memory",
          unit: "bytes",
          queries: [
            { expr: `process_resident_memory_bytes{${chosen}}`, legend: "{{instance}} resident" },
            { expr: `nodejs_heap_size_used_bytes{${chosen}}`, legend: "{{instance}} heap" },
          ],
        },
        {
          title: "Event-loop delay, p99",
          help: "How late the process comes to its work. Every request waits for that.",
          unit: "s",
          queries: gauge("nodejs_eventloop_lag_p99_seconds"),
        },
        {
          title: "Garbage collection",
          help: "Share of time.",
          unit: "percentunit",
          queries: [
            {
              expr: `sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum{${chosen}}[$__rate_interval]))`,
              legend: "{{instance}} {{kind}}",
            },
          ],
        },
        {
          title: "Open files and sockets",
          unit: "short",
          queries: [
            { expr: `process_open_fds{${chosen}}`, legend: "{{instance}}" },
            { expr: `process_max_fds{${chosen}}`, legend: "{{instance}} at most" },
          ],
        },
        {
          title: "Metrics that were cut or missed",
          help: "Label sets above metrics.seriesMax, and parts that could not give their metrics.",
          unit: "short",
          queries: [
            {
              expr: `sum by (metric) (increase(metrics_overflow_total{${chosen}}[1h]))`,
              legend: "{{metric}}",
            },
            {
              expr: `sum(increase(metrics_collect_failures_total{${chosen}}[1h]))`,
              legend: "failed to collect",
            },
          ],
        },
      ],
    },
  ],
};
