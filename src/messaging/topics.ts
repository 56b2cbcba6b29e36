/**
 * Topics as people manage them: rows in SQL, changed in one transaction with their audit entry, and then made
 * live. The order is always SQL first: what is not committed is never live, and what is committed becomes
 * live again at the next start whatever happens in between.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import { type Durability, keeps, type LogStore } from "../stores/log/port.ts";
import type { Sql, Tx } from "../stores/sql/port.ts";
import { delayLogName } from "./delivery/delay-log.ts";
import { policyOf, usualPolicy } from "./delivery/policy.ts";
import type { Registry } from "./delivery/registry.ts";
import { partitionName, subscriptionPartitions } from "./delivery/topic.ts";
import { insertSubscription, type SubscriptionRow, selectSubscriptions } from "./subscriptions.sql.ts";
import type { MessagingTables } from "./tables.ts";
import type { TopicSchemas } from "./topic-schemas.ts";
import * as rows from "./topics.sql.ts";
import {
  type NewTopic,
  type TopicValues,
  toColumns,
  toSpec,
  toValues,
  wholeSchema,
  withDefaults,
} from "./topics.values.ts";

export interface MessagingParts {
  sql: Sql;
  log: LogStore;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  registry: Registry;
  topicSchemas: Pick<TopicSchemas, "refuseUnknown">;
  ackDeadlineSeconds: number;
  partitionsMax: number;
  onError: (error: unknown) => void;
}

type MessagingTx = Tx<MessagingTables>;

const priorityPartitionsMax = 25;

/** Of the queue for a topic's dead letters. */
export const deadLetterSuffix = ".dlq";

/** A queue's only subscription. */
export const queueSubscription = "default";

export class Topics {
  readonly #parts: MessagingParts;

  constructor(parts: MessagingParts) {
    this.#parts = parts;
  }

  /** Makes everything live that SQL knows, and finishes deletions that were cut short. */
  async load(): Promise<void> {
    const { sql, registry } = this.#parts;
    const { topics, subscriptions } = await sql.system(async (tx: MessagingTx) => ({
      topics: await tx.selectFrom("messaging_topics").selectAll().execute(),
      subscriptions: await tx.selectFrom("messaging_subscriptions").selectAll().execute(),
    }));
    this.#refuseWeakLog(topics);
    for (const row of topics) registry.add(toSpec(row));
    for (const row of subscriptions) {
      registry.addSubscription(registry.topic(row.tenant_id, row.topic), toSubscriptionSpec(row));
    }
    await this.#collectGarbage();
    if (!this.#parts.log.shared) await this.#openDelays(); // else whoever serves the topic does
  }

  /** Topics in which messages wait must be awake; that one cannot be read stops only its own. */
  async #openDelays(): Promise<void> {
    const { log, registry, onError } = this.#parts;
    const names = new Set(await log.list());
    for (const topic of registry.all()) {
      if (!names.has(delayLogName(topic.spec.number))) continue;
      topic.hasDelays = true;
      topic.delays().catch(onError);
    }
  }

