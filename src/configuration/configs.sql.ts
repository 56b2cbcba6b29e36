/** Rows of configurations. Each function runs inside the caller's transaction, which knows its tenant. */
import { sql } from "kysely";
import type { ConfigRow, ConfigurationTx, EventRow, EventType } from "./tables.ts";

export interface ConfigFilter {
  service?: string | undefined;
  environment?: string | undefined;
  /** Part of name or description, whatever the case. */
  text?: string | undefined;
}

const one = (tx: ConfigurationTx, tenant: string, name: string) =>
  tx.selectFrom("configs").selectAll().where("tenant_id", "=", tenant).where("name", "=", name);

export function selectConfig(
  tx: ConfigurationTx,
  tenant: string,
  name: string,
): Promise<ConfigRow | undefined> {
  return one(tx, tenant, name).executeTakeFirst();
}

/** Others that change the configuration or its versions wait until this transaction ends. */
export function lockConfig(
  tx: ConfigurationTx,
  tenant: string,
  name: string,
): Promise<ConfigRow | undefined> {
  return one(tx, tenant, name).forUpdate().executeTakeFirst();
}

/** By name. */
export function selectConfigs(
  tx: ConfigurationTx,
  tenant: string,
  { service, environment, text }: ConfigFilter,
  page: { after?: string | undefined; limit: number },
): Promise<ConfigRow[]> {
  let query = tx.selectFrom("configs").selectAll().where("tenant_id", "=", tenant);
  if (service !== undefined) query = query.where("service", "=", service);
  if (environment !== undefined) query = query.where("environment", "=", environment);
  if (text !== undefined) {
    const wanted = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
    query = query.where((or) => or.or([or("name", "ilike", wanted), or("description", "ilike", wanted)]));
  }
  if (page.after !== undefined) query = query.where(sql<boolean>`name collate "C" > ${page.after}`);
  return query.orderBy(sql`name collate "C"`).limit(page.limit).execute();
}

export async function countConfigs(tx: ConfigurationTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("configs")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .executeTakeFirstOrThrow();
  return count;
}

/** Of every tenant that has any. */
export function countByTenant(tx: ConfigurationTx): Promise<{ tenant_id: string; count: number }[]> {
  return tx
    .selectFrom("configs")
    .select((select) => ["tenant_id", select.fn.countAll<number>().as("count")])
    .groupBy("tenant_id")
    .execute();
}

export function selectUsers(tx: ConfigurationTx, tenant: string, subject: string): Promise<ConfigRow[]> {
  return tx
    .selectFrom("configs")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("schema_subject", "=", subject)
    .orderBy(sql`name collate "C"`)
    .execute();
}

export type ConfigValues = Pick<
  ConfigRow,
  | "name"
  | "service"
  | "environment"
  | "format"
  | "description"
  | "labels"
  | "schema_subject"
  | "schema_version"
>;

/** Undefined when the name is taken. */
export function insertConfig(
  tx: ConfigurationTx,
  tenant: string,
  { labels, ...values }: ConfigValues,
  now: Date,
): Promise<ConfigRow | undefined> {
  return tx
    .insertInto("configs")
    .values({
      ...values,
      tenant_id: tenant,
      labels: JSON.stringify(labels),
      current_version: null,
      latest_version: null,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
}

export function updateConfig(
  tx: ConfigurationTx,
  tenant: string,
  name: string,
  { labels, ...values }: Partial<Omit<ConfigValues, "name" | "service" | "environment" | "format">>,
  now: Date,
): Promise<ConfigRow> {
  return tx
    .updateTable("configs")
    .set({ ...values, ...(labels && { labels: JSON.stringify(labels) }), updated_at: now })
    .set({ revision: sql<number>`revision + 1` })
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** What is in force, or the number of the newest version: not edited by people, so without a new ETag. */
export function moveConfig(
  tx: ConfigurationTx,
  tenant: string,
  name: string,
  values: { current_version?: number; latest_version?: number | null; last_version?: number },
  now: Date,
): Promise<ConfigRow> {
  return tx
    .updateTable("configs")
    .set({ ...values, updated_at: now })
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteConfig(tx: ConfigurationTx, tenant: string, name: string): Promise<void> {
  await tx.deleteFrom("configs").where("tenant_id", "=", tenant).where("name", "=", name).execute();
}

export async function insertEvent(tx: ConfigurationTx, event: EventRow): Promise<void> {
  await tx.insertInto("config_events").values(event).execute();
}

/** Newest first, from before the event `before`. */
export function selectEvents(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  page: { before?: string | undefined; limit: number; type?: EventType },
): Promise<EventRow[]> {
  let query = tx
    .selectFrom("config_events")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config);
  if (page.before !== undefined) query = query.where("id", "<", page.before);
  if (page.type !== undefined) query = query.where("type", "=", page.type);
  return query.orderBy("id", "desc").limit(page.limit).execute();
}
