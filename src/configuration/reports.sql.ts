/**
 * Writes what instances said, many at once: one statement for each kind of row, whatever the number. Rows of
 * instances or configurations that have gone are passed over. In order of keys, so that two nodes do not wait for one
 * another.
 */
import { sql } from "kysely";
import type { Cohort, DeliveryTx, Labels } from "./delivery.tables.ts";

export interface Registration {
  readonly tenant: string;
  readonly id: string;
  readonly service: string;
  readonly environment: string;
  readonly labels: Labels;
  readonly process: string | undefined;
  readonly at: Date;
}

export interface Sighting {
  readonly tenant: string;
  readonly id: string;
  readonly at: Date;
  /** Milliseconds since 1970: when it last changed, as far as this node knows. */
  readonly changedAt: number;
}

/** What an instance says of a configuration; undefined says nothing new. */
export interface StateReport {
  readonly tenant: string;
  readonly config: string;
  readonly instance: string;
  /** Null: it runs none. */
  readonly running: number | null | undefined;
  readonly refused: { readonly version: number; readonly reason: string } | undefined;
  readonly at: Date;
}

export interface Count {
  readonly tenant: string;
  readonly config: string;
  readonly deployment: string;
  readonly cohort: Cohort;
  readonly metric: string;
  readonly by: number;
}

export interface TrialAnswer {
  readonly tenant: string;
  readonly trial: string;
  readonly instance: string;
  readonly ok: boolean;
  readonly reason: string | undefined;
  readonly at: Date;
}

const column = <Row, Value>(rows: readonly Row[], read: (row: Row) => Value): Value[] => rows.map(read);
/** As text, which is several times cheaper than what the driver makes of a Date; many are of the same millisecond. */
function instants<Row>(rows: readonly Row[], read: (row: Row) => Date): string[] {
  let [lastMs, last] = [Number.NaN, ""];
  return rows.map((row) => {
    const at = read(row);
    const ms = at.getTime();
    if (ms !== lastMs) [lastMs, last] = [ms, at.toISOString()];
    return last;
  });
}

export interface RegisteredRow {
  tenant: string;
  id: string;
  registered_at: Date;
  changed_at: Date;
}

/** Tenants that have instances, with how many, among these. */
export async function countInstances(
  tx: DeliveryTx,
  tenants: readonly string[],
): Promise<Map<string, number>> {
  const rows = await tx
    .selectFrom("config_instances")
    .select((select) => ["tenant_id", select.fn.countAll<number>().as("count")])
    .where("tenant_id", "in", tenants)
    .groupBy("tenant_id")
    .execute();
  return new Map(rows.map(({ tenant_id, count }) => [tenant_id, count]));
}

export async function findRegistered(tx: DeliveryTx, given: readonly Registration[]) {
  const { rows } = await sql<{ tenant: string; id: string }>`
    select i.tenant_id as tenant, i.id from config_instances i
    join unnest(${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ id }) => id)}::text[])
      as g (tenant_id, id) on i.tenant_id = g.tenant_id and i.id = g.id
  `.execute(tx);
  return rows;
}

/**
 * Registers instances or brings them up to date. One whose process is another than before, and that had applied a
 * version less than `provingMs` ago, ended under it. One that has moved to another service forgets what it ran.
 */
export async function registerInstances(
  tx: DeliveryTx,
  given: readonly Registration[],
  provingMs: number,
): Promise<RegisteredRow[]> {
  const table = sql`unnest(
    ${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ id }) => id)}::text[],
    ${column(given, ({ service }) => service)}::text[], ${column(given, ({ environment }) => environment)}::text[],
    ${column(given, ({ labels }) => JSON.stringify(labels))}::text[],
    ${column(given, ({ process }) => process ?? null)}::text[], ${instants(given, ({ at }) => at)}::timestamptz[]
  ) as g (tenant_id, id, service, environment, labels, process, at)`;
  await sql`
    delete from config_instance_states s using config_instances i, ${table}
    where i.tenant_id = g.tenant_id and i.id = g.id and (i.service <> g.service or i.environment <> g.environment)
      and s.tenant_id = i.tenant_id and s.instance = i.id
  `.execute(tx);
  await sql`
    update config_instance_states s set crashed = s.running from config_instances i, ${table}
    where i.tenant_id = g.tenant_id and i.id = g.id and i.process <> g.process
      and s.tenant_id = i.tenant_id and s.instance = i.id
      and s.applied_at > g.at - ${provingMs}::float8 * interval '1 millisecond'
  `.execute(tx);
  const { rows } = await sql<RegisteredRow>`
    insert into config_instances as i
      (tenant_id, id, service, environment, labels, process, registered_at, changed_at, seen_at)
    select g.tenant_id, g.id, g.service, g.environment, g.labels::jsonb, g.process, g.at, g.at, g.at from ${table}
    order by g.tenant_id, g.id
    on conflict (tenant_id, id) do update set
      service = excluded.service, environment = excluded.environment, labels = excluded.labels,
      process = coalesce(excluded.process, i.process),
      started_at = case when i.process <> excluded.process then excluded.seen_at else i.started_at end,
      seen_at = greatest(i.seen_at, excluded.seen_at),
      changed_at = case when i.service = excluded.service and i.environment = excluded.environment
        and i.labels = excluded.labels then i.changed_at else excluded.changed_at end
    returning i.tenant_id as tenant, i.id, i.registered_at, i.changed_at
  `.execute(tx);
  return rows;
}

