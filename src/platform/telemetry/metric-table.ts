/**
 * Every metric of HotSwap, in one table; docs/reference/metrics.md is generated from it and the names and
 * labels in the code are checked against it by the compiler. Base units only (seconds, bytes), with the unit
 * in the name; counters end in `_total`. A label's values are few and known: a topic, a route, never an id of
 * a message, a user or a URL. What a label names tells `Metrics.forget` when it is gone.
 */
export interface MetricEntry {
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: readonly string[];
  /** Upper bounds of a histogram; what is above them goes into +Inf. */
  buckets?: readonly number[];
}

// The advice of OpenTelemetry's semantic conventions for http.server.request.duration.
const requestSeconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
// A durable publish is a group-committed fdatasync away: below a millisecond on a good disk.
const publishSeconds = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const deliverySeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
];
const deploymentSeconds = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400, 604800];

const reloadSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const metricTable = {
  http_server_request_duration_seconds: {
    type: "histogram",
    help: "Time from the head of a request to the end of its handler. error_type is the code of a 5xx answer.",
    labels: ["http_request_method", "http_route", "http_response_status_code", "url_scheme", "error_type"],
    buckets: requestSeconds,
  },
  http_server_active_requests: {
    type: "gauge",
    help: "Requests that are being handled.",
    labels: ["http_request_method", "url_scheme"],
  },

  message_topics: {
    type: "gauge",
    help: "Topics that there are, dead-letter queues included. On each of several nodes, all of them.",
    labels: ["tenant"],
  },
  messages_published_total: {
    type: "counter",
    help: "Messages accepted, at the durability of their topic.",
    labels: ["tenant", "topic"],
  },
  messages_deduplicated_total: {
    type: "counter",
    help: "Publishes answered with the message that an earlier one of their idempotency key made.",
    labels: ["tenant", "topic"],
  },
  messages_scheduled_total: {
    type: "counter",
    help: "Messages accepted for a later time. They count as published when they are due.",
    labels: ["tenant", "topic"],
  },
  messages_scheduled_waiting: {
    type: "gauge",
    help: "Messages that wait for their time, of topics that had any since the server started.",
    labels: ["tenant", "topic"],
  },
  messages_delivered_total: {
    type: "counter",
    help: "Messages handed to a consumer, repeated deliveries included.",
    labels: ["tenant", "topic", "subscription"],
  },
  messages_acked_total: {
    type: "counter",
    help: "Messages acknowledged.",
    labels: ["tenant", "topic", "subscription"],
  },
  messages_redelivered_total: {
    type: "counter",
    help: "Deliveries of a message that had been delivered before.",
    labels: ["tenant", "topic", "subscription"],
  },
  messages_schema_violations_total: {
    type: "counter",
    help: "Messages that did not fit the schema of their topic: refused when that is strict.",
    labels: ["tenant", "topic", "enforcement"],
  },
  messages_failed_total: {
    type: "counter",
    help: "Messages given back by their consumer (nack).",
    labels: ["tenant", "topic", "subscription"],
  },
  messages_dead_lettered_total: {
    type: "counter",
    help: "Messages that were given up and moved to the dead-letter queue of their topic.",
    labels: ["tenant", "topic", "subscription"],
  },
  message_publish_duration_seconds: {
    type: "histogram",
    help: "Time to accept the messages of one publish, until they are as durable as the topic asks for.",
    labels: ["tenant", "topic"],
    buckets: publishSeconds,
  },
  message_delivery_duration_seconds: {
    type: "histogram",
    help: "Age of a message when it is handed to a consumer for the first time.",
    labels: ["tenant", "topic", "subscription"],
    buckets: deliverySeconds,
  },
  queue_depth: {
    type: "gauge",
    help: "Messages that a subscription has not acknowledged yet.",
    labels: ["tenant", "topic", "subscription"],
  },
  consumer_lag: {
    type: "gauge",
    help: "Messages that a subscription has not delivered yet.",
    labels: ["tenant", "topic", "subscription"],
  },

  registered_instances: {
    type: "gauge",
    help: "Instances that are registered. On each of several nodes, all of them.",
    labels: ["tenant", "service", "environment"],
  },
  config_streams: {
    type: "gauge",
    help: "Streams of instances that are open at this node.",
    labels: [],
  },
  config_reload_duration_seconds: {
    type: "histogram",
    help: "Time from telling instances of a version until one says that it runs it.",
    labels: ["tenant", "config"],
    buckets: reloadSeconds,
  },
  config_profiles: {
    type: "gauge",
    help: "Configurations that there are. On each of several nodes, all of them.",
    labels: ["tenant"],
  },
  config_versions_total: {
    type: "counter",
    help: "Versions of configurations that were made.",
    labels: ["tenant", "environment"],
  },

  gateway_requests_total: {
    type: "counter",
    help: "Requests that the gateway answered, by route and class of the answer's status.",
    labels: ["tenant", "route", "variant", "status_class"],
  },
  gateway_requests_failed_total: {
    type: "counter",
    help: "Requests that ended badly: answered by the gateway for a backend that failed, or not answered at all.",
    labels: ["tenant", "route", "variant"],
  },
  gateway_request_duration_seconds: {
    type: "histogram",
    help: "Time from a request's first byte to the last of its answer (http.server.request.duration of the gateway).",
    labels: ["tenant", "route", "variant"],
    buckets: requestSeconds,
  },
  gateway_backend_duration_seconds: {
    type: "histogram",
    help: "Time from the choice of a backend to the head of its answer (http.client.request.duration).",
    labels: ["tenant", "route", "variant"],
    buckets: requestSeconds,
  },
  gateway_active_requests: {
    type: "gauge",
    help: "Requests that the gateway is answering.",
    labels: ["tenant", "route", "variant"],
  },
  gateway_active_connections: {
    type: "gauge",
    help: "Connections of clients to the gateway.",
    labels: [],
  },
  gateway_tunnels: {
    type: "gauge",
    help: "WebSocket and other upgraded connections through the gateway.",
    labels: [],
  },
  gateway_circuit_breaker_state: {
    type: "gauge",
    help: "0 closed, 1 half-open, 2 open.",
    labels: ["tenant", "backend"],
  },
  gateway_backend_healthy: {
    type: "gauge",
    help: "1 when the backend is used: its checks pass and it is not left out for failures.",
    labels: ["tenant", "backend"],
  },
  gateway_backend_connections: {
    type: "gauge",
    help: "Connections of the gateway to the backend.",
    labels: ["tenant", "backend"],
  },
  gateway_retries_total: {
    type: "counter",
    help: "Further attempts, by what they were made for.",
    labels: ["reason"],
  },
  gateway_response_flags_total: {
    type: "counter",
    help: "Requests that ended other than well, by response flag.",
    labels: ["flag"],
  },
  gateway_requests_refused_total: {
    type: "counter",
    help: "Requests refused before a route was known, by reason.",
    labels: ["reason"],
  },
  gateway_access_log_dropped_total: {
    type: "counter",
    help: "Lines of the gateway's access log that could not be written: the disk is full, or too slow.",
    labels: [],
  },
  gateway_config_revision: {
    type: "gauge",
    help: "Snapshot that the gateway of this node serves by.",
    labels: [],
  },
  gateway_config_stale: {
    type: "gauge",
    help: "1 while SQL cannot be reached and the gateway serves by its last snapshot.",
    labels: [],
  },
  gateway_limits_alone: {
    type: "gauge",
    help: "1 while the shared store is away and each node of the gateway counts rate limits by itself.",
    labels: [],
  },
  deployments_started_total: {
    type: "counter",
    help: "Deployments that began to change their target, by the node that began them.",
    labels: ["kind", "strategy"],
  },
  deployments_completed_total: {
    type: "counter",
    help: "Deployments whose new version is in force for all.",
    labels: ["kind", "strategy"],
  },
  deployments_failed_total: {
    type: "counter",
    help: "Deployments that could not go on or back. There should be none.",
    labels: ["kind", "strategy"],
  },
  deployments_rolledback_total: {
    type: "counter",
    help: "Deployments that were taken back, by cause: judge, failures, timeout, smoke, group, superseded, manual.",
    labels: ["kind", "strategy", "cause"],
  },
  deployment_duration_seconds: {
    type: "histogram",
    help: "From the start of a deployment to its end.",
    labels: ["kind", "strategy", "status"],
    buckets: deploymentSeconds,
  },
  active_deployments: {
    type: "gauge",
    help: "Deployments that this node carries: running, held, and those that wait for their start.",
    labels: ["kind", "strategy"],
  },
  deployment_target_failures_total: {
    type: "counter",
    help: "Times that the target of a deployment, or what the engine needs for it, failed; it is tried again.",
    labels: ["kind"],
  },
  message_push_total: {
    type: "counter",
    help: "Requests to webhooks, by what came of them: ok, failed, gone.",
    labels: ["tenant", "topic", "subscription", "outcome"],
  },
  message_streams: {
    type: "gauge",
    help: "WebSocket streams that are open.",
    labels: [],
  },

  broker_node_up: {
    type: "gauge",
    help: "1 while the node's heartbeats arrive, 0 when it is suspect, dead or stopped.",
    labels: ["node"],
  },
  broker_node_healthy: {
    type: "gauge",
    help: "1 when there is nothing to complain of; see GET /api/v1/nodes.",
    labels: ["node"],
  },
  broker_node_queue_depth: {
    type: "gauge",
    help: "Messages not acknowledged yet, of the topics that the node serves.",
    labels: ["node"],
  },
  broker_node_topics: {
    type: "gauge",
    help: "Topics that the node serves.",
    labels: ["node"],
  },
  broker_node_consumers: {
    type: "gauge",
    help: "Requests that wait for messages at the node, and holders of some.",
    labels: ["node"],
  },
  broker_node_cpu_share: {
    type: "gauge",
    help: "Share of one CPU that the node used since the heartbeat before.",
    labels: ["node"],
  },
  broker_node_memory_bytes: {
    type: "gauge",
    help: "Memory of the node's process.",
    labels: ["node"],
  },

  health_check_up: {
    type: "gauge",
    help: "1 when the check passed the last time somebody asked, 0 when it did not.",
    labels: ["check"],
  },
  metrics_overflow_total: {
    type: "counter",
    help: "Label sets refused because a metric had as many as metrics.seriesMax allows.",
    labels: ["metric"],
  },
  metrics_collect_failures_total: {
    type: "counter",
    help: "Times that a part of HotSwap could not refresh its metrics for a scrape.",
    labels: [],
  },
} as const satisfies Record<string, MetricEntry>;

type Table = typeof metricTable;
export type MetricName = keyof Table;
type NameOf<Type extends MetricEntry["type"]> = {
  [Name in MetricName]: Table[Name]["type"] extends Type ? Name : never;
}[MetricName];
export type CounterName = NameOf<"counter">;
export type GaugeName = NameOf<"gauge">;
export type HistogramName = NameOf<"histogram">;

/** The labels of a metric with their values; all of them, in any order. */
export type LabelsOf<Name extends MetricName> = Record<Table[Name]["labels"][number], string>;
