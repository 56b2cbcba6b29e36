/**
 * Trials: before a version is deployed, and before a draft is a version, live instances are asked whether they would
 * take it. They check it and apply nothing. The sample is chosen by the trial's id, so that it is another one each
 * time; who does not answer in time is shown as silent.
 *
 * What is tried is known by its hash: what was said of a draft is also said of the version that it becomes.
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
import type { Drafts } from "./drafts.ts";
import type { Hub } from "./hub.ts";
import { selectUnits } from "./instances.sql.ts";
import type { Reports } from "./reports.ts";
import type { ScopeName } from "./scopes.sql.ts";
import type { Trial } from "./trials.schema.ts";
import { insertTrial, selectAnswers, selectTrials, type TrialsOf } from "./trials.sql.ts";

export interface TrialsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  hub: Hub;
  drafts: Pick<Drafts, "prepared">;
  reports: Pick<Reports, "flush">;
  heartbeatMs: number;
}

/** What is tried: a version, or a draft as it was. */
type Subject = Pick<TrialRow, "version" | "hash" | "author" | "revision" | "value">;

/** Long enough for those that hear of it by a heartbeat only. */
const heartbeatsToAnswer = 3;
const shownMax = 20;

export class Trials {
  readonly #parts: TrialsParts;

  constructor(parts: TrialsParts) {
    this.#parts = parts;
  }

  /** Throws `config_version_not_found`, or `config_trial_nobody` when no instance is there. */
  ofVersion(actor: Actor, config: string, version: number, count: number): Promise<Trial> {
    const { tenant } = actor.principal;
    return this.#begin(actor, config, count, async (tx) => {
      const { hash } = await requireVersion(tx, tenant, config, version, "path/version");
      return { version, hash, author: null, revision: null, value: null };
    });
  }

  /** Of the caller's own draft. Throws what keeps it from being a version, or `config_trial_nobody`. */
  async ofDraft(actor: Actor, config: string, count: number): Promise<Trial> {
    const { row, prepared } = await this.#parts.drafts.prepared(actor.principal, config);
    const { author, revision } = row;
    const { hash, value } = prepared;
    return this.#begin(actor, config, count, async () => ({ version: null, hash, author, revision, value }));
  }

  async #begin(
    actor: Actor,
    config: string,
    count: number,
    readSubject: (tx: DeliveryTx) => Promise<Subject>,
  ): Promise<Trial> {
    const { sql, audit, clock, makeId, hub, heartbeatMs } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    let scope: ScopeName | undefined;
    const work = async (tx: DeliveryTx) => {
      const facts = await requireConfig(tx, tenant, config);
      guard(principal, "configs.write", facts);
      const { service, environment } = facts;
      scope = { tenant, service, environment };
      const subject = await readSubject(tx);
      const now = clock.now();
      const id = makeId();
      const instances = await this.#sample(tx, scope, config, id, count);
      const trial: TrialRow = {
        ...{ tenant_id: tenant, id, config, instances, subject: principal.subject, ...subject },
        created_at: new Date(now),
        expires_at: new Date(now + heartbeatsToAnswer * heartbeatMs),
      };
      await insertTrial(tx, trial);
      await moveRevision(tx, scope, config);
      const { version, hash, revision } = subject;
      const detail = { ...(version === null ? { draft: revision, hash } : { version }), instances };
      const resource = `configs/${config}`;
      await audit.record(tx, { principal, action: "config.trial", resource, requestId, detail });
      return this.#show(trial, []);
    };
    return change(sql, actor, work, () => hub.changed(scope!));
  }

  /** Throws `config_trial_nobody`. */
  async #sample(tx: DeliveryTx, scope: ScopeName, config: string, seed: string, count: number) {
    const { tenant, service, environment } = scope;
    const silentBefore = this.#parts.clock.now() - heartbeatsToAnswer * this.#parts.heartbeatMs;
    const units = await selectUnits(tx, tenant, { config, service, environment });
    const live = units.filter(({ seenAt }) => seenAt >= silentBefore).map(({ id }) => id);
    if (live.length === 0) {
      const detail = `No instance of ${service} in ${environment} is there.`;
      throw new HotSwapError("config_trial_nobody", detail);
    }
    return live.sort((a, b) => positionOf(seed, a) - positionOf(seed, b)).slice(0, count);
  }

  /** Also those of a draft that said the same. The newest first. */
  listOfVersion(principal: Principal, config: string, version: number): Promise<Trial[]> {
    return this.#list(principal, config, (tx) =>
      requireVersion(tx, principal.tenant, config, version, "path/version"),
    );
  }

  /** Of the caller's own drafts. The newest first. */
  listOfDraft(principal: Principal, config: string): Promise<Trial[]> {
    return this.#list(principal, config, async () => ({ author: principal.subject }));
  }

  async #list(
    principal: Principal,
    config: string,
    of: (tx: DeliveryTx) => Promise<TrialsOf>,
  ): Promise<Trial[]> {
    const { sql, reports } = this.#parts;
    const { tenant } = principal;
    await reports.flush();
    return sql.tenant(tenant, async (tx: DeliveryTx) => {
      guard(principal, "configs.read", await requireConfig(tx, tenant, config));
      const trials = await selectTrials(tx, tenant, config, await of(tx), shownMax);
      const ids = trials.map(({ id }) => id);
      const answers = Map.groupBy(await selectAnswers(tx, tenant, ids), ({ trial }) => trial);
      return trials.map((trial) => this.#show(trial, answers.get(trial.id) ?? []));
    });
  }

  #show(trial: TrialRow, rows: readonly { instance: string; ok: boolean; reason: string | null }[]): Trial {
    const { id, version, author, revision, instances, subject, created_at, expires_at } = trial;
    const isOfDraft = author !== null && revision !== null;
    const answers = rows.map(({ instance, ok, reason }) => ({
      instanceId: instance,
      ok,
      reason: reason ?? "",
    }));
    const answered = new Set(rows.map(({ instance }) => instance));
    const accepted = answers.filter(({ ok }) => ok).length;
    const isOver = expires_at.getTime() <= this.#parts.clock.now();
    return {
      ...{ id, version, draft: isOfDraft ? { author, revision } : null },
      ...{ answers, accepted, rejected: answers.length - accepted, asked: instances.length },
      status: answers.length === instances.length ? "done" : isOver ? "expired" : "asking",
      silent: instances.filter((instance) => !answered.has(instance)),
      ...{ by: subject, at: created_at.toISOString(), expiresAt: expires_at.toISOString() },
    };
  }
}
