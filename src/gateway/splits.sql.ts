/**
 * Rows of deployments of routes: versions, the split of a route between two of them, and what each node serves and
 * counts of it. Each function runs inside the caller's transaction.
 */
import { type Insertable, type Selectable, sql } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";
import type { RouteSpec } from "./routes.schema.ts";
import type { RouteVersionsTable, SplitNodesTable, SplitsTable, Tester, Unit } from "./tables.ts";

export type VersionRow = Selectable<RouteVersionsTable>;
export type SplitRow = Selectable<SplitsTable>;
export type SplitNodeRow = Selectable<SplitNodesTable>;

export interface NewVersion {
  hash: string;
  spec: RouteSpec;
  unit: Unit;
  tester: Tester | undefined;
}

/** More deployments than this can hardly wait for one route. */
const versionsKept = 100;

export async function keepVersion(
  tx: GatewayTx,
  tenant: string,
  route: string,
  version: NewVersion,
  now: Date,
) {
  const { hash, spec, unit, tester } = version;
  const said = {
    unit: JSON.stringify(unit),
    tester: tester === undefined ? null : JSON.stringify(tester),
    used_at: now,
  };
  await tx
    .insertInto("gateway_route_versions")
    .values({ tenant_id: tenant, route, hash, spec: JSON.stringify(spec), ...said })
    .onConflict((conflict) => conflict.columns(["tenant_id", "route", "hash"]).doUpdateSet(said))
    .execute();
  await tx
    .deleteFrom("gateway_route_versions")
    .where("tenant_id", "=", tenant)
    .where("route", "=", route)
    .where("hash", "not in", (from) =>
      from
        .selectFrom("gateway_route_versions")
        .select("hash")
        .where("tenant_id", "=", tenant)
        .where("route", "=", route)
        .orderBy("used_at", "desc")
        .limit(versionsKept),
    )
    .execute();
}

export function selectVersion(tx: GatewayTx, tenant: string, route: string, hash: string) {
  return tx
    .selectFrom("gateway_route_versions")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("route", "=", route)
    .where("hash", "=", hash)
    .executeTakeFirst();
}

export function selectSplit(tx: GatewayTx, tenant: string, route: string): Promise<SplitRow | undefined> {
  return tx
    .selectFrom("gateway_splits")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("route", "=", route)
    .executeTakeFirst();
}

export async function upsertSplit(tx: GatewayTx, row: Insertable<SplitsTable>): Promise<void> {
  const { tenant_id, route, ...values } = row;
  await tx
    .insertInto("gateway_splits")
    .values(row)
    .onConflict((conflict) => conflict.columns(["tenant_id", "route"]).doUpdateSet(values))
    .execute();
}

/** Of these routes, those that are under deployment. */
export function selectActive(tx: GatewayTx, tenant: string, routes: readonly string[]) {
  return tx
    .selectFrom("gateway_splits")
    .select(["route", "deployment"])
    .where("tenant_id", "=", tenant)
    .where("active", "=", true)
    .where(sql<boolean>`route = any(${[...routes]})`)
    .execute();
}

export interface FollowedSplit extends SplitRow {
  /** Null when it is not active. */
  spec: RouteSpec | null;
}

/** What changed since a revision, ended ones too; all that are active when there is none. */
export function selectSplitChanges(tx: GatewayTx, tenant: string, since?: number): Promise<FollowedSplit[]> {
  const query = tx
    .selectFrom("gateway_splits")
    .leftJoin("gateway_route_versions as version", (join) =>
      join
        .onRef("version.tenant_id", "=", "gateway_splits.tenant_id")
        .onRef("version.route", "=", "gateway_splits.route")
        .onRef("version.hash", "=", "gateway_splits.to_hash"),
    )
    .selectAll("gateway_splits")
    .select("version.spec")
    .where("gateway_splits.tenant_id", "=", tenant);
  const narrowed =
    since === undefined
      ? query.where("gateway_splits.active", "=", true)
      : query.where("gateway_splits.revision", ">", since);
  return narrowed.execute();
}

/** A route is gone, and with it what was kept for its deployments. */
export async function deleteSplits(tx: GatewayTx, tenant: string, routes: readonly string[]): Promise<void> {
  if (routes.length === 0) return;
  for (const table of ["gateway_splits", "gateway_split_nodes", "gateway_route_versions"] as const) {
    await tx
      .deleteFrom(table)
      .where("tenant_id", "=", tenant)
      .where(sql<boolean>`route = any(${[...routes]})`)
      .execute();
  }
}

// Nodes

export async function touchNode(tx: GatewayTx, id: string): Promise<void> {
  await tx
    .insertInto("gateway_nodes")
    .values({ id })
    .onConflict((conflict) => conflict.column("id").doUpdateSet({ heartbeat_at: sql`clock_timestamp()` }))
    .execute();
}

export async function deleteNode(tx: GatewayTx, id: string): Promise<void> {
  await tx.deleteFrom("gateway_nodes").where("id", "=", id).execute();
}

const silentFor = (ms: number) => sql<Date>`clock_timestamp() - ${ms} * interval '1 millisecond'`;

export async function selectLiveNodes(tx: GatewayTx, ttlMs: number): Promise<string[]> {
  const rows = await tx
    .selectFrom("gateway_nodes")
    .select("id")
    .where("heartbeat_at", ">", silentFor(ttlMs))
    .execute();
  return rows.map(({ id }) => id);
}

/** Lives of processes that are over for so long that nobody asks for them. */
export async function deleteSilentNodes(tx: GatewayTx, ttlMs: number): Promise<void> {
  await tx.deleteFrom("gateway_nodes").where("heartbeat_at", "<", silentFor(ttlMs)).execute();
}

export async function upsertSplitNodes(tx: GatewayTx, rows: Insertable<SplitNodesTable>[]): Promise<void> {
  await tx
    .insertInto("gateway_split_nodes")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "route", "node"]).doUpdateSet({
        deployment: sql`excluded.deployment`,
        generation: sql`excluded.generation`,
        totals: sql`excluded.totals`,
        problem: sql`excluded.problem`,
        updated_at: sql`clock_timestamp()`,
      }),
    )
    .execute();
}

export function selectSplitNodes(tx: GatewayTx, tenant: string, route: string): Promise<SplitNodeRow[]> {
  return tx
    .selectFrom("gateway_split_nodes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("route", "=", route)
    .execute();
}

/** All of the route but those of this deployment. */
export async function deleteSplitNodes(tx: GatewayTx, tenant: string, route: string, but: string) {
  await tx
    .deleteFrom("gateway_split_nodes")
    .where("tenant_id", "=", tenant)
    .where("route", "=", route)
    .where("deployment", "<>", but)
    .execute();
}
