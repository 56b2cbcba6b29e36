/**
 * The roll of nodes and of what each one owns, in PostgreSQL. Time is the database's own, so that the clocks of
 * nodes do not matter. Rows with epochs, no locks of a session, no LISTEN: it works behind PgBouncer.
 *
 * - A session is dead when its row says so, and it is marked by whoever looks first after its lease. A heartbeat
 *   that comes after the mark finds no row: the mark and the heartbeat meet in the row's lock.
 * - A unit is taken over only from a session that is marked dead, has stopped, or is unknown. Each change of owner
 *   makes the epoch larger by one.
 */
import { sql } from "kysely";
import type { Sql, Tx } from "../../stores/sql/port.ts";
import type { BrokerNode, NodeHealth, NodeState } from "./node.ts";
import type { Unit } from "./unit.ts";

export interface NodeEntry {
  id: string;
  name: string;
  address: string;
  leaseMs: number;
  health: NodeHealth;
}

export interface Owned {
  unit: Unit;
  epoch: number;
}

export interface Owner {
  node: string;
  epoch: number;
}

/** Changed topics and subscriptions since a look before. */
export interface Changes {
  /** To be handed in at the next look. */
  upTo: string;
  topics: { tenant: string; name: string }[];
}

type AnyTables = Record<string, never>;
type RollTx = Tx<AnyTables>;

interface NodeRow {
  id: string;
  name: string;
  address: string;
  state: NodeState;
  lease_ms: number;
  started_at: Date;
  heartbeat_at: Date;
  silent_ms: number;
  alive_ms: number;
  health: NodeHealth;
}

interface OwnerRow {
  tenant_id: string;
  topic: string;
  epoch: string;
}

/** Rows of nodes that are gone are kept for people to see, this long. */
const remembered = "1 hour";
const expired = sql.raw("heartbeat_at + lease_ms * interval '1 millisecond' <= clock_timestamp()");
const living = sql.raw("state in ('started', 'draining')");
const columns = sql.raw(`id, name, address, state, lease_ms, started_at, heartbeat_at, health,
  extract(epoch from clock_timestamp() - heartbeat_at)::float8 * 1000 as silent_ms,
  extract(epoch from clock_timestamp() - started_at)::float8 * 1000 as alive_ms`);

export class Roll {
  readonly #sql: Sql;

  constructor(store: Sql) {
    this.#sql = store;
  }