/** Resolves to those that have gone (null), or changed at another time than this node knows. */
export async function touchInstances(tx: DeliveryTx, given: readonly Sighting[]) {
  const { rows } = await sql<{ tenant: string; id: string; changed_at: Date | null }>`
    with given as (
      select * from unnest(
        ${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ id }) => id)}::text[],
        ${instants(given, ({ at }) => at)}::timestamptz[],
        ${instants(given, ({ changedAt }) => new Date(changedAt))}::timestamptz[]
      ) as g (tenant_id, id, at, changed_at)
    ), seen as (
      select i.tenant_id, i.id, g.at from config_instances i
      join given g on i.tenant_id = g.tenant_id and i.id = g.id
      order by i.tenant_id, i.id for update of i
    ), touched as (
      update config_instances i set seen_at = greatest(i.seen_at, seen.at) from seen
      where i.tenant_id = seen.tenant_id and i.id = seen.id
      returning i.tenant_id, i.id, i.changed_at
    )
    select g.tenant_id as tenant, g.id, t.changed_at from given g
    left join touched t on t.tenant_id = g.tenant_id and t.id = g.id
    where t.changed_at is distinct from g.changed_at
  `.execute(tx);
  return rows;
}

/**
 * Until the end of the transaction: what instances said may be lost with the database's machine, as they say it again.
 */
export async function commitWithoutWaiting(tx: DeliveryTx): Promise<void> {
  await sql`set local synchronous_commit to off`.execute(tx);
}

/** A version that is applied is not refused any more; one that was applied before keeps its time. */
export async function writeStates(tx: DeliveryTx, given: readonly StateReport[]): Promise<void> {
  await sql`
    insert into config_instance_states as s
      (tenant_id, config, instance, running, applied_at, refused, reason, refused_at, reported_at)
    select g.tenant_id, g.config, g.instance, g.running, case when g.ran then g.at end,
           g.refused, g.reason, case when g.refused is not null then g.at end, g.at
    from unnest(
      ${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ config }) => config)}::text[],
      ${column(given, ({ instance }) => instance)}::text[], ${column(given, ({ running }) => running ?? null)}::int[],
      ${column(given, ({ running }) => running !== undefined)}::bool[],
      ${column(given, ({ refused }) => refused?.version ?? null)}::int[],
      ${column(given, ({ refused }) => refused?.reason ?? null)}::text[],
      ${instants(given, ({ at }) => at)}::timestamptz[]
    ) as g (tenant_id, config, instance, running, ran, refused, reason, at)
    join config_instances i on i.tenant_id = g.tenant_id and i.id = g.instance
    join configs c on c.tenant_id = g.tenant_id and c.name = g.config
    order by g.tenant_id, g.config, g.instance
    on conflict (tenant_id, config, instance) do update set
      running = case when excluded.applied_at is null then s.running else excluded.running end,
      applied_at = case when excluded.applied_at is null or s.running is not distinct from excluded.running
        then s.applied_at else excluded.applied_at end,
      refused = case when excluded.refused is not null then excluded.refused
        when s.refused = excluded.running then null else s.refused end,
      reason = case when excluded.refused is not null then excluded.reason
        when s.refused = excluded.running then null else s.reason end,
      refused_at = case when excluded.refused is not null and s.refused is distinct from excluded.refused
        then excluded.refused_at when s.refused = excluded.running then null else s.refused_at end,
      reported_at = excluded.reported_at
    where excluded.reported_at >= s.reported_at
      and ((excluded.applied_at is not null and s.running is distinct from excluded.running)
        or (excluded.refused is not null and (s.refused, s.reason) is distinct from (excluded.refused, excluded.reason))
        or s.refused = excluded.running)
  `.execute(tx);
}

export async function addCounts(tx: DeliveryTx, given: readonly Count[]): Promise<void> {
  await sql`
    insert into config_counts as t (tenant_id, config, deployment, cohort, metric, total)
    select g.tenant_id, g.config, g.deployment, g.cohort, g.metric, g.by
    from unnest(
      ${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ config }) => config)}::text[],
      ${column(given, ({ deployment }) => deployment)}::text[], ${column(given, ({ cohort }) => cohort)}::text[],
      ${column(given, ({ metric }) => metric)}::text[], ${column(given, ({ by }) => by)}::bigint[]
    ) as g (tenant_id, config, deployment, cohort, metric, by)
    join configs c on c.tenant_id = g.tenant_id and c.name = g.config
    order by g.tenant_id, g.config, g.deployment, g.cohort, g.metric
    on conflict (tenant_id, config, deployment, cohort, metric) do update set total = t.total + excluded.total
  `.execute(tx);
}

/** The first answer of an instance that was asked counts. */
export async function writeAnswers(tx: DeliveryTx, given: readonly TrialAnswer[]): Promise<void> {
  await sql`
    insert into config_trial_answers (tenant_id, trial, instance, ok, reason, answered_at)
    select g.tenant_id, g.trial, g.instance, g.ok, g.reason, g.at
    from unnest(
      ${column(given, ({ tenant }) => tenant)}::text[], ${column(given, ({ trial }) => trial)}::text[],
      ${column(given, ({ instance }) => instance)}::text[], ${column(given, ({ ok }) => ok)}::bool[],
      ${column(given, ({ reason }) => reason ?? null)}::text[], ${column(given, ({ at }) => at)}::timestamptz[]
    ) as g (tenant_id, trial, instance, ok, reason, at)
    join config_trials t on t.tenant_id = g.tenant_id and t.id = g.trial
    where t.instances ? g.instance and g.at <= t.expires_at
    order by g.tenant_id, g.trial, g.instance
    on conflict (tenant_id, trial, instance) do nothing
  `.execute(tx);
}
