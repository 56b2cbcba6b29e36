/**
 * Trials: before a version is deployed, live instances are asked whether they would take it. They check it and apply
 * nothing. The sample is chosen by the trial's id, so that it is another one each time; who does not answer in time is
 * shown as silent.
 */
import type { Clock } from "../core/clock.ts";
import { positionOf } from "../core/cohort.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { guard } from "./access.ts";
import { moveRevision, requireConfig, requireVersion } from "./assignments.sql.ts";
import type { DeliveryTx, TrialRow } from "./delivery.tables.ts";
import type { Hub } from "./hub.ts";
import { selectUnits } from "./instances.sql.ts";
import type { Reports } from "./reports.ts";
import type { ScopeName } from "./scopes.sql.ts";
import { insertTrial, selectAnswers, selectTrials } from "./trials.sql.ts";

export interface TrialsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  hub: Hub;
  reports: Pick<Reports, "flush">;
  heartbeatMs: number;
}

export interface Trial {
  id: string;
  version: number;
  /** "done": everybody has answered. */
  status: "asking" | "done" | "expired";
  asked: number;
  accepted: number;
  rejected: number;
  answers: { instanceId: string; ok: boolean; reason: string }[];
  silent: string[];
  by: string;
  at: string;
  expiresAt: string;
}

/** Long enough for those that hear of it by a heartbeat only. */
const heartbeatsToAnswer = 3;
const shownMax = 20;

export class Trials {
  readonly #parts: TrialsParts;

  constructor(parts: TrialsParts) {
    this.#parts = parts;
  }

  /** Throws `config_trial_nobody` when no instance is there. */
  async begin(actor: Actor, config: string, version: number, count: number): Promise<Trial> {
    const { sql, audit, clock, makeId, hub, heartbeatMs } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant, subject } = principal;
    let scope: ScopeName | undefined;
    const work = async (tx: DeliveryTx) => {
      const facts = await requireConfig(tx, tenant, config);
      guard(principal, "configs.write", facts);
      const { service, environment } = facts;
      scope = { tenant, service, environment };
      await requireVersion(tx, tenant, config, version, "path/version");
      const now = clock.now();
      const id = makeId();
      const units = await selectUnits(tx, tenant, { config, service, environment });
      const instances = units
        .filter(({ seen_at }) => seen_at.getTime() >= now - heartbeatsToAnswer * heartbeatMs)
        .map((unit) => unit.id)
        .sort((a, b) => positionOf(id, a) - positionOf(id, b))
        .slice(0, count);
      if (instances.length === 0) {
        throw new HotSwapError(
          "config_trial_nobody",
          `No instance of ${service} in ${environment} is there.`,
        );
      }
      const expires_at = new Date(now + heartbeatsToAnswer * heartbeatMs);
      const trial = {
        tenant_id: tenant,
        id,
        config,
        version,
        subject,
        created_at: new Date(now),
        expires_at,
      };
      await insertTrial(tx, { ...trial, instances });
      await moveRevision(tx, scope, config);
      const detail = { version, instances };
      await audit.record(tx, {
        principal,
        action: "config.trial",
        resource: `configs/${config}`,
        requestId,
        detail,
      });
      return this.#show({ ...trial, instances }, []);
    };
    return change(sql, actor, work, () => hub.changed(scope!));
  }

  /** The newest first. */
  async list(principal: Principal, config: string, version: number): Promise<Trial[]> {
    const { sql, reports } = this.#parts;
    const { tenant } = principal;
    await reports.flush();
    return sql.tenant(tenant, async (tx: DeliveryTx) => {
      guard(principal, "configs.read", await requireConfig(tx, tenant, config));
      await requireVersion(tx, tenant, config, version, "path/version");
      const trials = await selectTrials(tx, tenant, config, version, shownMax);
      const answers = await selectAnswers(
        tx,
        tenant,
        trials.map(({ id }) => id),
      );
      return trials.map((trial) =>
        this.#show(
          trial,
          answers.filter((answer) => answer.trial === trial.id),
        ),
      );
    });
  }

  #show(trial: TrialRow, rows: readonly { instance: string; ok: boolean; reason: string | null }[]): Trial {
    const { id, version, instances, subject, created_at, expires_at } = trial;
    const answers = rows.map(({ instance, ok, reason }) => ({
      instanceId: instance,
      ok,
      reason: reason ?? "",
    }));
    const answered = new Set(rows.map(({ instance }) => instance));
    const accepted = answers.filter(({ ok }) => ok).length;
    const isOver = expires_at.getTime() <= this.#parts.clock.now();
    return {
      ...{ id, version, answers, accepted, rejected: answers.length - accepted, asked: instances.length },
      status: answers.length === instances.length ? "done" : isOver ? "expired" : "asking",
      silent: instances.filter((instance) => !answered.has(instance)),
      ...{ by: subject, at: created_at.toISOString(), expiresAt: expires_at.toISOString() },
    };
  }
}
