/**
 * What the engine keeps: the port that it reads and writes deployments through, each call one transaction, and its one
 * driver for real, SQL. The other one is the simulation's (simulation.store.ts), which has the same promises:
 *
 * - A write names the seq and the epoch of the row that it was decided on, and throws `MovedOn` when either is older.
 * - Of the deployments of a target one is between its start and its end; a second start throws `TargetTaken`.
 * - Generations of a target only grow. Leases are told by the clock of the database, and by nothing else.
 */
import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import { isUniqueViolation } from "../stores/sql/failures.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { Gates } from "./decide.ts";
import { approvalContent, approvalSubject, freezeContent, freezeSubject } from "./deployments.approval.ts";
import * as rows from "./deployments.sql.ts";
import { approvalGate, groupAllows, readGates } from "./gates.ts";
import { insertHealth, sweep } from "./history.sql.ts";
import type { Look } from "./judging.ts";
import * as leases from "./leases.sql.ts";
import { auditEvents, ENGINE, noticeEvents } from "./records.ts";
import { type Event, isEnded } from "./state.ts";
import type { Claim, DeploymentRow, DeploymentTx } from "./tables.ts";
import type { Kind, Target } from "./target.ts";

export { type Beside, MovedOn } from "./deployments.sql.ts";

/** Another deployment of the target has begun. */
export class TargetTaken extends Error {
  constructor() {
    super("another deployment of the target is under way");
  }
}

export interface Loaded {
  readonly row: DeploymentRow;
  readonly gates: Gates;
  /** By the database, milliseconds since 1970. */
  readonly now: number;
}

export interface Written {
  readonly row: DeploymentRow;
  readonly events: readonly Event[];
  readonly now: number;
}

export interface DeploymentStore {
  /** Undefined when it has ended, or belongs to another epoch. */
  load(row: DeploymentRow): Promise<Loaded | undefined>;
  /** What was decided on this row, and what was seen beside. */
  save(
    loaded: Loaded,
    events: readonly Event[],
    beside: rows.Beside,
    looks: readonly Look[],
  ): Promise<Written>;
  /** A new generation of the target with this bound. */
  expose(row: DeploymentRow, bound: number): Promise<Written>;
  append(row: DeploymentRow, events: readonly Event[]): Promise<Written>;
  /** Whether somebody else has agreed that it may go on in spite of the freezes that are named. */
  breakGlass(row: DeploymentRow): Promise<boolean>;
  /** The end, and what the target has from now on. */
  end(row: DeploymentRow, version: "from" | "to"): Promise<Written>;

  /** Deployments under way that nobody holds, now held by this owner. A new owner is a new epoch. */
  claim(owner: string, leaseMs: number, limit: number): Promise<DeploymentRow[]>;
  /** Ids of those that are still this owner's. */
  renew(owner: string, leaseMs: number): Promise<string[]>;
  release(owner: string): Promise<void>;
  /** Deletes old samples, and what ended long ago. */
  sweep(healthDays: number, historyDays: number): Promise<void>;
}

export interface SqlStoreParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  approvals: Pick<Approvals, "newest" | "consume" | "notices">;
  targetOf(kind: Kind): Pick<Target, "start"> | undefined;
}

export class SqlStore implements DeploymentStore {
  readonly #parts: SqlStoreParts;

  constructor(parts: SqlStoreParts) {
    this.#parts = parts;
  }

  async load({ tenant_id: tenant, id, epoch, spec }: DeploymentRow): Promise<Loaded | undefined> {
    const { sql, approvals } = this.#parts;
    const subject = approvalSubject(id);
    const [approval] = spec.needsApproval ? await approvals.newest(tenant, subject, undefined, 1) : [];
    return sql.tenant(tenant, async (tx: DeploymentTx) => {
      const row = await rows.selectDeployment(tx, tenant, id);
      if (!row || row.epoch !== epoch || isEnded(row)) return undefined;
      const now = await rows.databaseNow(tx);
      return { row, gates: await readGates(tx, row, approvalGate(row, approval), now), now };
    });
  }

