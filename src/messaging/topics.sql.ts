/** Rows of topics. Each function runs inside the caller's transaction, which knows its tenant. */
import { type Selectable, sql } from "kysely";
import type { Durability } from "../stores/log/port.ts";
import type { Tx } from "../stores/sql/port.ts";
import type { Balancing, Strategy } from "./delivery/routing.ts";
import type { MessagingTables, TopicsTable, TopicType } from "./tables.ts";

export type TopicRow = Selectable<TopicsTable>;
type MessagingTx = Tx<MessagingTables>;

/** What is given at creation. */
export interface TopicColumns {
  name: string;
  type: TopicType;
  partitions: number;
  durability: Durability;
  description: string;
  dedup_window_seconds: number;
  message_ttl_seconds: number | null;
  retention_seconds: number | null;
  retention_bytes: number | null;
  retain: "unacknowledged" | "limits";
  schema_subject: string | null;
  schema_version: number | null;
  schema_enforcement: "strict" | "warn";
  strategy: Strategy;
  balancing: Balancing;
  dead_letters_of?: string;
}

/** Undefined when the name is taken. */
export function insertTopic(tx: MessagingTx, tenant: string, values: TopicColumns, now: Date) {
  return tx
    .insertInto("messaging_topics")
    .values({ ...values, tenant_id: tenant, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.columns(["tenant_id", "name"]).doNothing())
    .returningAll()
    .executeTakeFirst();
}

export function selectTopic(tx: MessagingTx, tenant: string, name: string) {
  return tx
    .selectFrom("messaging_topics")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .executeTakeFirst();
}

/** As `selectTopic`, and nobody else changes the row before this transaction ends. */
export function lockTopic(tx: MessagingTx, tenant: string, name: string) {
  return tx
    .selectFrom("messaging_topics")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .forUpdate()
    .executeTakeFirst();
}

export function selectTopics(tx: MessagingTx, tenant: string, after: string | undefined, limit: number) {
  let query = tx.selectFrom("messaging_topics").selectAll().where("tenant_id", "=", tenant);
  if (after !== undefined) query = query.where("name", ">", after);
  return query.orderBy("name").limit(limit).execute();
}

export function updateTopic(tx: MessagingTx, tenant: string, name: string, values: TopicColumns, now: Date) {
  return tx
    .updateTable("messaging_topics")
    .set({ ...values, updated_at: now, version: sql<number>`version + 1` })
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Deletes the topic with its subscriptions and notes their partitions of the log for removal. */
export async function deleteTopic(
  tx: MessagingTx,
  tenant: string,
  name: string,
  garbage: string[],
  now: Date,
) {
  await addGarbage(tx, tenant, garbage, now);
  await tx.deleteFrom("messaging_topics").where("tenant_id", "=", tenant).where("name", "=", name).execute();
}

export async function addGarbage(tx: MessagingTx, tenant: string, partitions: string[], now: Date) {
  const rows = partitions.map((partition) => ({ tenant_id: tenant, partition, deleted_at: now }));
  await tx
    .insertInto("messaging_garbage")
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export function selectGarbage(tx: MessagingTx) {
  return tx.selectFrom("messaging_garbage").selectAll().execute();
}

export async function removeGarbage(tx: MessagingTx, tenant: string, partition: string) {
  await tx
    .deleteFrom("messaging_garbage")
    .where("tenant_id", "=", tenant)
    .where("partition", "=", partition)
    .execute();
}
