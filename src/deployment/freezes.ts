/** Windows in which no deployment goes forward. Going back is never frozen. */
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { databaseNow } from "./deployments.sql.ts";
import * as rows from "./freezes.sql.ts";
import type { DeploymentTables, DeploymentTx, FreezeRow } from "./tables.ts";
import type { Kind } from "./target.ts";

export interface FreezesParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  makeId: MakeId;
  /** Of one tenant. */
  freezesMax: number;
  /** What waits may go on, or may not any more. */
  onChange(): void;
}

export interface FreezeBody {
  kind?: Kind;
  environment?: string;
  target?: string;
  from?: string;
  to: string;
  reason: string;
}

export class Freezes {
  readonly #parts: FreezesParts;

  constructor(parts: FreezesParts) {
    this.#parts = parts;
  }

  create(actor: Actor, body: FreezeBody): Promise<FreezeRow> {
    const { makeId, freezesMax } = this.#parts;
    const { tenant, subject } = actor.principal;
    return this.#change(actor, "freezes.create", async (tx) => {
      if ((await rows.countFreezes(tx, tenant)) >= freezesMax)
        throw new HotSwapError("deployments_full", `A tenant may have ${freezesMax} freezes.`);
      const now = new Date(await databaseNow(tx));
      const made = { tenant_id: tenant, id: makeId(), version: 1, created_by: subject, created_at: now };
      return rows.insertFreeze(tx, { ...made, ...columnsOf(body, now) });
    });
  }

  list(tenant: string, before: string | undefined, limit: number): Promise<FreezeRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: DeploymentTx) =>
      rows.selectFreezes(tx, tenant, before, limit),
    );
  }

  get(tenant: string, id: string): Promise<FreezeRow> {
    return this.#parts.sql.tenant(tenant, async (tx: DeploymentTx) =>
      found(await rows.lockFreeze(tx, tenant, id), id),
    );
  }

  /** `check` throws when the caller's precondition fails. */
  update(actor: Actor, id: string, body: FreezeBody, check: (row: FreezeRow) => void): Promise<FreezeRow> {
    const { tenant } = actor.principal;
    return this.#change(actor, "freezes.update", async (tx) => {
      const before = found(await rows.lockFreeze(tx, tenant, id), id);
      check(before);
      return rows.updateFreeze(tx, {
        ...before,
        ...columnsOf(body, before.from_at),
        version: before.version + 1,
      });
    });
  }

  delete(actor: Actor, id: string): Promise<FreezeRow> {
    const { tenant } = actor.principal;
    return this.#change(actor, "freezes.delete", async (tx) => {
      const before = found(await rows.lockFreeze(tx, tenant, id), id);
      await rows.deleteFreeze(tx, tenant, id);
      return before;
    });
  }

  #change(actor: Actor, action: string, work: (tx: DeploymentTx) => Promise<FreezeRow>): Promise<FreezeRow> {
    const { sql, audit, onChange } = this.#parts;
    const { principal, requestId } = actor;
    const audited = async (tx: DeploymentTx) => {
      const row = await work(tx);
      const { kind, environment, target, from_at: from, to_at: to, reason } = row;
      const detail = { kind, environment, target, from: from.toISOString(), to: to.toISOString(), reason };
      await audit.record(tx, { principal, action, resource: `freezes/${row.id}`, requestId, detail });
      return row;
    };
    return change<DeploymentTables, FreezeRow>(sql, actor, audited, onChange);
  }
}

function columnsOf({ kind, environment, target, from, to, reason }: FreezeBody, now: Date) {
  const [from_at, to_at] = [from === undefined ? now : new Date(from), new Date(to)];
  if (to_at <= from_at)
    throw new HotSwapError("validation_failed", "to must be after from.", {
      fields: [{ pointer: "/to", message: "must be after from" }],
    });
  return {
    kind: kind ?? null,
    environment: environment ?? null,
    target: target ?? null,
    from_at,
    to_at,
    reason,
  };
}

function found(row: FreezeRow | undefined, id: string): FreezeRow {
  if (!row) throw new HotSwapError("not_found", `There is no freeze ${id}.`);
  return row;
}
