/** Who should have which version while a deployment runs; see migrations/0002. Each inside the caller's transaction. */
import { sql } from "kysely";
import { HotSwapError } from "../core/errors.ts";
import type { Assignment } from "../deployment/target.ts";
import type { AssignmentRow, Cohort, DeliveryTx, Labels } from "./delivery.tables.ts";
import { nextRevision, type ScopeName } from "./scopes.sql.ts";

export interface ConfigFacts {
  name: string;
  service: string;
  environment: string;
  labels: Labels;
  current_version: number | null;
}

/** Throws `config_not_found`. */
export async function requireConfig(tx: DeliveryTx, tenant: string, name: string): Promise<ConfigFacts> {
  const row = await tx
    .selectFrom("configs")
    .select(["name", "service", "environment", "labels", "current_version"])
    .where("tenant_id", "=", tenant)
    .where("name", "=", name)
    .executeTakeFirst();
  if (!row) throw new HotSwapError("config_not_found", `There is no configuration ${name}.`);
  return row;
}

/** Throws `config_version_not_found`, at this place of the body. */
export async function requireVersion(
  tx: DeliveryTx,
  tenant: string,
  config: string,
  version: number,
  pointer: string,
): Promise<{ version: number; hash: string }> {
  const row = await tx
    .selectFrom("config_versions")
    .select(["version", "hash"])
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("version", "=", version)
    .executeTakeFirst();
  if (row) return row;
  throw new HotSwapError("config_version_not_found", `${config} has no version ${version}.`, {
    fields: [{ pointer, message: "is no version of the configuration" }],
  });
}

/** Whether the version is or was in force, or is part of the deployment that runs: whoever had to agree has agreed. */
export async function wasReleased(tx: DeliveryTx, tenant: string, config: string, version: number) {
  const event = await tx
    .selectFrom("config_events")
    .select("id")
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("type", "=", "current")
    .where("version", "=", version)
    .limit(1)
    .executeTakeFirst();
  return event !== undefined || (await selectAssignment(tx, tenant, config))?.to_version === version;
}

export function selectAssignment(
  tx: DeliveryTx,
  tenant: string,
  config: string,
): Promise<AssignmentRow | undefined> {
  return tx
    .selectFrom("config_assignments")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .executeTakeFirst();
}

/** What instances should have has changed: gives the configuration the next revision of its scope. */
export async function moveRevision(tx: DeliveryTx, scope: ScopeName, config: string): Promise<number> {
  const revision = await nextRevision(tx, scope);
  await tx
    .insertInto("config_assignments")
    .values({ tenant_id: scope.tenant, config, generation: 0, revision })
    .onConflict((conflict) => conflict.columns(["tenant_id", "config"]).doUpdateSet({ revision }))
    .execute();
  return revision;
}

/** Nothing when a higher generation has been here: the caller is late. */
export async function writeAssignment(
  tx: DeliveryTx,
  tenant: string,
  config: string,
  { generation, deployment, seed, bound, from, to, traceparent }: Assignment,
  { began_at, exposed_at }: { began_at: Date; exposed_at: Date },
): Promise<boolean> {
  const values = {
    ...{ generation, deployment, began_at, exposed_at, seed, bound, traceparent: traceparent ?? null },
    from_version: from ? Number(from.id) : null,
    to_version: Number(to.id),
  };
  return replace(tx, tenant, config, values);
}

/** The same at the end of a deployment: nobody is told apart from now on. */
export function clearAssignment(tx: DeliveryTx, tenant: string, config: string, generation: number) {
  const nothing = {
    deployment: null,
    began_at: null,
    exposed_at: null,
    seed: null,
    bound: null,
    from_version: null,
    to_version: null,
    traceparent: null,
  };
  return replace(tx, tenant, config, { generation, ...nothing });
}

async function replace(
  tx: DeliveryTx,
  tenant: string,
  config: string,
  values: Omit<AssignmentRow, "tenant_id" | "config" | "revision">,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await tx
    .insertInto("config_assignments")
    .values({ tenant_id: tenant, config, revision: 0, ...values })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "config"])
        .doUpdateSet(values)
        .where(sql<boolean>`config_assignments.generation <= excluded.generation`),
    )
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}

/** What instances said of a version in an earlier deployment does not count in the next one. */
export async function forgetVerdicts(tx: DeliveryTx, tenant: string, config: string, version: number) {
  await tx
    .updateTable("config_instance_states")
    .set({
      refused: sql<null>`case when refused = ${version} then null else refused end`,
      reason: sql<null>`case when refused = ${version} then null else reason end`,
      crashed: sql<null>`case when crashed = ${version} then null else crashed end`,
    })
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where((or) => or.or([or("refused", "=", version), or("crashed", "=", version)]))
    .execute();
}

export function selectCounts(tx: DeliveryTx, tenant: string, config: string, deployment: string) {
  return tx
    .selectFrom("config_counts")
    .select(["cohort", "metric", "total"])
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("deployment", "=", deployment)
    .execute() as Promise<{ cohort: Cohort; metric: string; total: number }[]>;
}

/** Of deployments before this one. */
export async function deleteCounts(tx: DeliveryTx, tenant: string, config: string, keep: string) {
  await tx
    .deleteFrom("config_counts")
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("deployment", "<>", keep)
    .execute();
}
