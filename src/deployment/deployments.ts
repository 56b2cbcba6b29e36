/**
 * Deployments as people ask for them: made, paused, resumed, promoted and rolled back, each in one transaction with its
 * audit entry. What they ask for are events, appended as the engine's are; the engine is poked and does the rest.
 */
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Random } from "../core/random.ts";
import { authorize, type Permission } from "../platform/access/index.ts";
import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { approvalContent, approvalSubject, freezeContent, freezeSubject } from "./deployments.approval.ts";
import { checkThing, type DeploymentBody, specOf, unfit } from "./deployments.schema.ts";
import * as rows from "./deployments.sql.ts";
import type { Engine } from "./engine.ts";
import { selectFreezesOf } from "./freezes.sql.ts";
import { isCommitted } from "./gates.ts";
import { type Slice, selectEvents, selectHealth } from "./history.sql.ts";
import { planOf, type Step } from "./plan.ts";
import { assignmentOf, refOf } from "./run.ts";
import { newTrace } from "./spans.ts";
import { type Event, initial, isEnded } from "./state.ts";
import type { DeploymentRow, DeploymentTables, DeploymentTx, EventRow, HealthRow } from "./tables.ts";
import type { Observation, Resolved, Target } from "./target.ts";

export interface DeploymentsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  approvals: Pick<Approvals, "request" | "newest">;
  engine: Pick<Engine, "targetOf" | "changed" | "poke">;
  makeId: MakeId;
  random: Random;
  /** Under way at once, of one tenant. */
  activeMax: number;
}

const FREEZES_MAX = 100;

export interface Created {
  row: DeploymentRow;
  plan: readonly Step[];
  approvalId: string | undefined;
}

export class Deployments {
  readonly #parts: DeploymentsParts;

  constructor(parts: DeploymentsParts) {
    this.#parts = parts;
  }

  async create(actor: Actor, body: DeploymentBody): Promise<Created> {
    const { sql, engine } = this.#parts;
    checkThing(body);
    const target = engine.targetOf(body.kind);
    if (!target) throw new HotSwapError("deployment_kind_unknown", `Nothing here deploys a ${body.kind}.`);
    const created = await change<DeploymentTables, Created>(
      sql,
      actor,
      (tx) => this.#create(tx, actor, body, target),
      ({ row: { tenant_id: tenant, id } }) => {
        if (!actor.dryRun) engine.changed({ tenant, id });
      },
    );
    if (!actor.dryRun) return created;
    const units = await unitsOf(target, created.row);
    return { ...created, plan: planFor(created.row, units) };
  }

