/**
 * Rows of deployments. Each function runs inside the caller's transaction. Whoever appends names the seq and the epoch
 * that it knows; when either has moved on, nothing is written, so of two engines that hold the same deployment only the
 * one with the newer lease goes on.
 */
import { sql } from "kysely";
import { insertEvents } from "./history.sql.ts";
import { type Event, fold, initial, isEnded, type State, type Status } from "./state.ts";
import type { Claim, DeploymentRow, DeploymentTx, FreezeOverride } from "./tables.ts";
import type { Kind, Version } from "./target.ts";

/** Milliseconds since 1970, by the database. */
export async function databaseNow(tx: DeploymentTx): Promise<number> {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(tx);
  return rows[0]!.now.getTime();
}

/** JSON leaves out what is undefined. */
export const whole = (row: DeploymentRow): DeploymentRow => ({ ...row, state: { ...initial, ...row.state } });

export const json = (value: unknown): string | null => (value == null ? null : JSON.stringify(value));

/** As it was asked for; its first events follow in the same transaction. */
export async function insertDeployment(tx: DeploymentTx, row: DeploymentRow): Promise<void> {
  await tx
    .insertInto("deployments")
    .values({
      ...row,
      spec: JSON.stringify(row.spec),
      version_from: json(row.version_from),
      version_to: JSON.stringify(row.version_to),
      state: JSON.stringify(row.state),
      verdicts: "[]",
      trace: json(row.trace),
      ...{ progress: null, judge: null, cursor: null, trouble: null, freeze_override: null },
    })
    .execute();
}

const byId = (tx: DeploymentTx, tenant: string, id: string) =>
  tx.selectFrom("deployments").selectAll().where("tenant_id", "=", tenant).where("id", "=", id);

export async function selectDeployment(tx: DeploymentTx, tenant: string, id: string) {
  const row = await byId(tx, tenant, id).executeTakeFirst();
  return row && whole(row);
}

export async function lockDeployment(tx: DeploymentTx, tenant: string, id: string) {
  const row = await byId(tx, tenant, id).forUpdate().executeTakeFirst();
  return row && whole(row);
}

export interface DeploymentFilter {
  kind?: Kind | undefined;
  /** As it is known to the system, or to people. */
  target?: string | undefined;
  status?: Status | "active" | undefined;
  environment?: string | undefined;
  group?: string | undefined;
}

/** Newest first, from before this id. */
export async function selectDeployments(
  tx: DeploymentTx,
  tenant: string,
  { kind, target, status, environment, group }: DeploymentFilter,
  before: string | undefined,
  limit: number,
): Promise<DeploymentRow[]> {
  let query = tx.selectFrom("deployments").selectAll().where("tenant_id", "=", tenant);
  if (kind !== undefined) query = query.where("kind", "=", kind);
  if (target !== undefined)
    query = query.where((or) =>
      or.or([or("target", "=", target), or(sql`spec ->> 'targetName'`, "=", target)]),
    );
  if (environment !== undefined) query = query.where("environment", "=", environment);
  if (group !== undefined) query = query.where("group_name", "=", group);
  if (status === "active") query = query.where("ended_at", "is", null);
  else if (status !== undefined) query = query.where("status", "=", status);
  if (before !== undefined) query = query.where("id", "<", before);
  return (await query.orderBy("id", "desc").limit(limit).execute()).map(whole);
}

/** Of the same target, not yet ended, oldest first. */
export async function selectOpenOf(tx: DeploymentTx, tenant: string, kind: Kind, target: string) {
  const rows = await tx
    .selectFrom("deployments")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("kind", "=", kind)
    .where("target", "=", target)
    .where("ended_at", "is", null)
    .orderBy("id")
    .execute();
  return rows.map(whole);
}

export async function selectGroup(tx: DeploymentTx, tenant: string, group: string) {
  const rows = await tx
    .selectFrom("deployments")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("group_id", "=", group)
    .orderBy("id")
    .execute();
  return rows.map(whole);
}

/** Others of its group, locked, so that none of them settles or goes back until this transaction ends. */
export async function lockOthersOf(tx: DeploymentTx, { tenant_id, id, group_id }: DeploymentRow) {
  if (group_id === null) return [];
  const rows = await tx
    .selectFrom("deployments")
    .selectAll()
    .where("tenant_id", "=", tenant_id)
    .where("group_id", "=", group_id)
    .orderBy("id")
    .forUpdate()
    .execute();
  return rows.map(whole).filter((row) => row.id !== id);
}

