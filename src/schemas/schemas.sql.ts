/** Rows of the registry. Each function runs inside the caller's transaction, which knows its tenant. */
import { sql } from "kysely";
import type { Draft } from "./document.ts";
import type { SchemaState } from "./lifecycle.ts";
import type { Mode } from "./modes.ts";
import type { SchemaTx, Source, SubjectRow, VersionRow } from "./tables.ts";

export interface VersionFilter {
  subject?: string | undefined;
  version?: number | undefined;
  state?: SchemaState | undefined;
  number?: number | undefined;
}

function versions(tx: SchemaTx, tenant: string) {
  return tx
    .selectFrom("schema_versions as v")
    .innerJoin("schema_texts as t", (join) =>
      join.onRef("t.tenant_id", "=", "v.tenant_id").onRef("t.number", "=", "v.number"),
    )
    .selectAll("v")
    .select(["t.text", "t.hash", "t.draft", "t.source", "t.source_references"])
    .where("v.tenant_id", "=", tenant);
}

export function selectVersion(tx: SchemaTx, tenant: string, id: string): Promise<VersionRow | undefined> {
  return versions(tx, tenant).where("v.id", "=", id).executeTakeFirst();
}

/** As `selectVersion`, and nobody else changes the row before this transaction ends. */
export async function lockVersion(tx: SchemaTx, tenant: string, id: string): Promise<VersionRow | undefined> {
  await tx
    .selectFrom("schema_versions")
    .select("id")
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .forUpdate()
    .execute();
  return selectVersion(tx, tenant, id);
}

/** By subject and version, from after the one given. */
export function selectVersions(
  tx: SchemaTx,
  tenant: string,
  { subject, version, state, number }: VersionFilter,
  after: { subject: string; version: number } | undefined,
  limit: number,
): Promise<VersionRow[]> {
  let query = versions(tx, tenant);
  if (subject !== undefined) query = query.where("v.subject", "=", subject);
  if (version !== undefined) query = query.where("v.version", "=", version);
  if (state !== undefined) query = query.where("v.state", "=", state);
  if (number !== undefined) query = query.where("v.number", "=", number);
  if (after)
    query = query.where((is) =>
      is.or([
        is("v.subject", ">", after.subject),
        is.and([is("v.subject", "=", after.subject), is("v.version", ">", after.version)]),
      ]),
    );
  return query.orderBy("v.subject").orderBy("v.version").limit(limit).execute();
}

/** Every version of the subject, oldest first. */
export function selectSubjectVersions(tx: SchemaTx, tenant: string, subject: string): Promise<VersionRow[]> {
  return versions(tx, tenant).where("v.subject", "=", subject).orderBy("v.version").execute();
}

export function selectText(tx: SchemaTx, tenant: string, number: number) {
  return tx
    .selectFrom("schema_texts")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("number", "=", number)
    .executeTakeFirst();
}

/** Versions that are not retired and refer to this one, by name. */
export function selectReferring(
  tx: SchemaTx,
  tenant: string,
  { subject, version }: { subject: string; version: number },
): Promise<VersionRow[]> {
  const reference = JSON.stringify([{ subject, version }]);
  return versions(tx, tenant)
    .where("v.state", "!=", "retired")
    .where(sql<boolean>`t.source_references @> ${reference}::jsonb`)
    .orderBy("v.subject")
    .orderBy("v.version")
    .execute();
}

/** Names of subjects that have a version in one of these states. */
export async function selectNames(
  tx: SchemaTx,
  tenant: string,
  states: readonly SchemaState[],
  limit: number,
): Promise<string[]> {
  const found = await tx
    .selectFrom("schema_versions")
    .select("subject")
    .distinct()
    .where("tenant_id", "=", tenant)
    .where("state", "in", states)
    .orderBy("subject")
    .limit(limit)
    .execute();
  return found.map(({ subject }) => subject);
}

