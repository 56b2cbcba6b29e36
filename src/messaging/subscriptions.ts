/** Subscriptions as people manage them. A queue has one, which comes and goes with it. */
import { HotSwapError } from "../core/errors.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Tx } from "../stores/sql/port.ts";
import { compileFilter, type Filter } from "./delivery/filter.ts";
import type { Where } from "./delivery/places.ts";
import { policyOf, type SubscriptionPolicy } from "./delivery/policy.ts";
import type { Strategy } from "./delivery/routing.ts";
import { scan } from "./delivery/scan.ts";
import { subscriptionPartitions } from "./delivery/topic.ts";
import { formatMessageId } from "./ids.ts";
import { invalid } from "./invalid.ts";
import * as rows from "./subscriptions.sql.ts";
import type { MessagingTables } from "./tables.ts";
import { addGarbage, lockTopic } from "./topics.sql.ts";
import { type MessagingParts, queueSubscription, toSubscriptionSpec } from "./topics.ts";

export interface SubscriptionSettings extends Omit<Partial<SubscriptionPolicy>, "filter"> {
  ackDeadlineSeconds?: number;
  /** Null takes it away. */
  filter?: Filter | null | undefined;
}

/** How many of the newest messages of each partition a new filter is tried on. */
const previewMax = 100;

export interface NewSubscription extends SubscriptionSettings {
  name: string;
  topic: string;
  from?: "earliest" | "latest";
}

/** Where a subscription is to go on; an offset is one of a partition, and the others stay. */
export interface SeekTarget {
  to?: "earliest" | "latest";
  /** RFC 3339. */
  time?: string;
  offset?: number;
  partition?: number;
}

type MessagingTx = Tx<MessagingTables>;

export class Subscriptions {
  readonly #parts: MessagingParts;

  constructor(parts: MessagingParts) {
    this.#parts = parts;
  }

  async create(actor: Actor, input: NewSubscription): Promise<rows.SubscriptionRow> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, makeId, registry, ackDeadlineSeconds: usual } = this.#parts;
    const { tenant } = principal;
    const { name, topic, ackDeadlineSeconds = usual, from = "latest", ...given } = input;
    refuseBackwards(given);
    const policy = checkedPolicy(given);
    const live = registry.topic(tenant, topic);
    const partitions = await live.partitions();
    // Taken before the commit: a message published in between is delivered, never missed.
    const startOffsets = partitions.map(({ start, end }) => (from === "latest" ? end : start));
    const work = async (tx: MessagingTx) => {
      const owner = await lockTopic(tx, tenant, topic);
      if (!owner)
        throw new HotSwapError("topic_not_found", `There is no topic named ${JSON.stringify(topic)}.`);
      if (owner.type === "queue") {
        throw new HotSwapError(
          "subscription_fixed",
          `The queue ${topic} has the subscription ${queueSubscription} only.`,
        );
      }
      refuseWithoutFilter(owner.strategy, policy);
      const values = { id: makeId(), topic, name, ackDeadlineSeconds, policy, startOffsets };
      const inserted = await rows.insertSubscription(tx, tenant, values, new Date(clock.now()));
      if (!inserted)
        throw new HotSwapError(
          "subscription_exists",
          `The topic ${topic} has a subscription ${name} already.`,
        );
      const resource = `topics/${topic}/subscriptions/${name}`;
      const after = { ackDeadlineSeconds, ...policy, from };
      await audit.record(tx, { principal, action: "subscription.create", resource, requestId, after });
      return inserted;
    };
    return change(sql, actor, work, (row) => registry.addSubscription(live, toSubscriptionSpec(row)));
  }

  /** Which of the newest messages a filter would let through. */
  async preview(tenant: string, topic: string, filter: Filter) {
    const live = this.#parts.registry.topic(tenant, topic);
    const compiled = compileFilter(filter);
    const messageIds: string[] = [];
    let looked = 0;
    for (const [partition, log] of (await live.partitions()).entries()) {
      for await (const records of scan(log, Math.max(log.start, log.end - previewMax), log.end)) {
        looked += records.length;
        const fitting = records.filter(({ body }) => compiled.mismatch(body) === undefined);
        for (const { offset } of fitting)
          messageIds.push(formatMessageId(live.spec.number, partition, offset));
      }
    }
    return { looked, matched: messageIds.length, messageIds: messageIds.slice(-previewMax) };
  }

  get(tenant: string, id: string): Promise<rows.SubscriptionRow> {
    return this.#parts.sql.tenant(tenant, async (tx: MessagingTx) =>
      found(await rows.selectSubscription(tx, tenant, id)),
    );
  }

  /** `check` sees the row under its lock and throws when the caller's precondition fails. */
  async update(
    actor: Actor,
    id: string,
    wanted: SubscriptionSettings,
    check: (row: rows.SubscriptionRow) => void,
  ): Promise<rows.SubscriptionRow> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, registry } = this.#parts;
    const { tenant } = principal;
    refuseBackwards(wanted);
    const work = async (tx: MessagingTx) => {
      const before = found(await rows.lockSubscription(tx, tenant, id));
      check(before);
      const owner = await lockTopic(tx, tenant, before.topic);
      const { ackDeadlineSeconds = before.ack_deadline_seconds, ...given } = wanted;
      const after = { ackDeadlineSeconds, policy: checkedPolicy({ ...before.policy, ...given }) };
      if (owner) refuseWithoutFilter(owner.strategy, after.policy);
      const row = await rows.updateSubscription(tx, tenant, id, after, new Date(clock.now()));
      const resource = `topics/${row.topic}/subscriptions/${row.name}`;
      const was = { ackDeadlineSeconds: before.ack_deadline_seconds, policy: before.policy };
      const action = "subscription.update";
      await audit.record(tx, { principal, action, resource, requestId, before: was, after });
      return row;
    };
    return change(sql, actor, work, (row) => {
      registry.find(tenant, row.topic)?.changeSubscription(toSubscriptionSpec(row));
    });
  }

  /**
   * Makes a subscription go on from another place; answers with the offset of each partition. In the audit before it
   * is done: what failed then is told to the caller.
   */
  async seek(actor: Actor, id: string, target: SeekTarget) {
    const { principal, requestId } = actor;
    const { sql, audit, registry } = this.#parts;
    const { tenant } = principal;
    const work = async (tx: MessagingTx) => {
      const row = found(await rows.selectSubscription(tx, tenant, id));
      const topic = registry.topic(tenant, row.topic);
      const live = await topic.subscription(row.name);
      if (!live) throw new HotSwapError("subscription_not_found", `${row.name} is being deleted.`);
      const before = live.floors().map(({ floor }) => floor);
      refuseUnclear(target, before.length);
      const offsets = await topic.placesOf((partition) => whereOf(target, partition, before[partition]));
      const resource = `topics/${row.topic}/subscriptions/${row.name}`;
      const after = { ...target, offsets };
      const action = "subscription.seek";
      await audit.record(tx, { principal, action, resource, requestId, before: { offsets: before }, after });
      return { row, live, offsets };
    };
    const { row, offsets } = await change(sql, actor, work, ({ live, offsets }) => live.seek(offsets));
    const partitions = offsets.map((offset, partition) => ({ partition, offset }));
    return { id, name: row.name, topic: row.topic, partitions };
  }

  list(tenant: string, filter: rows.SubscriptionFilter): Promise<rows.SubscriptionRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: MessagingTx) => rows.selectSubscriptions(tx, tenant, filter));
  }

  async delete(actor: Actor, id: string): Promise<void> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, registry, log } = this.#parts;
    const { tenant } = principal;
    const work = async (tx: MessagingTx) => {
      const row = found(await rows.selectSubscription(tx, tenant, id));
      const owner = await lockTopic(tx, tenant, row.topic);
      if (owner?.type === "queue") {
        throw new HotSwapError(
          "subscription_fixed",
          `The subscription of the queue ${row.topic} goes with the queue.`,
        );
      }
      await addGarbage(tx, tenant, subscriptionPartitions(Number(row.number)), new Date(clock.now()));
      await rows.deleteSubscription(tx, tenant, id);
      const resource = `topics/${row.topic}/subscriptions/${row.name}`;
      await audit.record(tx, { principal, action: "subscription.delete", resource, requestId });
      return row;
    };
    await change(sql, actor, work, async (row) => {
      const live = registry.find(tenant, row.topic);
      if (live) await registry.removeSubscription(live, row.name);
      // The note in the garbage stays until the next sweep; removing twice is harmless.
      for (const partition of subscriptionPartitions(Number(row.number))) await log.remove(partition);
    });
  }
}