/** The group of this name that has members under way. */
export async function selectOpenGroup(tx: DeploymentTx, tenant: string, name: string) {
  const row = await tx
    .selectFrom("deployments")
    .select("group_id")
    .where("tenant_id", "=", tenant)
    .where("group_name", "=", name)
    .where("ended_at", "is", null)
    .limit(1)
    .executeTakeFirst();
  return row?.group_id ?? undefined;
}

export async function countOpen(tx: DeploymentTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("deployments")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .where("ended_at", "is", null)
    .executeTakeFirstOrThrow();
  return count;
}

/** The version that a succeeded deployment of the target last put in force. */
export function selectSucceeded(tx: DeploymentTx, tenant: string, kind: Kind, target: string) {
  return tx
    .selectFrom("deployments")
    .select(["version_to", "id"])
    .where("tenant_id", "=", tenant)
    .where("kind", "=", kind)
    .where("target", "=", target)
    .where("status", "=", "succeeded")
    .orderBy("ended_at", "desc")
    .limit(1)
    .executeTakeFirst();
}

// Appending

/** Another has written, or another owner has it: load it again, or leave it. */
export class MovedOn extends Error {
  constructor() {
    super("the deployment has moved on");
  }
}

export interface Appended {
  readonly state: State;
  readonly seq: number;
}

/** Columns beside the state. */
export type Beside = Partial<
  Pick<
    DeploymentRow,
    | "progress"
    | "judge"
    | "verdicts"
    | "cursor"
    | "trouble"
    | "version_from"
    | "version_to"
    | "spec"
    | "wake_at"
  >
>;

/** Folds the events onto the state and writes both. Throws `MovedOn` when the claim is not the newest. */
export async function append(
  tx: DeploymentTx,
  { tenant, id, seq, epoch }: Claim,
  before: State,
  events: readonly Event[],
  now: number,
  beside: Beside = {},
): Promise<Appended> {
  const state = events.reduce((folded, event) => fold(folded, event, now), before);
  const { wake_at, ...documents } = beside;
  const changed = Object.fromEntries(Object.entries(documents).map(([name, value]) => [name, json(value)]));
  const hasEnded = isEnded(state);
  const result = await tx
    .updateTable("deployments")
    .set({
      ...changed,
      ...(wake_at && { wake_at }),
      ...(events.length > 0 && {
        state: JSON.stringify(state),
        status: state.status,
        seq: seq + events.length,
        occupies: state.startedAt !== undefined && !hasEnded,
        started_at: state.startedAt === undefined ? null : new Date(state.startedAt),
        ended_at: state.endedAt === undefined ? null : new Date(state.endedAt),
      }),
      ...(hasEnded && { lease_owner: null, lease_until: null }),
    })
    .where("tenant_id", "=", tenant)
    .where("id", "=", id)
    .where("seq", "=", seq)
    .where("epoch", "=", epoch)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) throw new MovedOn();
  if (events.length > 0) await insertEvents(tx, { tenant, id, seq, epoch }, events, now);
  return { state, seq: seq + events.length };
}

/** One more than any before, of this target. */
export async function nextGeneration(
  tx: DeploymentTx,
  tenant: string,
  kind: Kind,
  target: string,
): Promise<number> {
  const { generation } = await tx
    .insertInto("deployment_targets")
    .values({ tenant_id: tenant, kind, target, generation: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "kind", "target"])
        .doUpdateSet({ generation: sql`deployment_targets.generation + 1` }),
    )
    .returning("generation")
    .executeTakeFirstOrThrow();
  return generation;
}

export async function settleTarget(
  tx: DeploymentTx,
  { tenant_id, kind, target }: Pick<DeploymentRow, "tenant_id" | "kind" | "target">,
  version: Version | null,
  now: number,
): Promise<void> {
  await tx
    .updateTable("deployment_targets")
    .set({ version: json(version), settled_at: new Date(now) })
    .where("tenant_id", "=", tenant_id)
    .where("kind", "=", kind)
    .where("target", "=", target)
    .execute();
}

/** What another deployment of the target left in force after this time; undefined when none did. */
export async function settledSince(tx: DeploymentTx, row: DeploymentRow) {
  const target = await tx
    .selectFrom("deployment_targets")
    .select(["version", "settled_at"])
    .where("tenant_id", "=", row.tenant_id)
    .where("kind", "=", row.kind)
    .where("target", "=", row.target)
    .executeTakeFirst();
  return target?.settled_at && target.settled_at > row.created_at ? { version: target.version } : undefined;
}

export async function setOverride(
  tx: DeploymentTx,
  { tenant_id, id }: DeploymentRow,
  override: FreezeOverride,
): Promise<void> {
  await tx
    .updateTable("deployments")
    .set({ freeze_override: json(override) })
    .where("tenant_id", "=", tenant_id)
    .where("id", "=", id)
    .execute();
}
