/** Rows of versions, which are never updated. Each function runs inside the caller's transaction. */
import { sql } from "kysely";
import type { Json } from "../core/json.ts";
import type { ConfigurationTx, Origin, VersionRow } from "./tables.ts";

const of = (tx: ConfigurationTx, tenant: string, config: string) =>
  tx.selectFrom("config_versions").selectAll().where("tenant_id", "=", tenant).where("config", "=", config);

export function selectVersion(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  version: number,
): Promise<VersionRow | undefined> {
  return of(tx, tenant, config).where("version", "=", version).executeTakeFirst();
}

export function selectByHash(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  hash: string,
): Promise<VersionRow | undefined> {
  return of(tx, tenant, config).where("hash", "=", hash).executeTakeFirst();
}

/** Without the documents themselves. */
export type VersionSummary = Omit<VersionRow, "text" | "value">;

/** Newest first, from before `before`. */
export function selectVersions(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  page: { before?: number | undefined; limit: number },
): Promise<VersionSummary[]> {
  let query = tx
    .selectFrom("config_versions")
    .select(["tenant_id", "config", "version", "hash", "note", "author", "parent", "secrets", "origin"])
    .select(["schema_subject", "schema_version", "created_at"])
    .where("tenant_id", "=", tenant)
    .where("config", "=", config);
  if (page.before !== undefined) query = query.where("version", "<", page.before);
  return query.orderBy("version", "desc").limit(page.limit).execute();
}

/** Whole ones, oldest first, from after `after` up to `until`. */
export function selectLine(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  { after, until, limit }: { after: number; until: number; limit: number },
): Promise<VersionRow[]> {
  return of(tx, tenant, config)
    .where("version", ">", after)
    .where("version", "<=", until)
    .orderBy("version")
    .limit(limit)
    .execute();
}

export async function countVersions(tx: ConfigurationTx, tenant: string, config: string): Promise<number> {
  const { count } = await tx
    .selectFrom("config_versions")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .executeTakeFirstOrThrow();
  return count;
}

export type NewVersion = Omit<VersionRow, "value" | "secrets" | "origin"> & {
  value: Json;
  secrets: readonly string[];
  origin: Origin | null;
};

export function insertVersion(
  tx: ConfigurationTx,
  { value, secrets, origin, ...row }: NewVersion,
): Promise<VersionRow> {
  return tx
    .insertInto("config_versions")
    .values({
      ...row,
      value: JSON.stringify(value),
      secrets: JSON.stringify(secrets),
      origin: origin && JSON.stringify(origin),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Those that were made from it are from now on made from what it was made from. */
export async function deleteVersion(tx: ConfigurationTx, { tenant_id, config, version, parent }: VersionRow) {
  await tx
    .updateTable("config_versions")
    .set({ parent })
    .where("tenant_id", "=", tenant_id)
    .where("config", "=", config)
    .where("parent", "=", version)
    .execute();
  await tx
    .deleteFrom("config_versions")
    .where("tenant_id", "=", tenant_id)
    .where("config", "=", config)
    .where("version", "=", version)
    .execute();
}

/** Versions that are in force, or the newest, and refer to this secret. */
export function selectSecretUsers(
  tx: ConfigurationTx,
  tenant: string,
  secret: string,
): Promise<{ config: string; version: number }[]> {
  return tx
    .selectFrom("config_versions")
    .innerJoin("configs", (join) =>
      join
        .onRef("configs.tenant_id", "=", "config_versions.tenant_id")
        .onRef("configs.name", "=", "config_versions.config"),
    )
    .select(["config_versions.config", "config_versions.version"])
    .where("config_versions.tenant_id", "=", tenant)
    .where(sql<boolean>`config_versions.secrets @> ${JSON.stringify([secret])}::jsonb`)
    .where(sql<boolean>`config_versions.version in (configs.current_version, configs.latest_version)`)
    .orderBy(sql`config_versions.config collate "C"`)
    .orderBy("config_versions.version")
    .limit(100)
    .execute();
}
