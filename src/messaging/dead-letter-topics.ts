/**
 * The queue of a topic's dead letters, `{topic}.dlq`: made by itself when the first message is given up, so that
 * topics whose messages all succeed have none. It outlives its topic, as evidence, and is found again by one of
 * the same name.
 */
import { HotSwapError } from "../core/errors.ts";
import type { Tx } from "../stores/sql/port.ts";
import { deadLetterPolicy } from "./delivery/policy.ts";
import type { TopicSpec } from "./delivery/spec.ts";
import type { LiveTopic } from "./delivery/topic.ts";
import { insertSubscription } from "./subscriptions.sql.ts";
import type { MessagingTables } from "./tables.ts";
import { insertTopic } from "./topics.sql.ts";
import { deadLetterSuffix, type MessagingParts, queueSubscription, toSubscriptionSpec } from "./topics.ts";
import { toColumns, toSpec, withDefaults } from "./topics.values.ts";

export const deadLetterName = (topic: string): string => `${topic}${deadLetterSuffix}`;

export class DeadLetterTopics {
  readonly #parts: MessagingParts;
  /** Being made, by tenant and name: subscriptions of one topic may give up at the same moment. */
  readonly #making = new Map<string, Promise<LiveTopic>>();

  constructor(parts: MessagingParts) {
    this.#parts = parts;
  }

  find(of: Pick<TopicSpec, "tenant" | "name">): LiveTopic | undefined {
    return this.#parts.registry.find(of.tenant, deadLetterName(of.name));
  }

  /** Rejects when the database cannot be reached. */
  async open(of: TopicSpec): Promise<LiveTopic> {
    const known = this.find(of);
    if (known) return known;
    const key = `${of.tenant}\n${of.name}`;
    const making = this.#making.get(key) ?? this.#make(of).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #make(of: TopicSpec): Promise<LiveTopic> {
    const { sql, log, audit, clock, makeId, registry, ackDeadlineSeconds } = this.#parts;
    const { tenant } = of;
    const name = deadLetterName(of.name);
    const now = new Date(clock.now());
    const description = `What subscriptions of ${of.name} have given up.`;
    // As durable as the log can keep it, whatever the topic itself asks for.
    const values = withDefaults({ name, durability: log.durability, retentionSeconds: null, description });
    const columns = { ...toColumns(values), dead_letters_of: of.name };
    const { row, subscription } = await sql.tenant(tenant, async (tx: Tx<MessagingTables>) => {
      const row = await insertTopic(tx, tenant, columns, now);
      // Another server has made it; this one learns of it as of every topic.
      if (!row) throw new HotSwapError("store_unavailable", `${name} is not live here yet.`);
      await audit.record(tx, {
        principal: { subject: "system:messaging", tenant },
        action: "topic.create",
        resource: `topics/${name}`,
        requestId: makeId(),
        after: values,
      });
      const first = { id: makeId(), topic: name, name: queueSubscription, ackDeadlineSeconds };
      const policy = deadLetterPolicy;
      const subscription = await insertSubscription(tx, tenant, { ...first, policy, startOffsets: [] }, now);
      return { row, subscription: subscription! };
    });
    const topic = registry.add(toSpec(row));
    registry.addSubscription(topic, toSubscriptionSpec(subscription));
    return topic;
  }
}
