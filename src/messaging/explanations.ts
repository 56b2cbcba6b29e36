/** Explanations as the API gives them: of a subscription, and of one message for one subscription. */
import { HotSwapError } from "../core/errors.ts";
import type { Sql, Tx } from "../stores/sql/port.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { type Consumer, consumerGraceMs } from "./delivery/consumers.ts";
import { explainMessage, explainSubscription } from "./delivery/explain.ts";
import type { Registry } from "./delivery/registry.ts";
import { parseMessageId } from "./ids.ts";
import { selectPush } from "./push/push.sql.ts";
import { selectSubscription } from "./subscriptions.sql.ts";
import type { MessagingTables } from "./tables.ts";
import { queueSubscription } from "./topics.ts";

export class Explanations {
  readonly #sql: Sql;
  readonly #registry: Registry;
  readonly #deadLetters: DeadLetters;

  constructor(sql: Sql, registry: Registry, deadLetters: DeadLetters) {
    this.#sql = sql;
    this.#registry = registry;
    this.#deadLetters = deadLetters;
  }

  /** Throws `subscription_not_found`. */
  async subscription(tenant: string, id: string) {
    const { row, push } = await this.#sql.tenant(tenant, async (tx: Tx<MessagingTables>) => ({
      row: await selectSubscription(tx, tenant, id),
      push: await selectPush(tx, tenant, id),
    }));
    if (!row) throw new HotSwapError("subscription_not_found", "There is no subscription with this id.");
    const live = await this.#registry.subscription(tenant, row.topic, row.name);
    const { view, state } = live;
    const active = view.routing.strategy === "direct" ? view.consumers.active() : undefined;
    const now = view.clock.monotonic();
    const consumers = view.consumers.all.map((consumer) => ({
      name: consumer.name,
      via: consumer.via,
      state: stateOf(consumer, active, now),
      priority: consumer.priority,
      inFlight: consumer.inFlight,
      waiting: consumer.waiting,
      delivered: consumer.delivered,
      acked: consumer.acked,
      lastSeen: new Date(consumer.lastSeen).toISOString(),
    }));
    return {
      subscription: row.name,
      topic: row.topic,
      ...state,
      reasons: explainSubscription(view),
      consumers,
      push: push ? { status: push.pace.status, reason: push.pace.reason } : null,
    };
  }

  /** Throws `message_not_found`, `subscription_not_found`. */
  async message(tenant: string, messageId: string, subscription = queueSubscription) {
    const { topic: number, partition, offset } = parseMessageId(messageId);
    const topic = this.#registry.byNumber(tenant, number);
    if (!topic) throw new HotSwapError("message_not_found", `There is no message ${messageId}.`);
    const { name } = topic.spec;
    const live = await this.#registry.subscription(tenant, name, subscription);
    const found = await explainMessage(live.view, partition, offset, live.number);
    if (!found) throw new HotSwapError("message_not_found", `There is no message ${messageId}.`);
    const common = { messageId, topic: name, subscription };
    // What has expired may have been passed over, or given up.
    if (!["done", "parked", "expired"].includes(found.state)) return { ...common, ...found };
    const letter = await this.#deadLetterOf(tenant, name, subscription, messageId);
    if (letter === undefined) return { ...common, ...found };
    const deadLetter = letter.messageId;
    if (found.state === "parked") return { ...common, ...found, deadLetter };
    const detail = `It was given up, and waits as ${deadLetter} in the dead-letter queue.`;
    const { attempts, reason: lastReason } = letter.origin;
    return { ...common, ...found, state: "dead-lettered", detail, attempts, lastReason, deadLetter };
  }

  async #deadLetterOf(tenant: string, topic: string, subscription: string, messageId: string) {
    const queue = await this.#deadLetters.queueOf(tenant, topic);
    if (!queue) return undefined;
    const selection = { messageIds: [messageId], subscription };
    for await (const letter of this.#deadLetters.select(queue, selection, 0, queue.log.end)) return letter;
    return undefined;
  }
}

function stateOf(consumer: Consumer, active: Consumer | undefined, now: number) {
  if (consumer.hasLeft && consumer.thereUntil <= now) return "gone";
  if (consumer.expired > 0 && now < consumer.seenAt + consumerGraceMs + 300_000) return "stalled";
  if (consumer.thereUntil <= now) return "gone";
  return active === undefined || active === consumer ? "active" : "standby";
}
