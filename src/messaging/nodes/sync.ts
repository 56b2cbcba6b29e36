/**
 * Makes live here what other nodes have changed in SQL. The rows are the truth and are read again whenever one may
 * have changed; what is live already stays as it is.
 */
import type { Sql, Tx } from "../../stores/sql/port.ts";
import type { Registry } from "../delivery/registry.ts";
import type { LiveTopic } from "../delivery/topic.ts";
import type { SubscriptionRow } from "../subscriptions.sql.ts";
import { selectSubscriptions } from "../subscriptions.sql.ts";
import type { MessagingTables } from "../tables.ts";
import { selectTopic, type TopicRow } from "../topics.sql.ts";
import { toSubscriptionSpec } from "../topics.ts";
import { toSpec } from "../topics.values.ts";

export interface TopicName {
  tenant: string;
  name: string;
}

const subscriptionsMax = 100_000;

export class Sync {
  readonly #sql: Sql;
  readonly #registry: Registry;

  constructor(sql: Sql, registry: Registry) {
    this.#sql = sql;
    this.#registry = registry;
  }

  async apply(topics: readonly TopicName[]): Promise<void> {
    for (const topic of topics) await this.#apply(topic);
  }

  async #apply({ tenant, name }: TopicName): Promise<void> {
    const { row, subscriptions } = await this.#sql.tenant(tenant, async (tx: Tx<MessagingTables>) => ({
      row: await selectTopic(tx, tenant, name),
      subscriptions: await selectSubscriptions(tx, tenant, {
        topic: name,
        after: undefined,
        limit: subscriptionsMax,
      }),
    }));
    const known = this.#registry.find(tenant, name);
    if (known && known.spec.number !== Number(row?.number)) await this.#registry.remove(known);
    if (row) await this.#show(row, subscriptions);
  }

  async #show(row: TopicRow, subscriptions: readonly SubscriptionRow[]): Promise<void> {
    const spec = toSpec(row);
    const topic = this.#registry.add(spec);
    if (spec.version > topic.spec.version) await topic.grow(spec);
    await this.#removeOthers(topic, subscriptions);
    for (const subscription of subscriptions) {
      this.#registry.addSubscription(topic, toSubscriptionSpec(subscription));
    }
  }

  async #removeOthers(topic: LiveTopic, subscriptions: readonly SubscriptionRow[]): Promise<void> {
    const wanted = new Set(subscriptions.map(({ number }) => Number(number)));
    for (const { name, number } of topic.subscriptions) {
      if (!wanted.has(number)) await this.#registry.removeSubscription(topic, name);
    }
  }
}