function refuseBackwards({ backoff }: SubscriptionSettings): void {
  if (!backoff || !("baseMs" in backoff) || backoff.maxMs >= backoff.baseMs) return;
  throw invalid("/backoff/maxMs", "must not be below baseMs");
}

/** Throws `validation_failed` for a filter that cannot be compiled. */
function checkedPolicy({
  filter,
  ...given
}: Omit<SubscriptionSettings, "ackDeadlineSeconds">): SubscriptionPolicy {
  if (!filter) return policyOf(given);
  compileFilter(filter);
  return policyOf({ ...given, filter });
}

function refuseWithoutFilter(strategy: Strategy, { filter }: SubscriptionPolicy): void {
  if (strategy !== "content-based" || filter) return;
  const fields = [{ pointer: "/filter", message: "is needed: the topic is content-based" }];
  throw new HotSwapError("validation_failed", "Every subscription of a content-based topic has a filter.", {
    fields,
  });
}

function found(row: rows.SubscriptionRow | undefined): rows.SubscriptionRow {
  if (!row) throw new HotSwapError("subscription_not_found", "There is no subscription with this id.");
  return row;
}

function whereOf({ to, time, offset, partition }: SeekTarget, of: number, stay = 0): Where {
  if (to !== undefined) return to;
  if (time !== undefined) return { time: Date.parse(time) };
  return { offset: of === partition ? (offset ?? stay) : stay };
}

function refuseUnclear({ to, time, partition }: SeekTarget, count: number): void {
  const refuse = (pointer: string, message: string) => {
    throw new HotSwapError("validation_failed", `${pointer} ${message}.`, { fields: [{ pointer, message }] });
  };
  if (to !== undefined && time !== undefined) refuse("/time", "cannot stand beside to");
  if (partition === undefined) return;
  if (to !== undefined || time !== undefined) refuse("/partition", "cannot stand beside to or time");
  if (partition >= count) refuse("/partition", `must be below ${count}`);
}
