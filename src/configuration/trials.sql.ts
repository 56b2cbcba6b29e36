/** Rows of trials and of what instances answered. Each function runs inside the caller's transaction. */
import type { DeliveryTx, TrialRow } from "./delivery.tables.ts";

export async function insertTrial(tx: DeliveryTx, { instances, value, ...trial }: TrialRow): Promise<void> {
  const isDraft = trial.version === null;
  await tx
    .insertInto("config_trials")
    .values({
      ...{ ...trial, instances: JSON.stringify(instances), value: isDraft ? JSON.stringify(value) : null },
    })
    .execute();
}

/** Of a version, or of a draft that says the same; or of whatever this author was writing. */
export type TrialsOf = { readonly version: number; readonly hash: string } | { readonly author: string };

/** The newest first. */
export function selectTrials(tx: DeliveryTx, tenant: string, config: string, of: TrialsOf, limit: number) {
  return tx
    .selectFrom("config_trials")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("config", "=", config)
    .where((is) =>
      "author" in of
        ? is("author", "=", of.author)
        : is.or([is("version", "=", of.version), is("hash", "=", of.hash)]),
    )
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