  async #create(tx: DeploymentTx, actor: Actor, body: DeploymentBody, target: Target): Promise<Created> {
    const { makeId, approvals, activeMax } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    if ((await rows.countOpen(tx, tenant)) >= activeMax) throw tooMany(activeMax);
    const resolved = await target.resolve(tx, actor, body as unknown as Record<string, unknown>);
    const { environment } = resolved;
    authorize(principal, "deployments.write", { tenant, environment });
    const id = makeId();
    const now = await rows.databaseNow(tx);
    const row = await this.#newRow(tx, { id, actor, body, resolved, now });
    const events: Event[] = [{ type: "created" }];
    await rows.insertDeployment(tx, row);
    const claim = { tenant, id, seq: 0, epoch: 0 };
    const appended = await rows.append(tx, claim, initial, events, now);
    const created: DeploymentRow = { ...row, ...appended, status: appended.state.status };
    const plan = planFor(created, 0);
    await this.#record(tx, actor, "deployments.create", created, {
      strategy: row.strategy,
      version: row.version_to,
    });
    if (body.onConflict === "supersede") await this.#supersede(tx, actor, created);
    if (!row.spec.needsApproval) return { row: created, plan, approvalId: undefined };
    const approval = await approvals.request(tx, {
      ...{ principal, requestId, ...approvalSubject(id), content: approvalContent(created) },
      ...{ environment, summary: row.spec.summary.slice(0, 500) },
    });
    return { row: created, plan, approvalId: approval.id };
  }

  async #newRow(tx: DeploymentTx, { id, actor, body, resolved, now }: NewRow): Promise<DeploymentRow> {
    const { tenant, subject } = actor.principal;
    const spec = specOf(body, resolved, id);
    for (const [index, requirement] of spec.requires.entries()) {
      if (!("deployment" in requirement)) continue;
      const known = await rows.selectDeployment(tx, tenant, requirement.deployment);
      if (!known) throw unfit(`/requires/${index}/deployment`, "is no deployment of this tenant");
    }
    const group = body.group === undefined ? undefined : await rows.selectOpenGroup(tx, tenant, body.group);
    const at = new Date(now);
    return {
      ...{ tenant_id: tenant, id, kind: resolved.ref.kind, target: resolved.ref.name },
      ...{ environment: resolved.environment ?? null, strategy: spec.strategy.strategy, spec },
      ...{ version_from: resolved.from ?? null, version_to: resolved.to },
      ...{ status: initial.status, state: initial, seq: 0, epoch: 0, occupies: false },
      ...{ group_id: body.group === undefined ? null : (group ?? id), group_name: body.group ?? null },
      ...{ progress: null, judge: null, verdicts: [], cursor: null, trouble: null, freeze_override: null },
      trace: newTrace(this.#parts.random) ?? null,
      ...{ created_by: subject, created_at: at, started_at: null, ended_at: null, wake_at: at },
      ...{ lease_owner: null, lease_until: null },
    };
  }

  /** All others of the target give way: what has begun goes back first. */
  async #supersede(
    tx: DeploymentTx,
    actor: Actor,
    { tenant_id, id, kind, target }: DeploymentRow,
  ): Promise<void> {
    for (const other of await rows.selectOpenOf(tx, tenant_id, kind, target)) {
      if (other.id === id) continue;
      const locked = await rows.lockDeployment(tx, tenant_id, other.id);
      if (!locked || isEnded(locked) || locked.state.rollback || locked.state.settling) continue;
      if (isCommitted(locked, await rows.lockOthersOf(tx, locked))) continue;
      const reason = `Superseded by deployment ${id}.`;
      const by = actor.principal.subject;
      await this.#append(tx, locked, [{ type: "rollback", cause: "superseded", reason, by }]);
      await this.#record(tx, actor, "deployments.rollback", locked, { cause: "superseded", by: id });
    }
  }

  list(principal: Principal, filter: rows.DeploymentFilter, before: string | undefined, limit: number) {
    return this.#parts.sql.tenant(principal.tenant, (tx: DeploymentTx) =>
      rows.selectDeployments(tx, principal.tenant, filter, before, limit),
    );
  }

  /** Throws `deployment_not_found`, or `permission_denied` for a token that is restricted to other environments. */
  async get(principal: Principal, id: string, kind?: DeploymentRow["kind"]): Promise<DeploymentRow> {
    const { tenant } = principal;
    const row = await this.#parts.sql.tenant(tenant, (tx: DeploymentTx) =>
      rows.selectDeployment(tx, tenant, id),
    );
    return allowed(principal, "deployments.read", found(row, id, kind));
  }

  events(tenant: string, id: string, slice: Slice): Promise<EventRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: DeploymentTx) => selectEvents(tx, tenant, id, slice));
  }

  health(tenant: string, id: string, slice: Slice): Promise<HealthRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: DeploymentTx) => selectHealth(tx, tenant, id, slice));
  }

  /** The request for approval of a deployment that needs one. */
  async approvalOf(row: DeploymentRow): Promise<string | undefined> {
    if (!row.spec.needsApproval) return undefined;
    const [approval] = await this.#parts.approvals.newest(
      row.tenant_id,
      approvalSubject(row.id),
      undefined,
      1,
    );
    return approval?.id;
  }

  pause(actor: Actor, id: string, reason: string | undefined): Promise<DeploymentRow> {
    return this.#verb(actor, id, "pause", { reason }, ({ status, state }) => {
      if (isEnded({ status }) || state.rollback) throw refused(status, "paused");
      const detail = reason ?? `Paused by ${actor.principal.subject}.`;
      return [{ type: "held", reason: "manual", detail }];
    });
  }

  resume(actor: Actor, id: string): Promise<DeploymentRow> {
    return this.#verb(actor, id, "resume", {}, ({ status, state }) => {
      if (isEnded({ status }) || state.rollback) throw refused(status, "resumed");
      const isPaused = state.holds.some(({ reason }) => reason === "manual");
      return isPaused ? [{ type: "released", reason: "manual", by: actor.principal.subject }] : [];
    });
  }

  promote(
    actor: Actor,
    id: string,
    { full, reason }: { full: boolean; reason?: string },
  ): Promise<DeploymentRow> {
    return this.#verb(actor, id, "promote", { full, reason }, ({ status, state }) => {
      const isRunning = state.startedAt !== undefined && !state.rollback && !isEnded({ status });
      if (!isRunning) throw refused(status, "promoted");
      const by = actor.principal.subject;
      return [{ type: "promoted", by, full, ...(reason !== undefined && { reason }) }];
    });
  }

  /** Nothing happens to what has ended, settles, or is on its way back: the answer says so. */
  rollback(actor: Actor, id: string, reason: string): Promise<DeploymentRow> {
    return this.#verb(actor, id, "rollback", { reason }, ({ status, state }) => {
      if (isEnded({ status }) || state.rollback || state.settling) return [];
      return [{ type: "rollback", cause: "manual", reason, by: actor.principal.subject }];
    });
  }

  /** Asks that this deployment may go on in spite of the freezes that hold it now. Somebody else must agree. */
  async breakGlass(
    actor: Actor,
    id: string,
    reason: string,
  ): Promise<{ row: DeploymentRow; approvalId: string }> {
    const { sql, approvals, engine } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: DeploymentTx) => {
      const row = await this.#lock(tx, principal, id);
      const freezes = await selectFreezesOf(tx, tenant, row);
      if (isEnded(row) || freezes.length === 0)
        throw new HotSwapError("deployment_state_refused", "No freeze holds this deployment.");
      const override = {
        freezes: freezes.slice(0, FREEZES_MAX).map((freeze) => freeze.id),
        ...{ reason, by: principal.subject, isGiven: false },
      };
      await rows.setOverride(tx, row, override);
      await this.#record(tx, actor, "deployments.breakglass", row, { reason, freezes: override.freezes });
      const approval = await approvals.request(tx, {
        ...{
          principal,
          requestId,
          ...freezeSubject(id),
          summary: `Freeze of ${row.spec.summary}: ${reason}`.slice(0, 500),
        },
        ...{ content: freezeContent(id, override), environment: row.environment ?? undefined },
      });
      return { row: { ...row, freeze_override: override }, approvalId: approval.id };
    };
    return change(sql, actor, work, () => engine.changed({ tenant, id }));
  }

  /** Locks, appends, audits. Without events nothing is changed, and the audit says that it was asked for. */
  async #verb(
    actor: Actor,
    id: string,
    verb: string,
    detail: object,
    decide: (row: DeploymentRow) => Event[],
  ): Promise<DeploymentRow> {
    const { sql, engine } = this.#parts;
    const { tenant } = actor.principal;
    const work = async (tx: DeploymentTx) => {
      const row = await this.#lock(tx, actor.principal, id);
      const isTooLate = verb === "rollback" && isCommitted(row, await rows.lockOthersOf(tx, row));
      const events = isTooLate ? [] : decide(row);
      const after = events.length > 0 ? await this.#append(tx, row, events) : row;
      await this.#record(tx, actor, `deployments.${verb}`, row, { ...detail, status: row.status });
      return after;
    };
    return change(sql, actor, work, () => engine.changed({ tenant, id }));
  }

  async #lock(tx: DeploymentTx, principal: Principal, id: string): Promise<DeploymentRow> {
    return allowed(
      principal,
      "deployments.write",
      found(await rows.lockDeployment(tx, principal.tenant, id), id),
    );
  }

  async #append(tx: DeploymentTx, row: DeploymentRow, events: readonly Event[]): Promise<DeploymentRow> {
    const now = await rows.databaseNow(tx);
    const { tenant_id: tenant, id, seq, epoch } = row;
    const appended = await rows.append(tx, { tenant, id, seq, epoch }, row.state, events, now);
    return { ...row, ...appended, status: appended.state.status };
  }

  #record(tx: DeploymentTx, actor: Actor, action: string, row: DeploymentRow, detail: object): Promise<void> {
    const { principal, requestId } = actor;
    const about = { kind: row.kind, target: row.target, environment: row.environment };
    return this.#parts.audit.record(tx, {
      ...{ principal, action, resource: `deployments/${row.id}`, requestId },
      detail: { ...about, ...detail },
    });
  }
}

