/**
 * Rows of routes. A change closes the version in force and adds the next, under the tenant's
 * revision. Each function runs inside the caller's transaction.
 */
import { sql } from "kysely";
import type { GatewayTx } from "./revisions.sql.ts";
import type { RouteSpec } from "./routes.schema.ts";
import type { RouteRow } from "./tables.ts";

const current = (tx: GatewayTx, tenant: string) =>
  tx
    .selectFrom("gateway_routes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("until_revision", "is", null);

export function selectRoute(tx: GatewayTx, tenant: string, id: string): Promise<RouteRow | undefined> {
  return current(tx, tenant).where("id", "=", id).executeTakeFirst();
}

export interface RouteFilter {
  name?: string | undefined;
  host?: string | undefined;
  enabled?: boolean | undefined;
  /** `key=value` pairs, all of which a route must carry. */
  labels?: Readonly<Record<string, string>> | undefined;
}

/** By name, which is unique. */
export function selectRoutes(
  tx: GatewayTx,
  tenant: string,
  filter: RouteFilter = {},
  page: { after?: string | undefined; limit?: number } = {},
): Promise<RouteRow[]> {
  let query = current(tx, tenant);
  if (filter.name !== undefined) query = query.where("name", "=", filter.name);
  if (filter.host !== undefined) query = query.where("host", "=", filter.host);
  if (filter.enabled !== undefined) query = query.where("enabled", "=", filter.enabled);
  if (filter.labels) query = query.where(sql<boolean>`labels @> ${JSON.stringify(filter.labels)}::jsonb`);
  if (page.after !== undefined) query = query.where(sql<boolean>`name collate "C" > ${page.after}`);
  query = query.orderBy(sql`name collate "C"`);
  return (page.limit === undefined ? query : query.limit(page.limit)).execute();
}

/** The set as it was at a revision that is still kept. */
export function selectRoutesAt(tx: GatewayTx, tenant: string, revision: number): Promise<RouteRow[]> {
  return tx
    .selectFrom("gateway_routes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where("from_revision", "<=", revision)
    .where((or) => or.or([or("until_revision", "is", null), or("until_revision", ">", revision)]))
    .orderBy(sql`name collate "C"`)
    .execute();
}

export async function countRoutes(tx: GatewayTx, tenant: string): Promise<number> {
  const { count } = await tx
    .selectFrom("gateway_routes")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("tenant_id", "=", tenant)
    .where("until_revision", "is", null)
    .executeTakeFirstOrThrow();
  return count;
}

export interface RouteVersion {
  id: string;
  version: number;
  spec: RouteSpec;
  revision: number;
  createdAt: Date;
  now: Date;
}

/** The host of a route's match as the tables know it. */
export const hostOf = (spec: RouteSpec): string => spec.match.host ?? "*";

const insertChunk = 500;

export async function insertRoutes(
  tx: GatewayTx,
  tenant: string,
  versions: RouteVersion[],
): Promise<RouteRow[]> {
  const rows: RouteRow[] = [];
  for (let at = 0; at < versions.length; at += insertChunk) {
    const values = versions.slice(at, at + insertChunk).map(({ spec, ...version }) => ({
      tenant_id: tenant,
      id: version.id,
      version: version.version,
      name: spec.name,
      host: hostOf(spec),
      labels: JSON.stringify(spec.labels ?? {}),
      enabled: spec.enabled !== false,
      spec: JSON.stringify(spec),
      from_revision: version.revision,
      until_revision: null,
      created_at: version.createdAt,
      updated_at: version.now,
    }));
    rows.push(...(await tx.insertInto("gateway_routes").values(values).returningAll().execute()));
  }
  return rows;
}

/** Ends what is in force of these routes with this revision. */
export async function closeRoutes(tx: GatewayTx, tenant: string, ids: readonly string[], revision: number) {
  if (ids.length === 0) return;
  await tx
    .updateTable("gateway_routes")
    .set({ until_revision: revision })
    .where("tenant_id", "=", tenant)
    .where("until_revision", "is", null)
    .where(sql<boolean>`id = any(${[...ids]})`)
    .execute();
}

/** Versions that ended before the revisions that are kept. */
export async function pruneRoutes(tx: GatewayTx, tenant: string, before: number) {
  await tx
    .deleteFrom("gateway_routes")
    .where("tenant_id", "=", tenant)
    .where("until_revision", "<=", before)
    .execute();
}

/**
 * Brings the tenant's claims on these hosts in line with its routes. Resolves to a host that belongs to another
 * tenant, or undefined when all of them could be had.
 */
export async function claimHosts(
  tx: GatewayTx,
  tenant: string,
  touched: readonly string[],
): Promise<string | undefined> {
  const anyOf = (hosts: readonly string[]) => sql<boolean>`host = any(${[...new Set(hosts)]})`;
  const rows = await current(tx, tenant)
    .clearSelect()
    .select("host")
    .distinct()
    .where(anyOf(touched))
    .execute();
  const used = rows.map(({ host }) => host);
  const unused = touched.filter((host) => !used.includes(host));
  if (unused.length > 0) {
    await tx.deleteFrom("gateway_hosts").where("tenant_id", "=", tenant).where(anyOf(unused)).execute();
  }
  if (used.length === 0) return undefined;
  // One array: a statement has room for 65,535 parameters, and a set can name more hosts than half of that.
  await sql`insert into gateway_hosts (tenant_id, host)
    select ${tenant}::text, unnest(${used}::text[]) on conflict do nothing`.execute(tx);
  const claims = await tx
    .selectFrom("gateway_hosts")
    .select("host")
    .where("tenant_id", "=", tenant)
    .where(anyOf(used))
    .execute();
  const owned = new Set(claims.map(({ host }) => host));
  return used.find((host) => !owned.has(host));
}

/** Rows that came into force or ended after `since`, of one tenant. */
export function selectChanges(tx: GatewayTx, tenant: string, since: number): Promise<RouteRow[]> {
  return tx
    .selectFrom("gateway_routes")
    .selectAll()
    .where("tenant_id", "=", tenant)
    .where((or) => or.or([or("from_revision", ">", since), or("until_revision", ">", since)]))
    .execute();
}