  async create(actor: Actor, input: NewTopic): Promise<rows.TopicRow> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, makeId, registry, ackDeadlineSeconds } = this.#parts;
    const { tenant } = principal;
    this.#refuseTooMany(input.partitions);
    refuseReserved(input.name);
    const values = withDefaults(input);
    refuseMisrouted(values);
    const { name, type } = values;
    this.#refuseUnkept(values.durability);
    if (values.schema) await this.#parts.topicSchemas.refuseUnknown(tenant, values.schema);
    const now = new Date(clock.now());
    const work = async (tx: MessagingTx) => {
      const row = await rows.insertTopic(tx, tenant, toColumns(values), now);
      if (!row)
        throw new HotSwapError("topic_exists", `There is a topic named ${JSON.stringify(name)} already.`);
      await audit.record(tx, {
        principal,
        action: "topic.create",
        resource: `topics/${name}`,
        requestId,
        after: values,
      });
      if (type === "pubsub") return { row, subscription: undefined };
      const first = {
        id: makeId(),
        topic: name,
        name: queueSubscription,
        ackDeadlineSeconds,
        policy: usualPolicy,
        startOffsets: [],
      };
      return { row, subscription: await insertSubscription(tx, tenant, first, now) };
    };
    const { row } = await change(sql, actor, work, ({ row, subscription }) => {
      const topic = registry.add(toSpec(row));
      if (subscription) registry.addSubscription(topic, toSubscriptionSpec(subscription));
    });
    return row;
  }

  /** Throws `topic_not_found`. */
  get(tenant: string, name: string): Promise<rows.TopicRow> {
    return this.#parts.sql.tenant(tenant, async (tx: MessagingTx) =>
      found(await rows.selectTopic(tx, tenant, name), name),
    );
  }

  list(tenant: string, after: string | undefined, limit: number): Promise<rows.TopicRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: MessagingTx) => rows.selectTopics(tx, tenant, after, limit));
  }

  /** `check` sees the row under its lock and throws when the caller's precondition fails. */
  async update(
    actor: Actor,
    name: string,
    wanted: Partial<NewTopic>,
    check: (row: rows.TopicRow) => void,
  ): Promise<rows.TopicRow> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, registry } = this.#parts;
    const { tenant } = principal;
    this.#refuseTooMany(wanted.partitions);
    if (wanted.durability) this.#refuseUnkept(wanted.durability);
    const schema = wholeSchema(wanted.schema);
    if (schema) await this.#parts.topicSchemas.refuseUnknown(tenant, schema);
    const work = async (tx: MessagingTx) => {
      const before = found(await rows.lockTopic(tx, tenant, name), name);
      check(before);
      refuseFixed(before, wanted);
      const kept = toValues(before);
      const after = { ...kept, ...wanted, schema: wanted.schema === undefined ? kept.schema : schema };
      refuseMisrouted(after);
      // The topic is locked, and no subscription comes in between.
      if (after.strategy === "content-based" && before.strategy !== after.strategy)
        refuseUnfiltered(
          await selectSubscriptions(tx, tenant, { topic: name, after: undefined, limit: 100_000 }),
        );
      const row = await rows.updateTopic(tx, tenant, name, toColumns(after), new Date(clock.now()));
      const resource = `topics/${name}`;
      await audit.record(tx, {
        principal,
        action: "topic.update",
        resource,
        requestId,
        before: toValues(before),
        after,
      });
      return row;
    };
    return change(sql, actor, work, (row) => registry.topic(tenant, name).grow(toSpec(row)));
  }

  async delete(actor: Actor, name: string): Promise<void> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, registry } = this.#parts;
    const { tenant } = principal;
    const work = async (tx: MessagingTx) => {
      const row = found(await rows.lockTopic(tx, tenant, name), name);
      const filter = { topic: name, after: undefined, limit: 100_000 };
      const subscriptions = await selectSubscriptions(tx, tenant, filter);
      const garbage = [
        ...partitionsOf(row),
        delayLogName(Number(row.number)),
        ...subscriptions.flatMap(({ number }) => subscriptionPartitions(Number(number))),
      ];
      await rows.deleteTopic(tx, tenant, name, garbage, new Date(clock.now()));
      const before = toValues(row);
      await audit.record(tx, {
        principal,
        action: "topic.delete",
        resource: `topics/${name}`,
        requestId,
        before,
      });
      return Number(row.number);
    };
    await change(sql, actor, work, async (number) => {
      // By number: another of this name may have been made since the commit.
      const topic = registry.byNumber(tenant, number);
      if (topic) await registry.remove(topic);
      await this.#collectGarbage();
    });
  }

  /** Numbers for people: what is stored, and how far each subscription is. */
  async stats(tenant: string, name: string) {
    const row = await this.get(tenant, name);
    const topic = this.#parts.registry.topic(tenant, row.name);
    const partitions = (await topic.partitions()).map(({ start, end, bytes }, partition) => ({
      partition,
      start,
      end,
      bytes,
    }));
    const sum = (of: (part: (typeof partitions)[number]) => number) =>
      partitions.reduce((total, part) => total + of(part), 0);
    return {
      name,
      messages: sum(({ start, end }) => end - start),
      bytes: sum(({ bytes }) => bytes),
      publishedTotal: topic.publishedTotal,
      partitions,
      subscriptions: await Promise.all(topic.subscriptions.map((spec) => topic.subscriptionStats(spec))),
    };
  }

  #refuseTooMany(partitions: number | undefined): void {
    const { partitionsMax } = this.#parts;
    if (partitions === undefined || partitions <= partitionsMax) return;
    const fields = [{ pointer: "/partitions", message: `must be <= ${partitionsMax}` }];
    throw new HotSwapError("validation_failed", `A topic may have ${partitionsMax} partitions here.`, {
      fields,
    });
  }

  #refuseUnkept(durability: Durability): void {
    const { durability: kept } = this.#parts.log;
    if (keeps(kept, durability)) return;
    const fields = [{ pointer: "/durability", message: `the message log keeps ${kept} at most` }];
    throw new HotSwapError("durability_unavailable", `The message log does not keep ${durability}.`, {
      fields,
    });
  }

  /** A log that was replaced by one that keeps less must not go on as if nothing had changed. */
  #refuseWeakLog(topics: readonly rows.TopicRow[]): void {
    const { durability: kept } = this.#parts.log;
    const broken = topics.filter(({ durability }) => !keeps(kept, durability));
    if (broken.length === 0) return;
    const [first] = broken;
    const detail =
      `The message log keeps ${kept} at most, and ${broken.length} topics ask for more, such as ` +
      `${first?.name}: ${first?.durability}. Set HOTSWAP_LOG_DURABILITY to what they ask for.`;
    throw new HotSwapError("setting_invalid", detail);
  }

  /** Deletes from the log what SQL has given up. Done again at every start until it succeeds. */
  async #collectGarbage(): Promise<void> {
    const { sql, log } = this.#parts;
    const garbage = await sql.system((tx: MessagingTx) => rows.selectGarbage(tx));
    for (const { tenant_id, partition } of garbage) {
      await log.remove(partition);
      await sql.system((tx: MessagingTx) => rows.removeGarbage(tx, tenant_id, partition));
    }
  }
}