interface NewRow {
  id: string;
  actor: Actor;
  body: DeploymentBody;
  resolved: Resolved;
  now: number;
}

/** The plan as it is for the units that there are; until they are known, for the strategy alone. */
export function planFor({ spec, state }: DeploymentRow, units: number): readonly Step[] {
  if (state.plan.length > 0) return state.plan;
  return planOf(spec.strategy, { kind: spec.inventory, units });
}

async function unitsOf(target: Target, row: DeploymentRow): Promise<number> {
  const observed: Observation = await target.observe(refOf(row), assignmentOf(row), undefined);
  return observed.units;
}

function found(row: DeploymentRow | undefined, id: string, kind?: DeploymentRow["kind"]): DeploymentRow {
  if (!row || (kind !== undefined && row.kind !== kind))
    throw new HotSwapError("deployment_not_found", `There is no deployment ${id}.`);
  return row;
}

function allowed(principal: Principal, permission: Permission, row: DeploymentRow): DeploymentRow {
  authorize(principal, permission, { tenant: row.tenant_id, environment: row.environment ?? undefined });
  return row;
}

function refused(status: DeploymentRow["status"], what: string): HotSwapError {
  return new HotSwapError("deployment_state_refused", `A deployment that is ${status} cannot be ${what}.`);
}

const tooMany = (max: number) =>
  new HotSwapError(
    "deployments_full",
    `A tenant may have ${max} deployments under way (deployment.activeMax).`,
  );