/** Takes the version away, and its text when no other version has it. Its number is not used again. */
export async function deleteVersion(
  tx: SchemaTx,
  { tenant_id: tenant, id, number }: VersionRow,
): Promise<void> {
  await tx.deleteFrom("schema_versions").where("tenant_id", "=", tenant).where("id", "=", id).execute();
  await tx
    .deleteFrom("schema_texts as t")
    .where("t.tenant_id", "=", tenant)
    .where("t.number", "=", number)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("schema_versions as v")
            .select("v.id")
            .where("v.tenant_id", "=", tenant)
            .where("v.number", "=", number),
        ),
      ),
    )
    .execute();
}

/** The number of this text, which is made when it is new. */
export async function keepText(
  tx: SchemaTx,
  tenant: string,
  { text, hash, draft }: { text: string; hash: string; draft: Draft },
  source: Source | undefined,
  now: Date,
): Promise<number> {
  const sent = {
    source: source?.text ?? null,
    source_references: source ? JSON.stringify(source.references) : null,
  };
  const inserted = await tx
    .insertInto("schema_texts")
    .values({ tenant_id: tenant, text, hash, draft, ...sent, created_at: now })
    .onConflict((conflict) => conflict.columns(["tenant_id", "hash"]).doNothing())
    .returning("number")
    .executeTakeFirst();
  if (inserted) return inserted.number;
  const known = await tx
    .selectFrom("schema_texts")
    .select("number")
    .where("tenant_id", "=", tenant)
    .where("hash", "=", hash)
    .executeTakeFirstOrThrow();
  return known.number;
}

/** The subject, made when it is new, and locked. */
export async function lockSubject(
  tx: SchemaTx,
  tenant: string,
  name: string,
  now: Date,
): Promise<SubjectRow> {
  await tx
    .insertInto("schema_subjects")
    .values({ tenant_id: tenant, name, compatibility: null, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.columns(["tenant_id", "name"]).doNothing())
    .execute();
  return tx
    .selectFrom("schema_subjects")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

export function selectSubject(tx: SchemaTx, tenant: string, name: string): Promise<SubjectRow | undefined> {
  return tx
    .selectFrom("schema_subjects")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .executeTakeFirst();
}

export function selectSubjects(
  tx: SchemaTx,
  tenant: string,
  after: string | undefined,
  limit: number,
): Promise<SubjectRow[]> {
  let query = tx.selectFrom("schema_subjects").selectAll().where("tenant_id", "=", tenant);
  if (after !== undefined) query = query.where("name", ">", after);
  return query.orderBy("name").limit(limit).execute();
}

export function updateSubject(
  tx: SchemaTx,
  tenant: string,
  name: string,
  change: { compatibility?: Mode | null; last_version?: number },
  now: Date,
): Promise<SubjectRow> {
  return tx
    .updateTable("schema_subjects")
    .set({ ...change, updated_at: now, revision: sql<number>`revision + 1` })
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function insertVersion(
  tx: SchemaTx,
  row: Omit<VersionRow, "text" | "hash" | "draft" | "source" | "source_references">,
): Promise<void> {
  await tx.insertInto("schema_versions").values(row).execute();
}

export async function updateVersion(
  tx: SchemaTx,
  tenant: string,
  id: string,
  change: { state: SchemaState; verdict?: string; approval_id?: string | null },
  now: Date,
): Promise<VersionRow> {
  await tx
    .updateTable("schema_versions")
    .set({ ...change, updated_at: now })
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .execute();
  return (await selectVersion(tx, tenant, id))!;
}

export async function selectDefault(tx: SchemaTx, tenant: string): Promise<Mode | undefined> {
  const row = await tx
    .selectFrom("schema_defaults")
    .select("compatibility")
    .where("tenant_id", "=", tenant)
    .executeTakeFirst();
  return row?.compatibility;
}

export async function upsertDefault(
  tx: SchemaTx,
  tenant: string,
  compatibility: Mode,
  now: Date,
): Promise<void> {
  await tx
    .insertInto("schema_defaults")
    .values({ tenant_id: tenant, compatibility, updated_at: now })
    .onConflict((conflict) => conflict.column("tenant_id").doUpdateSet({ compatibility, updated_at: now }))
    .execute();
}
