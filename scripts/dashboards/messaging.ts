/** The dashboard of messaging: how much goes through, how long it takes, what waits, and what goes wrong. */
import type { Dashboard, Query } from "./panels.ts";

const chosen = 'tenant=~"$tenant",topic=~"$topic"';
const rate = (metric: string) => `rate(${metric}{${chosen}}[$__rate_interval])`;
const perTopic = (metric: string) => `sum by (topic) (${rate(metric)})`;
const perSubscription = (metric: string) => `sum by (topic, subscription) (${rate(metric)})`;
const bySubscription = "{{topic}} · {{subscription}}";

const quantiles = (metric: string): Query[] =>
  [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (${rate(`${metric}_bucket`)}))`,
    legend: `p${quantile * 100}`,
  }));

export const messaging: Dashboard = {
  uid: "hotswap-messaging",
  title: "HotSwap · Messaging",
  tags: ["hotswap"],
  variables: [
    { label: "tenant", metric: "messages_published_total" },
    { label: "topic", metric: "messages_published_total" },
  ],
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Published",
          kind: "stat",
          unit: "ops",
          queries: [{ expr: `sum(${rate("messages_published_total")})` }],
        },
        {
          title: "Delivered",
          kind: "stat",
          unit: "ops",
          queries: [{ expr: `sum(${rate("messages_delivered_total")})` }],
        },
        {
          title: "Acknowledged",
          kind: "stat",
          unit: "ops",
          queries: [{ expr: `sum(${rate("messages_acked_total")})` }],
        },
        {
          title: "Not acknowledged",
          kind: "stat",
          unit: "short",
          queries: [{ expr: `sum(queue_depth{${chosen}})` }],
        },
        {
          title: "Delivered again",
          help: "Share of all deliveries. Consumers fail, die, or take longer than their ack deadline.",
          kind: "stat",
          unit: "percentunit",
          thresholds: [0.05, 0.2],
          queries: [
            {
              expr: `sum(${rate("messages_redelivered_total")}) / sum(${rate("messages_delivered_total")})`,
            },
          ],
        },
        {
          title: "Publish, p99",
          help: "Until a message is as durable as its topic asks for.",
          kind: "stat",
          unit: "s",
          thresholds: [0.1, 0.25],
          queries: quantiles("message_publish_duration_seconds").slice(2),
        },
      ],
    },
    {
      title: "Throughput",
      panels: [
        {
          title: "Published, by topic",
          unit: "ops",
          queries: [{ expr: perTopic("messages_published_total"), legend: "{{topic}}" }],
        },
        {
          title: "Delivered, by subscription",
          help: "Repeated deliveries included.",
          unit: "ops",
          queries: [{ expr: perSubscription("messages_delivered_total"), legend: bySubscription }],
        },
        {
          title: "Acknowledged, by subscription",
          unit: "ops",
          queries: [{ expr: perSubscription("messages_acked_total"), legend: bySubscription }],
        },
        {
          title: "Given back and delivered again",
          help: "Given back: the consumer said no (nack). Again: it said nothing within its ack deadline, or no.",
          unit: "ops",
          queries: [
            { expr: perSubscription("messages_failed_total"), legend: `${bySubscription} given back` },
            { expr: perSubscription("messages_redelivered_total"), legend: `${bySubscription} again` },
          ],
        },
      ],
    },
    {
      title: "Dead letters",
      panels: [
        {
          title: "Messages given up, by subscription",
          help: "Failed as often as allowed, or rejected. Each lies in the topic's dead-letter queue, with the reason.",
          unit: "ops",
          queries: [{ expr: perSubscription("messages_dead_lettered_total"), legend: bySubscription }],
        },
        {
          title: "Dead letters that wait, by queue",
          unit: "short",
          queries: [
            {
              expr: `sum by (topic) (queue_depth{tenant=~"$tenant",topic=~".*[.]dlq"})`,
              legend: "{{topic}}",
            },
          ],
        },
      ],
    },
    {
      title: "Latency",
      panels: [
        {
          title: "Publish",
          help: "From the request to the receipt. Grows with the disk's fdatasync.",
          unit: "s",
          queries: quantiles("message_publish_duration_seconds"),
        },
        {
          title: "Delivery",
          help: "Age of a message at its first delivery. Grows when consumers do not keep up.",
          unit: "s",
          queries: quantiles("message_delivery_duration_seconds"),
        },
      ],
    },
    {
      title: "What waits",
      panels: [
        {
          title: "Not acknowledged (depth), by subscription",
          unit: "short",
          queries: [
            { expr: `sum by (topic, subscription) (queue_depth{${chosen}})`, legend: bySubscription },
          ],
        },
        {
          title: "Not delivered yet (lag), by subscription",
          unit: "short",
          queries: [
            { expr: `sum by (topic, subscription) (consumer_lag{${chosen}})`, legend: bySubscription },
          ],
        },
        {
          title: "Subscriptions",
          kind: "table",
          unit: "short",
          queries: [
            { expr: `sum by (topic, subscription) (queue_depth{${chosen}})`, legend: "Not acknowledged" },
            { expr: `sum by (topic, subscription) (consumer_lag{${chosen}})`, legend: "Not delivered" },
            { expr: perSubscription("messages_delivered_total"), legend: "Delivered /s" },
            { expr: perSubscription("messages_acked_total"), legend: "Acknowledged /s" },
            { expr: perSubscription("messages_redelivered_total"), legend: "Again /s" },
          ],
        },
      ],
    },
    {
      title: "Nodes",
      panels: [
        {
          title: "Broker nodes",
          help: "Each node tells of all; the console says what there is to complain of.",
          kind: "stat",
          unit: "short",
          width: 12,
          words: { 0: "away or not well", 1: "well" },
          queries: [
            {
              expr: "min by (node) (broker_node_healthy) * max by (node) (broker_node_up)",
              legend: "{{node}}",
            },
          ],
        },
        {
          title: "Consumers, by node",
          kind: "stat",
          unit: "short",
          width: 12,
          queries: [{ expr: "max by (node) (broker_node_consumers)", legend: "{{node}}" }],
        },
        {
          title: "What waits, by node",
          unit: "short",
          queries: [{ expr: "max by (node) (broker_node_queue_depth)", legend: "{{node}}" }],
        },
        {
          title: "Topics served, by node",
          unit: "short",
          queries: [{ expr: "max by (node) (broker_node_topics)", legend: "{{node}}" }],
        },
        {
          title: "Processor, of one core, by node",
          unit: "percentunit",
          queries: [{ expr: "max by (node) (broker_node_cpu_share)", legend: "{{node}}" }],
        },
        {
          title: "Memory, by node",
          unit: "bytes",
          queries: [{ expr: "max by (node) (broker_node_memory_bytes)", legend: "{{node}}" }],
        },
      ],
    },
  ],
};