  async enter({ id, name, address, leaseMs, health }: NodeEntry): Promise<void> {
    await this.#sql.system(async (tx: RollTx) => {
      await sql`delete from messaging_nodes where not (${living})
        and heartbeat_at < clock_timestamp() - ${remembered}::interval`.execute(tx);
      await sql`insert into messaging_nodes (id, name, address, state, lease_ms, health)
        values (${id}, ${name}, ${address}, 'started', ${leaseMs}, ${JSON.stringify(health)})`.execute(tx);
    });
  }

  /** Resolves to whether the session lives on. */
  async beat(id: string, state: "started" | "draining", health: NodeHealth): Promise<boolean> {
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql`update messaging_nodes
        set heartbeat_at = clock_timestamp(), state = ${state}, health = ${JSON.stringify(health)}
        where id = ${id} and ${living} and not (${expired}) returning id`.execute(tx);
      return rows.length > 0;
    });
  }

  /** Ends the session: what it still owns is free from now on. */
  async leave(id: string): Promise<void> {
    await this.#sql.system((tx: RollTx) =>
      sql`update messaging_nodes set state = 'stopped' where id = ${id} and ${living}`.execute(tx),
    );
  }

  /** All nodes, those first marked dead that are. */
  async nodes(): Promise<BrokerNode[]> {
    return this.#sql.system(async (tx: RollTx) => {
      await sql`update messaging_nodes set state = 'dead' where ${living} and ${expired}`.execute(tx);
      const { rows } = await sql<NodeRow>`select ${columns} from messaging_nodes order by id`.execute(tx);
      return rows.map(toNode);
    });
  }

  async ownerOf({ tenant, topic }: Unit): Promise<Owner | undefined> {
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql<{ node: string; epoch: string }>`select node, epoch from messaging_owners
        where tenant_id = ${tenant} and topic = ${topic}`.execute(tx);
      return rows[0] && { node: rows[0].node, epoch: Number(rows[0].epoch) };
    });
  }

  async ownedBy(id: string): Promise<Owned[]> {
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql<OwnerRow>`select tenant_id, topic, epoch from messaging_owners
        where node = ${id}`.execute(tx);
      return rows.map(toOwned);
    });
  }

  /** Units whose owner is gone. */
  async orphans(): Promise<Unit[]> {
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql<OwnerRow>`select tenant_id, topic, epoch from messaging_owners
        where not exists (select from messaging_nodes where id = node and ${living})`.execute(tx);
      return rows.map((row) => toOwned(row).unit);
    });
  }

  /** Takes those of the units that nobody owns. Resolves to what was taken. */
  async claim(id: string, units: readonly Unit[]): Promise<Owned[]> {
    const sorted = units.toSorted((a, b) => order(a.tenant, b.tenant) || order(a.topic, b.topic));
    const tenants = sorted.map(({ tenant }) => tenant);
    const topics = sorted.map(({ topic }) => topic);
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql<OwnerRow>`insert into messaging_owners (tenant_id, topic, node, epoch)
        select wanted.tenant_id, wanted.topic, ${id}, 1
        from unnest(${tenants}::text[], ${topics}::text[]) as wanted(tenant_id, topic)
        where exists (select from messaging_nodes where id = ${id} and state = 'started' and not (${expired}))
        on conflict (tenant_id, topic) do update set node = excluded.node, epoch = messaging_owners.epoch + 1
        where not exists (select from messaging_nodes where id = messaging_owners.node and ${living})
        returning tenant_id, topic, epoch`.execute(tx);
      return rows.map(toOwned);
    });
  }

  /** Hands units over to a node that takes some. Resolves to those that were still this session's. */
  async assign(from: string, to: string, owned: readonly Owned[]): Promise<Owned[]> {
    const sorted = owned.toSorted(
      (a, b) => order(a.unit.tenant, b.unit.tenant) || order(a.unit.topic, b.unit.topic),
    );
    const tenants = sorted.map(({ unit }) => unit.tenant);
    const topics = sorted.map(({ unit }) => unit.topic);
    const epochs = sorted.map(({ epoch }) => epoch);
    return this.#sql.system(async (tx: RollTx) => {
      const { rows } = await sql<OwnerRow>`update messaging_owners as owner
        set node = ${to}, epoch = owner.epoch + 1
        from unnest(${tenants}::text[], ${topics}::text[], ${epochs}::bigint[]) as given(tenant_id, topic, epoch)
        where owner.tenant_id = given.tenant_id and owner.topic = given.topic and owner.epoch = given.epoch
          and owner.node = ${from}
          and exists (select from messaging_nodes where id = ${to} and state = 'started' and not (${expired}))
        returning owner.tenant_id, owner.topic, owner.epoch`.execute(tx);
      return rows.map(toOwned);
    });
  }

  /**
   * Topics that have changed, or whose subscriptions have. What was not finished at the look before is told again,
   * so nothing is missed, in whatever order transactions end.
   */
  async changes(since: string | undefined): Promise<Changes> {
    return this.#sql.system(async (tx: RollTx) => {
      const { rows: now } = await sql<{ up_to: string }>`
        select pg_snapshot_xmin(pg_current_snapshot())::text as up_to`.execute(tx);
      const upTo = now[0]!.up_to;
      if (since === undefined) return { upTo, topics: [] };
      const { rows } = await sql<{ tenant_id: string; topic: string }>`select tenant_id, topic
        from messaging_changes where changed_in >= ${since}::xid8`.execute(tx);
      return { upTo, topics: rows.map(({ tenant_id: tenant, topic: name }) => ({ tenant, name })) };
    });
  }
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function toNode(row: NodeRow): BrokerNode {
  const { id, name, address, state, lease_ms: leaseMs, started_at: startedAt, health } = row;
  const { heartbeat_at: heartbeatAt, silent_ms: silentMs, alive_ms: aliveMs } = row;
  return { id, name, address, state, leaseMs, startedAt, heartbeatAt, silentMs, aliveMs, health };
}

const toOwned = ({ tenant_id: tenant, topic, epoch }: OwnerRow): Owned => ({
  unit: { tenant, topic },
  epoch: Number(epoch),
});
