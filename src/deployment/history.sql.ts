/** What happened to a deployment, and what was measured of it: rows that only grow, read page by page. */
import { sql } from "kysely";
import type { Verdict } from "./judge/judge.ts";
import type { Event } from "./state.ts";
import type { Claim, DeploymentTx, EventRow, HealthRow } from "./tables.ts";
import type { Sample } from "./target.ts";

export async function insertEvents(
  tx: DeploymentTx,
  { tenant, id, seq, epoch }: Claim,
  events: readonly Event[],
  now: number,
) {
  const rows = events.map(({ type, ...payload }, index) => ({
    ...{ tenant_id: tenant, deployment: id, seq: seq + index + 1, epoch, at: new Date(now), type },
    payload: JSON.stringify(payload),
  }));
  await tx.insertInto("deployment_events").values(rows).execute();
}

export async function insertHealth(
  tx: DeploymentTx,
  { tenant, id }: Claim,
  rows: readonly { number: number; sample: Sample; verdict: Verdict }[],
): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map(({ number, sample, verdict }) => ({
    ...{ tenant_id: tenant, deployment: id, number, at: new Date(sample.at) },
    ...{ sample: JSON.stringify(sample), verdict: JSON.stringify(verdict) },
  }));
  await tx.insertInto("deployment_health").values(values).execute();
}

/** Which part of a history: after one position and before another, from either end. */
export interface Slice {
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  readonly order?: "oldest" | "newest";
  readonly limit: number;
}

export const selectEvents = (tx: DeploymentTx, tenant: string, id: string, slice: Slice) =>
  select<EventRow>(tx, "deployment_events", "seq", { ...slice, tenant, id });

export const selectHealth = (tx: DeploymentTx, tenant: string, id: string, slice: Slice) =>
  select<HealthRow>(tx, "deployment_health", "number", { ...slice, tenant, id });

async function select<Row>(
  tx: DeploymentTx,
  table: "deployment_events" | "deployment_health",
  position: "seq" | "number",
  {
    tenant,
    id,
    after = 0,
    before = Number.MAX_SAFE_INTEGER,
    order,
    limit,
  }: Slice & Pick<Claim, "tenant" | "id">,
): Promise<Row[]> {
  const [rows, at] = [sql.table(table), sql.ref(position)];
  const result = await sql<Row>`
    select * from ${rows}
    where tenant_id = ${tenant} and deployment = ${id} and ${at} > ${after} and ${at} < ${before}
    order by ${at} ${sql.raw(order === "newest" ? "desc" : "asc")} limit ${limit}
  `.execute(tx);
  return result.rows;
}

/** Samples that are older than this, and deployments that ended long ago with all that they were. */
export async function sweep(tx: DeploymentTx, healthDays: number, historyDays: number): Promise<void> {
  await sql`delete from deployment_health where at < now() - ${healthDays} * interval '1 day'`.execute(tx);
  await sql`with old as (
      delete from deployments where ended_at < now() - ${historyDays} * interval '1 day' returning tenant_id, id)
    , events as (delete from deployment_events using old
      where deployment_events.tenant_id = old.tenant_id and deployment_events.deployment = old.id)
    delete from deployment_health using old
      where deployment_health.tenant_id = old.tenant_id and deployment_health.deployment = old.id`.execute(
    tx,
  );
}
