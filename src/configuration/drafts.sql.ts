/** Rows of drafts. Each function runs inside the caller's transaction. */
import { sql } from "kysely";
import type { ConfigRow, ConfigurationTx, DraftRow } from "./tables.ts";

export function selectDraft(
  tx: ConfigurationTx,
  tenant: string,
  config: string,
  author: string,
): Promise<DraftRow | undefined> {
  return tx
    .selectFrom("config_drafts")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("author", "=", author)
    .executeTakeFirst();
}

/** Of all authors, the newest first. */
export function selectDrafts(tx: ConfigurationTx, tenant: string, config: string): Promise<DraftRow[]> {
  return tx
    .selectFrom("config_drafts")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .orderBy("updated_at", "desc")
    .orderBy("author")
    .limit(100)
    .execute();
}

/** A new draft begins at the newest version; one that there is stays where it began. */
export function putDraft(
  tx: ConfigurationTx,
  { tenant_id, name: config, latest_version }: ConfigRow,
  author: string,
  text: string,
  now: Date,
): Promise<DraftRow> {
  return tx
    .insertInto("config_drafts")
    .values({ tenant_id, config, author, text, parent: latest_version, updated_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "config", "author"])
        .doUpdateSet({ text, updated_at: now, revision: sql<number>`config_drafts.revision + 1` }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteDraft(
  tx: ConfigurationTx,
  { tenant_id, config, author }: Pick<DraftRow, "tenant_id" | "config" | "author">,
): Promise<void> {
  await tx
    .deleteFrom("config_drafts")
    .where("tenant_id", "=", tenant_id)
    .where("config", "=", config)
    .where("author", "=", author)
    .execute();
}