/** The names of dead-letter queues, and what would leave no room for one. */
function refuseReserved(name: string): void {
  const longest = 128 - deadLetterSuffix.length;
  if (!name.endsWith(deadLetterSuffix) && name.length <= longest) return;
  const message = `must not end in ${deadLetterSuffix}, and have ${longest} characters at most`;
  throw new HotSwapError("validation_failed", `HotSwap makes ${deadLetterSuffix} topics by itself.`, {
    fields: [{ pointer: "/name", message }],
  });
}

function found(row: rows.TopicRow | undefined, name: string): rows.TopicRow {
  if (!row) throw new HotSwapError("topic_not_found", `There is no topic named ${JSON.stringify(name)}.`);
  return row;
}

function refuseFixed(before: rows.TopicRow, change: Partial<NewTopic>): void {
  const refuse = (pointer: string, message: string) => {
    throw new HotSwapError("topic_change_refused", `${pointer} ${message}.`, {
      fields: [{ pointer, message }],
    });
  };
  if (change.name !== undefined && change.name !== before.name) refuse("/name", "cannot change");
  if (change.type !== undefined && change.type !== before.type) refuse("/type", "cannot change");
  const { strategy } = change;
  if (strategy !== undefined && (strategy === "priority") !== (before.strategy === "priority")) {
    refuse("/strategy", "cannot change to or from priority: messages lie in other partitions");
  }
  if (change.partitions !== undefined && change.partitions < before.partitions) {
    refuse("/partitions", `cannot shrink below ${before.partitions}: keys and offsets live in them`);
  }
}

/** The strategies that a type of topic can have. */
function refuseUnfiltered(subscriptions: readonly SubscriptionRow[]): void {
  const without = subscriptions.filter(({ policy }) => !policy.filter).map(({ name }) => name);
  if (without.length === 0) return;
  const message = `cannot be content-based while a subscription has no filter: ${without.slice(0, 10).join(", ")}`;
  const fields = [{ pointer: "/strategy", message }];
  throw new HotSwapError("topic_change_refused", `/strategy ${message}.`, { fields });
}

function refuseMisrouted({ type, strategy, partitions }: TopicValues): void {
  const forSubscriptions = strategy === "fan-out" || strategy === "content-based";
  if (strategy === "load-balanced" ? type === "pubsub" : forSubscriptions && type === "queue") {
    const fields = [{ pointer: "/strategy", message: `cannot be ${strategy} for a ${type}` }];
    throw new HotSwapError("validation_failed", `A ${type} cannot be ${strategy}.`, { fields });
  }
  if (strategy !== "priority" || partitions <= priorityPartitionsMax) return;
  const message = `must be <= ${priorityPartitionsMax} with priorities, as each is ten in the log`;
  throw new HotSwapError("validation_failed", `/partitions ${message}.`, {
    fields: [{ pointer: "/partitions", message }],
  });
}

export function toSubscriptionSpec(row: SubscriptionRow) {
  return {
    id: row.id,
    name: row.name,
    number: Number(row.number),
    ackDeadlineSeconds: row.ack_deadline_seconds,
    policy: policyOf(row.policy),
    startOffsets: row.start_offsets,
  };
}

function partitionsOf(row: rows.TopicRow): string[] {
  return Array.from({ length: toSpec(row).partitions }, (_, partition) =>
    partitionName(Number(row.number), partition),
  );
}
