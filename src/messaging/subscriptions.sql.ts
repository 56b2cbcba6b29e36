/** Rows of subscriptions. Each function runs inside the caller's transaction, which knows its tenant. */
import { type Selectable, sql } from "kysely";
import type { Tx } from "../stores/sql/port.ts";
import type { SubscriptionPolicy } from "./delivery/policy.ts";
import type { MessagingTables, SubscriptionsTable } from "./tables.ts";

export type SubscriptionRow = Selectable<SubscriptionsTable>;
type MessagingTx = Tx<MessagingTables>;

export interface SubscriptionValues {
  id: string;
  topic: string;
  name: string;
  ackDeadlineSeconds: number;
  policy: SubscriptionPolicy;
  startOffsets: number[];
}

/** Undefined when the topic has a subscription of this name. */
export function insertSubscription(tx: MessagingTx, tenant: string, values: SubscriptionValues, now: Date) {
  return tx
    .insertInto("messaging_subscriptions")
    .values({
      tenant_id: tenant,
      id: values.id,
      topic: values.topic,
      name: values.name,
      ack_deadline_seconds: values.ackDeadlineSeconds,
      policy: JSON.stringify(values.policy),
      start_offsets: JSON.stringify(values.startOffsets),
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.columns(["tenant_id", "topic", "name"]).doNothing())
    .returningAll()
    .executeTakeFirst();
}

export function selectSubscription(tx: MessagingTx, tenant: string, id: string) {
  return tx
    .selectFrom("messaging_subscriptions")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** As `selectSubscription`, and nobody else changes the row before this transaction ends. */
export function lockSubscription(tx: MessagingTx, tenant: string, id: string) {
  return tx
    .selectFrom("messaging_subscriptions")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

export function updateSubscription(
  tx: MessagingTx,
  tenant: string,
  id: string,
  values: Pick<SubscriptionValues, "ackDeadlineSeconds" | "policy">,
  now: Date,
) {
  return tx
    .updateTable("messaging_subscriptions")
    .set({
      ack_deadline_seconds: values.ackDeadlineSeconds,
      policy: JSON.stringify(values.policy),
      updated_at: now,
      version: sql<number>`version + 1`,
    })
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export interface SubscriptionFilter {
  topic: string | undefined;
  after: string | undefined;
  limit: number;
}

export function selectSubscriptions(tx: MessagingTx, tenant: string, filter: SubscriptionFilter) {
  let query = tx.selectFrom("messaging_subscriptions").selectAll().where("tenant_id", "=", tenant);
  if (filter.topic !== undefined) query = query.where("topic", "=", filter.topic);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  return query.orderBy("id").limit(filter.limit).execute();
}

export async function deleteSubscription(tx: MessagingTx, tenant: string, id: string) {
  await tx
    .deleteFrom("messaging_subscriptions")
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .execute();
}
