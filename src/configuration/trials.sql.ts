/** Rows of trials and of what instances answered. Each function runs inside the caller's transaction. */
import type { DeliveryTx, TrialRow } from "./delivery.tables.ts";

export async function insertTrial(tx: DeliveryTx, { instances, ...trial }: TrialRow): Promise<void> {
  await tx
    .insertInto("config_trials")
    .values({ ...trial, instances: JSON.stringify(instances) })
    .execute();
}

/** The newest first. */
export function selectTrials(tx: DeliveryTx, tenant: string, config: string, version: number, limit: number) {
  return tx
    .selectFrom("config_trials")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where("version", "=", version)
    .orderBy("created_at", "desc")
    .limit(limit)
    .execute();
}

export async function selectAnswers(tx: DeliveryTx, tenant: string, trials: readonly string[]) {
  if (trials.length === 0) return [];
  return tx
    .selectFrom("config_trial_answers")
    .select(["trial", "instance", "ok", "reason"])
    .where("tenant_id", "=", tenant)
    .where("trial", "in", trials)
    .orderBy("instance")
    .execute();
}

/** Of every tenant. */
export async function deleteTrials(tx: DeliveryTx, expiredBefore: Date): Promise<void> {
  await tx.deleteFrom("config_trials").where("expires_at", "<", expiredBefore).execute();
}
