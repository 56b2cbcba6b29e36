/**
 * The numbers of messaging for /metrics. Handles are bound once per topic and subscription, and counted once
 * per call rather than per message; depths are read when somebody scrapes.
 */
import type { Counter, Histogram, Metrics } from "../platform/telemetry/index.ts";

export interface TopicMeter {
  published: Counter;
  deduplicated: Counter;
  scheduled: Counter;
  publishSeconds: Histogram;
}

export interface SubscriptionMeter {
  delivered: Counter;
  acked: Counter;
  redelivered: Counter;
  failed: Counter;
  deadLettered: Counter;
  /** Observed for the oldest first delivery of each receive, so that a batch costs one observation. */
  deliverySeconds: Histogram;
}

/** What a topic's meters are named by; names are unique within a tenant. */
export interface MeteredTopic {
  tenant: string;
  name: string;
}

export interface MeteredSubscription {
  topic: MeteredTopic;
  name: string;
  live: { readonly state: { depth: number; inFlight: number } };
}

export class MessagingMetrics {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  topic({ tenant, name }: MeteredTopic): TopicMeter {
    const labels = { tenant, topic: name };
    return {
      published: this.#metrics.counter("messages_published_total").labels(labels),
      deduplicated: this.#metrics.counter("messages_deduplicated_total").labels(labels),
      scheduled: this.#metrics.counter("messages_scheduled_total").labels(labels),
      publishSeconds: this.#metrics.histogram("message_publish_duration_seconds").labels(labels),
    };
  }

  subscription({ tenant, name }: MeteredTopic, subscription: string): SubscriptionMeter {
    const labels = { tenant, topic: name, subscription };
    return {
      delivered: this.#metrics.counter("messages_delivered_total").labels(labels),
      acked: this.#metrics.counter("messages_acked_total").labels(labels),
      redelivered: this.#metrics.counter("messages_redelivered_total").labels(labels),
      failed: this.#metrics.counter("messages_failed_total").labels(labels),
      deadLettered: this.#metrics.counter("messages_dead_lettered_total").labels(labels),
      deliverySeconds: this.#metrics.histogram("message_delivery_duration_seconds").labels(labels),
    };
  }

  forgetTopic({ tenant, name }: MeteredTopic): void {
    this.#metrics.forget({ tenant, topic: name });
  }

  forgetSubscription({ tenant, name }: MeteredTopic, subscription: string): void {
    this.#metrics.forget({ tenant, topic: name, subscription });
  }

  pushes({ tenant, name }: MeteredTopic, subscription: string): (outcome: string) => void {
    const family = this.#metrics.counter("message_push_total");
    return (outcome) => family.labels({ tenant, topic: name, subscription, outcome }).inc(1);
  }

  countStreams(open: number): void {
    this.#metrics.gauge("message_streams").labels({}).set(open);
  }

  /** How many topics a tenant has, at each scrape; 0 for one that has given up its last. */
  watchTopics(topics: () => Iterable<{ spec: MeteredTopic }>): void {
    const gauge = this.#metrics.gauge("message_topics");
    const counts = new Map<string, number>();
    this.#metrics.onCollect(() => {
      for (const tenant of counts.keys()) counts.set(tenant, 0);
      for (const { spec } of topics()) counts.set(spec.tenant, (counts.get(spec.tenant) ?? 0) + 1);
      for (const [tenant, count] of counts) gauge.labels({ tenant }).set(count);
    });
  }

  /** What waits for its time, at each scrape. */
  watchWaiting(topics: () => Iterable<{ spec: MeteredTopic; waiting: number | undefined }>): void {
    const gauge = this.#metrics.gauge("messages_scheduled_waiting");
    this.#metrics.onCollect(() => {
      for (const { spec, waiting } of topics()) {
        if (waiting !== undefined) gauge.labels({ tenant: spec.tenant, topic: spec.name }).set(waiting);
      }
    });
  }

  /** Depth and lag of every open subscription, at each scrape. */
  watch(openSubscriptions: () => Iterable<MeteredSubscription>): void {
    const depth = this.#metrics.gauge("queue_depth");
    const lag = this.#metrics.gauge("consumer_lag");
    this.#metrics.onCollect(() => {
      for (const { topic, name, live } of openSubscriptions()) {
        const labels = { tenant: topic.tenant, topic: topic.name, subscription: name };
        const { depth: waiting, inFlight } = live.state;
        depth.labels(labels).set(waiting);
        lag.labels(labels).set(waiting - inFlight);
      }
    });
  }
}
