/** Rows of secrets: names and where their values are, never values. */
import { sql } from "kysely";
import type { ConfigurationTx, SecretRow } from "./tables.ts";

export function lockSecret(
  tx: ConfigurationTx,
  tenant: string,
  name: string,
): Promise<SecretRow | undefined> {
  return tx
    .selectFrom("config_secrets")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .forUpdate()
    .executeTakeFirst();
}

export function selectSecrets(
  tx: ConfigurationTx,
  tenant: string,
  page: { after?: string | undefined; limit: number },
): Promise<SecretRow[]> {
  let query = tx.selectFrom("config_secrets").selectAll().where("tenant_id", "=", tenant);
  if (page.after !== undefined) query = query.where(sql<boolean>`name collate "C" > ${page.after}`);
  return query.orderBy(sql`name collate "C"`).limit(page.limit).execute();
}

const named = (tx: ConfigurationTx, tenant: string, names: readonly string[]) =>
  tx
    .selectFrom("config_secrets")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where(sql<boolean>`name = any(${[...names]})`);

/** Those of these names that there are. */
export function findSecrets(
  tx: ConfigurationTx,
  tenant: string,
  names: readonly string[],
): Promise<SecretRow[]> {
  return named(tx, tenant, names).execute();
}

/** As `findSecrets`; `lockSecret` waits until this transaction ends. In order, so that two never wait in a ring. */
export function holdSecrets(
  tx: ConfigurationTx,
  tenant: string,
  names: readonly string[],
): Promise<SecretRow[]> {
  return named(tx, tenant, names).orderBy("name").forShare().execute();
}

export async function countSecrets(tx: ConfigurationTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("config_secrets")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .executeTakeFirstOrThrow();
  return count;
}

export function putSecret(
  tx: ConfigurationTx,
  tenant: string,
  { name, storedAs, author }: { name: string; storedAs: string; author: string },
  now: Date,
): Promise<SecretRow> {
  const values = { stored_as: storedAs, author, updated_at: now };
  return tx
    .insertInto("config_secrets")
    .values({ tenant_id: tenant, name, ...values, created_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "name"])
        .doUpdateSet({ ...values, revision: sql<number>`config_secrets.revision + 1` }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteSecret(tx: ConfigurationTx, tenant: string, name: string): Promise<void> {
  await tx.deleteFrom("config_secrets").where("tenant_id", "=", tenant).where("name", "=", name).execute();
}
