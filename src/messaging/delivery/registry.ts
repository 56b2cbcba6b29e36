/** All live topics of this process, by tenant and name and by number. What the hot path looks things up in. */
import { HotSwapError } from "../../core/errors.ts";
import type { TopicSpec } from "./spec.ts";
import type { LiveSubscription } from "./subscription.ts";
import { LiveTopic, type SubscriptionSpec, type TopicParts } from "./topic.ts";

export class Registry {
  readonly #byName = new Map<string, LiveTopic>();
  readonly #byNumber = new Map<number, LiveTopic>();
  readonly #bySubscription = new Map<number, { topic: LiveTopic; name: string }>();
  readonly #bySubscriptionId = new Map<string, LiveTopic>();
  readonly #parts: TopicParts;
  /** Who may serve which topic; undefined on a single node. To be set before the first topic. */
  serving: TopicParts["serving"];

  constructor(parts: TopicParts) {
    this.#parts = parts;
    parts.metrics.watch(() => this.openSubscriptions());
    parts.metrics.watchWaiting(() => this.all());
    parts.metrics.watchTopics(() => this.all());
  }

  /** Gives the topic that is there already when it is the same one: it may be known from another node's change. */
  add(spec: TopicSpec): LiveTopic {
    const known = this.#byNumber.get(spec.number);
    if (known) return known;
    const topic = new LiveTopic(spec, this.serving ? { ...this.#parts, serving: this.serving } : this.#parts);
    this.#byName.set(nameKey(spec.tenant, spec.name), topic);
    this.#byNumber.set(spec.number, topic);
    return topic;
  }

  async remove(topic: LiveTopic): Promise<void> {
    const key = nameKey(topic.spec.tenant, topic.spec.name);
    if (this.#byName.get(key) === topic) this.#byName.delete(key); // else the name is another topic's by now
    this.#byNumber.delete(topic.spec.number);
    for (const { number, id } of topic.subscriptions) {
      this.#bySubscription.delete(number);
      this.#bySubscriptionId.delete(id);
    }
    await topic.close(topicNotFound(topic.spec.name));
    this.#parts.metrics.forgetTopic(topic.spec);
  }

  find(tenant: string, name: string): LiveTopic | undefined {
    return this.#byName.get(nameKey(tenant, name));
  }

  /** Throws `topic_not_found`. */
  topic(tenant: string, name: string): LiveTopic {
    const topic = this.find(tenant, name);
    if (!topic) throw topicNotFound(name);
    return topic;
  }

  /** The topic of a message id; undefined also when it belongs to another tenant, which must look the same. */
  byNumber(tenant: string, number: number): LiveTopic | undefined {
    const topic = this.#byNumber.get(number);
    return topic?.spec.tenant === tenant ? topic : undefined;
  }

  /** The topic that a partition of the log belongs to, be it of messages or of a journal. */
  byPartition(name: string): LiveTopic | undefined {
    const [, kind, digits] = /^([a-z])(\d+)/.exec(name) ?? [];
    const number = Number(digits);
    return kind === "s" ? this.#bySubscription.get(number)?.topic : this.#byNumber.get(number);
  }

  /** The subscription of a receipt; undefined also when it belongs to another tenant. */
  bySubscription(tenant: string, number: number): { topic: LiveTopic; name: string } | undefined {
    const owner = this.#bySubscription.get(number);
    return owner?.topic.spec.tenant === tenant ? owner : undefined;
  }

  /** The topic of a subscription's id; undefined also when it belongs to another tenant. */
  bySubscriptionId(tenant: string, id: string): LiveTopic | undefined {
    const topic = this.#bySubscriptionId.get(id);
    return topic?.spec.tenant === tenant ? topic : undefined;
  }

  addSubscription(topic: LiveTopic, spec: SubscriptionSpec): void {
    topic.addSubscription(spec);
    this.#bySubscription.set(spec.number, { topic, name: spec.name });
    this.#bySubscriptionId.set(spec.id, topic);
  }

  async removeSubscription(topic: LiveTopic, name: string): Promise<void> {
    const spec = topic.subscriptions.find((candidate) => candidate.name === name);
    if (spec) {
      this.#bySubscription.delete(spec.number);
      this.#bySubscriptionId.delete(spec.id);
    }
    await topic.removeSubscription(name, subscriptionNotFound(topic.spec.name, name));
    this.#parts.metrics.forgetSubscription(topic.spec, name);
  }

  /** Throws `topic_not_found` or `subscription_not_found`. */
  async subscription(tenant: string, topicName: string, name: string): Promise<LiveSubscription> {
    const live = await this.topic(tenant, topicName).subscription(name);
    if (live) return live;
    throw subscriptionNotFound(topicName, name);
  }

  all(): Iterable<LiveTopic> {
    return this.#byName.values();
  }

  *openSubscriptions(): Generator<{ topic: TopicSpec; name: string; live: LiveSubscription }> {
    for (const topic of this.#byName.values()) {
      for (const { name, live } of topic.openSubscriptions()) yield { topic: topic.spec, name, live };
    }
  }

  async close(): Promise<void> {
    for (const topic of this.#byName.values()) await topic.close();
  }
}

/** A tenant cannot contain a line feed, so no pair of tenant and name can pass for another. */
const nameKey = (tenant: string, name: string) => `${tenant}\n${name}`;

function topicNotFound(name: string): HotSwapError {
  return new HotSwapError("topic_not_found", `There is no topic named ${JSON.stringify(name)}.`);
}

function subscriptionNotFound(topic: string, name: string): HotSwapError {
  const detail = `The topic ${JSON.stringify(topic)} has no subscription named ${JSON.stringify(name)}.`;
  return new HotSwapError("subscription_not_found", detail);
}