  async save(
    { row, now }: Loaded,
    events: readonly Event[],
    beside: rows.Beside,
    looks: readonly Look[],
  ): Promise<Written> {
    try {
      return await this.#write(row, async (tx) => {
        const isDecisive = events.some(({ type }) => type === "rollback" || type === "settling");
        if (isDecisive && !groupAllows(row, events, await rows.lockOthersOf(tx, row)))
          throw new rows.MovedOn();
        const isStart = events.some(({ type }) => type === "started");
        const all = { ...beside, ...(isStart && (await this.#begin(tx, row))) };
        await insertHealth(tx, claimOf(row), looks);
        return { events, beside: all, now };
      });
    } catch (error) {
      throw isUniqueViolation(error, "deployments_one_active") ? new TargetTaken() : error;
    }
  }

  expose(row: DeploymentRow, bound: number): Promise<Written> {
    return this.#write(row, async (tx) => {
      const generation = await rows.nextGeneration(tx, row.tenant_id, row.kind, row.target);
      return { events: [{ type: "exposed", bound, generation }] };
    });
  }

  append(row: DeploymentRow, events: readonly Event[]): Promise<Written> {
    return this.#write(row, async () => ({ events }));
  }

  async breakGlass(row: DeploymentRow): Promise<boolean> {
    const { sql, audit, approvals } = this.#parts;
    const { tenant_id: tenant, id } = row;
    const [approval] = await approvals.newest(tenant, freezeSubject(id), undefined, 1);
    if (approval?.state !== "approved") return false;
    const { isGiven: _, ...override } = row.freeze_override!;
    const about = { principal: { subject: ENGINE, tenant }, requestId: id };
    await sql.tenant(tenant, async (tx: DeploymentTx) => {
      const content = freezeContent(id, override);
      await approvals.consume(tx, { ...about, ...freezeSubject(id), content });
      await rows.setOverride(tx, row, { ...override, isGiven: true });
      const detail = { ...override, approval: approval.id, approvedBy: approval.decidedBy };
      const action = "deployments.glassbroken";
      await audit.record(tx, { ...about, action, resource: `deployments/${id}`, detail });
    });
    return true;
  }

  end(row: DeploymentRow, version: "from" | "to"): Promise<Written> {
    const reason = row.state.rollback?.reason;
    const status = version === "to" ? "succeeded" : "rolled_back";
    return this.#write(row, async (tx, now) => {
      await rows.settleTarget(tx, row, version === "to" ? row.version_to : row.version_from, now);
      const events = [{ type: "ended" as const, status, ...(reason !== undefined && { detail: reason }) }];
      return { events: events as Event[], beside: { trouble: null } };
    });
  }

  claim(owner: string, leaseMs: number, limit: number): Promise<DeploymentRow[]> {
    return this.#parts.sql.system((tx: DeploymentTx) => leases.claim(tx, owner, leaseMs, limit));
  }

  renew(owner: string, leaseMs: number): Promise<string[]> {
    return this.#parts.sql.system((tx: DeploymentTx) => leases.renew(tx, owner, leaseMs));
  }

  release(owner: string): Promise<void> {
    return this.#parts.sql.system((tx: DeploymentTx) => leases.release(tx, owner));
  }

  sweep(healthDays: number, historyDays: number): Promise<void> {
    return this.#parts.sql.system((tx: DeploymentTx) => sweep(tx, healthDays, historyDays));
  }

  /** Events, what was seen, and the audit of it, in one transaction. */
  #write(
    row: DeploymentRow,
    make: (
      tx: DeploymentTx,
      now: number,
    ) => Promise<{ events: readonly Event[]; beside?: rows.Beside; now?: number }>,
  ): Promise<Written> {
    return this.#parts.sql.tenant(row.tenant_id, async (tx: DeploymentTx) => {
      const databaseNow = await rows.databaseNow(tx);
      const { events, beside = {}, now = databaseNow } = await make(tx, databaseNow);
      const appended = await rows.append(tx, claimOf(row), row.state, events, now, beside);
      await auditEvents(this.#parts.audit, tx, row, events);
      const after = { ...row, ...beside, ...appended, status: appended.state.status };
      await noticeEvents(this.#parts.approvals.notices, tx, after, events);
      return { row: after, events, now };
    });
  }

  /** What is only right at the very start: the approval is used up, and what is in force now is the way back. */
  async #begin(tx: DeploymentTx, row: DeploymentRow): Promise<rows.Beside> {
    if (row.spec.needsApproval) {
      const principal = { subject: ENGINE, tenant: row.tenant_id };
      const subject = { principal, requestId: row.id, ...approvalSubject(row.id) };
      await this.#parts.approvals.consume(tx, { ...subject, content: approvalContent(row) });
    }
    const settled = await rows.settledSince(tx, row);
    const { tenant_id: tenant, kind, target: name } = row;
    const asked = { to: row.version_to, ...(row.spec.change && { change: row.spec.change }) };
    const started = await this.#parts.targetOf(kind)?.start(tx, { tenant, kind, name }, asked);
    return {
      ...(settled && { version_from: settled.version }),
      ...(started && { version_to: started.to, spec: { ...row.spec, summary: started.summary } }),
    };
  }
}

const claimOf = ({ tenant_id: tenant, id, seq, epoch }: DeploymentRow): Claim => ({
  tenant,
  id,
  seq,
  epoch,
});
