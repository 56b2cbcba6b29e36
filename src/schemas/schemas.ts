/**
 * The registry: versions of subjects, and their life (lifecycle.ts). A version is compared with those in force
 * before it is kept and again before it is approved; what is slow happens in a worker and outside of any
 * transaction, and counts only if the subject has not changed meanwhile.
 *
 * Approval is of exactly the text, the verdict and the counter-example: when any of them has changed since it
 * was asked for, the approval is void and has to be asked for again.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import { authorize } from "../platform/access/index.ts";
import type { Approval, Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { Candidate, Checker } from "./checker.ts";
import { isInForce, nextState, type SchemaState, type Step } from "./lifecycle.ts";
import { defaultMode, type Mode, type Verdict, verdictText } from "./modes.ts";
import * as rows from "./schemas.sql.ts";
import type { SchemaTx, Source, VersionRow } from "./tables.ts";
import type { Caller, SchemaUse, SchemaUser, Usage } from "./users.ts";

export interface SchemaParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  approvals: Pick<Approvals, "request" | "decide" | "consume" | "get">;
  clock: Clock;
  makeId: MakeId;
  checker: Checker;
  /** Approves by itself what is proven to break nothing. */
  autoApprove: boolean;
}

export interface NewSchema {
  subject: string;
  /** JSON text. */
  text: string;
  /** As it was sent, when references were copied into `text`. */
  source?: Source | undefined;
  description?: string | undefined;
  /** Asks for approval at once. */
  submit?: boolean | undefined;
  /** Refuses with `schema_incompatible` instead of keeping a draft that breaks something. */
  refuseBreaking?: boolean | undefined;
}

export interface Registered {
  row: VersionRow;
  isNew: boolean;
  approval: Approval | undefined;
}

export interface UsageOptions {
  /** The subject that goes as a whole: its versions may refer to each other. */
  going?: string | undefined;
  /** Asks other nodes too, on behalf of this request. */
  caller?: Caller | undefined;
}

export interface EndOptions extends UsageOptions {
  /** Also when something uses it. */
  force?: boolean | undefined;
  reason?: string | undefined;
}

const attempts = 5;
const unused: Usage = { uses: [], total: 0, missing: [] };
/** Users of a version that a refusal carries, and that its text names. */
const usageTold = 100;
const usageNamed = 3;

export class Schemas {
  readonly #parts: SchemaParts;
  readonly #users: SchemaUser[] = [];

  constructor(parts: SchemaParts) {
    this.#parts = parts;
  }

  /** Whoever names schemas says so here, before the server takes requests. */
  addUser(user: SchemaUser): void {
    this.#users.push(user);
  }

  async get(tenant: string, id: string): Promise<VersionRow> {
    return found(await this.#read(tenant, (tx) => rows.selectVersion(tx, tenant, id)), id);
  }

  list(
    tenant: string,
    filter: rows.VersionFilter,
    after: { subject: string; version: number } | undefined,
    limit: number,
  ): Promise<VersionRow[]> {
    return this.#read(tenant, (tx) => rows.selectVersions(tx, tenant, filter, after, limit));
  }

  versionsOf(tenant: string, subject: string): Promise<VersionRow[]> {
    return this.#read(tenant, (tx) => rows.selectSubjectVersions(tx, tenant, subject));
  }

  /** The version of this number, or the latest in force; undefined when there is none. */
  async inForce(tenant: string, subject: string, version?: number): Promise<VersionRow | undefined> {
    const all = await this.versionsOf(tenant, subject);
    if (version !== undefined) return all.find((row) => row.version === version && isInForce(row.state));
    return all.findLast(({ state }) => state === "approved") ?? all.findLast(({ state }) => isInForce(state));
  }

  /** How this text would compare with the subject's versions in force; keeps nothing. */
  async check(
    tenant: string,
    subject: string,
    text: string,
    mode?: Mode,
    version?: number,
  ): Promise<Verdict> {
    const candidate = await this.#parts.checker.examine(text, "/schema");
    const { compatibility, versions } = await this.#state(tenant, subject);
    const earlier = versions.filter((row) => isInForce(row.state));
    const chosen = version === undefined ? earlier : versions.filter((row) => row.version === version);
    return this.#parts.checker.compare(mode ?? compatibility, candidate, chosen);
  }

  /** The same text under the same subject is the same version, so a producer may register at every start. */
  async register(actor: Actor, input: NewSchema): Promise<Registered> {
    const { principal } = actor;
    const candidate = await this.#parts.checker.examine(input.text, "/schema");
    for (let attempt = 0; attempt < attempts; attempt++) {
      const state = await this.#state(principal.tenant, input.subject);
      const twin = state.versions.find((row) => row.hash === candidate.hash && row.state !== "retired");
      if (twin) return { row: twin, isNew: false, approval: undefined };
      const verdict = await this.#verdict(candidate, state, undefined);
      if (input.refuseBreaking && !verdict.compatible) throw incompatible(verdict);
      const done = await this.#keep(actor, input, candidate, verdict, state.revision);
      if (done) return done;
    }
    throw changedMeanwhile();
  }

  /** Undefined when the subject has changed since it was read. */
  #keep(
    actor: Actor,
    input: NewSchema,
    candidate: Candidate,
    verdict: Verdict,
    revision: number,
  ): Promise<Registered | undefined> {
    const { principal, requestId } = actor;
    const { sql, audit, clock, makeId } = this.#parts;
    const { tenant } = principal;
    const now = new Date(clock.now());
    const work = async (tx: SchemaTx): Promise<Registered | undefined> => {
      const subject = await rows.lockSubject(tx, tenant, input.subject, now);
      if (subject.revision !== revision) return undefined;
      const number = await rows.keepText(tx, tenant, candidate, input.source, now);
      const version = subject.last_version + 1;
      await rows.updateSubject(tx, tenant, subject.name, { last_version: version }, now);
      const id = makeId();
      await rows.insertVersion(tx, {
        tenant_id: tenant,
        id,
        subject: subject.name,
        version,
        number,
        state: "draft",
        description: input.description ?? "",
        author: principal.subject,
        verdict: JSON.stringify(verdict),
        approval_id: null,
        created_at: now,
        updated_at: now,
      });
      const row = (await rows.selectVersion(tx, tenant, id))!;
      const detail = { number, hash: row.hash, verdict: verdictText(verdict) };
      await audit.record(tx, {
        principal,
        requestId,
        action: "schema.register",
        resource: resourceOf(row),
        detail,
      });
      if (!input.submit) return { row, isNew: true, approval: undefined };
      return { isNew: true, ...(await this.#submit(tx, actor, row, verdict)) };
    };
    return change(sql, actor, work, (done) => {
      if (done && isInForce(done.row.state)) this.#tell(done.row);
    });
  }

  /** Asks for approval, or approves when nothing breaks and the setting says so. */
  async submit(actor: Actor, id: string): Promise<Registered> {
    const done = await this.#step(actor, id, "submit", async (tx, row, verdict) => {
      const submitted = await this.#submit(tx, actor, row, verdict);
      await this.#record(tx, actor, "schema.submit", submitted.row, { verdict: verdictText(verdict) });
      return submitted;
    });
    return { isNew: false, ...done };
  }

  async #submit(
    tx: SchemaTx,
    { principal, requestId }: Actor,
    row: VersionRow,
    verdict: Verdict,
  ): Promise<{ row: VersionRow; approval: Approval | undefined }> {
    const { approvals, autoApprove, clock } = this.#parts;
    const tenant = row.tenant_id;
    const now = new Date(clock.now());
    const text = JSON.stringify(verdict);
    nextState(row.state, "submit");
    if (verdict.compatible && autoApprove) {
      await rows.updateSubject(tx, tenant, row.subject, {}, now);
      const state = nextState(row.state, "approve");
      return {
        row: await rows.updateVersion(tx, tenant, row.id, { state, verdict: text }, now),
        approval: undefined,
      };
    }
    const summary = `${row.subject} version ${row.version}: ${verdictText(verdict)}`.slice(0, 480);
    const request = {
      ...approvalSubject(row),
      content: contentOf(row, verdict),
      summary: printable(summary),
    };
    const approval = await approvals.request(tx, { principal, requestId, ...request });
    const values = { state: nextState(row.state, "submit"), verdict: text, approval_id: approval.id };
    return { row: await rows.updateVersion(tx, tenant, row.id, values, now), approval };
  }

  /** Decides the open request for approval, or uses the approval that was given. */
  async approve(actor: Actor, id: string, reason?: string): Promise<Registered> {
    const { approvals, clock } = this.#parts;
    const { principal, requestId } = actor;
    const before = await this.get(principal.tenant, id);
    if (before.state !== "in_review" || before.approval_id === null)
      throw new HotSwapError("schema_state_refused", `The version is ${before.state}; submit it first.`);
    const asked = await approvals.get(principal, before.approval_id);
    const done = await this.#step(actor, id, "approve", async (tx, row, verdict) => {
      const tenant = row.tenant_id;
      if (asked.state === "pending")
        await approvals.decide(tx, { principal, requestId, id: asked.id, decision: "approve", reason });
      const subject = { principal, requestId, ...approvalSubject(row) };
      const approval = await approvals.consume(tx, { ...subject, content: contentOf(row, verdict) });
      const now = new Date(clock.now());
      await rows.updateSubject(tx, tenant, row.subject, {}, now);
      const values = { state: nextState(row.state, "approve"), verdict: JSON.stringify(verdict) };
      const approved = await rows.updateVersion(tx, tenant, id, values, now);
      await this.#record(tx, actor, "schema.approve", approved, { approvalId: approval.id });
      return { row: approved, approval };
    });
    return { isNew: false, ...done };
  }

  /** Deprecates, retires or withdraws. Throws `schema_in_use` when something uses the version, unless `force`. */
  async end(
    actor: Actor,
    id: string,
    step: "deprecate" | "retire" | "withdraw",
    { force = false, reason, ...options }: EndOptions,
  ): Promise<VersionRow> {
    const { principal } = actor;
    const { sql, clock } = this.#parts;
    const { tenant } = principal;
    const row = await this.get(tenant, id);
    const usage = isInForce(row.state) ? await this.usage(row, options) : unused;
    if (usage.total > 0 && !force) throw inUse(row, usage);
    // With no version in force the next one breaks nothing, and needs no approval: whoever may ask for no
    // compatibility may do this, and nobody else.
    if (usage.total > 0 && step === "retire") authorize(principal, "schemas.configure");
    const work = async (tx: SchemaTx) => {
      const locked = found(await rows.lockVersion(tx, tenant, id), id);
      const now = new Date(clock.now());
      const state = nextState(locked.state, step);
      await rows.updateSubject(tx, tenant, row.subject, {}, now);
      const ended = await rows.updateVersion(tx, tenant, id, { state }, now);
      const detail = { ...(reason !== undefined && { reason }), force, uses: usage.total };
      await this.#record(tx, actor, `schema.${step}`, ended, detail);
      return ended;
    };
    return change(sql, actor, work, (ended) => this.#tell(ended));
  }

  /** Takes a retired version away for good. Throws `schema_state_refused` while it is anything else. */
  async delete(actor: Actor, id: string): Promise<void> {
    const { tenant } = actor.principal;
    const work = async (tx: SchemaTx) => {
      const row = found(await rows.lockVersion(tx, tenant, id), id);
      if (row.state !== "retired")
        throw new HotSwapError("schema_state_refused", `The version is ${row.state}; retire it first.`);
      await rows.deleteVersion(tx, row);
      await this.#record(tx, actor, "schema.delete", row, { number: row.number, hash: row.hash });
    };
    await change(this.#parts.sql, actor, work, () => {});
  }

  /** Versions that refer to this one (Confluent registry). */
  referring(tenant: string, row: { subject: string; version: number }): Promise<VersionRow[]> {
    return this.#read(tenant, (tx) => rows.selectReferring(tx, tenant, row));
  }

  /** Names of subjects that have a version in one of these states. */
  names(tenant: string, states: readonly SchemaState[], limit: number): Promise<string[]> {
    return this.#read(tenant, (tx) => rows.selectNames(tx, tenant, states, limit));
  }

  /**
   * What uses this version: by its number, or as the latest of its subject when it is that; and schemas that refer to
   * it, but for those of the subject `going`, which goes with it. With a `caller`, on all nodes.
   */
  async usage(row: VersionRow, { going, caller }: UsageOptions = {}): Promise<Usage> {
    const { tenant_id: tenant, subject, version } = row;
    const asked = caller ? this.#users.map((user) => user.usesElsewhere?.(caller, row.id) ?? unused) : [];
    const elsewhere = await Promise.all(asked);
    const latest = await this.inForce(tenant, subject);
    const uses = (await Promise.all(this.#users.map((user) => user.usesOf(tenant, subject)))).flat();
    const referring = await this.referring(tenant, row);
    const here = [
      ...uses.filter((use) => (use.version ?? latest?.version) === version),
      ...referring.filter((other) => other.subject !== going).map((other) => schemaUse(other, version)),
    ];
    return {
      uses: [...here, ...elsewhere.flatMap((other) => other.uses)],
      total: elsewhere.reduce((sum, { total }) => sum + total, here.length),
      missing: elsewhere.flatMap(({ missing }) => missing),
    };
  }

  /** The newest payloads of a topic. Throws `topic_not_found`. */
  async payloads(tenant: string, topic: string, limit: number): Promise<string[]> {
    for (const user of this.#users) {
      const payloads = await user.payloads?.(tenant, topic, limit);
      if (payloads) return payloads;
    }
    throw new HotSwapError("topic_not_found", `There is no topic named ${JSON.stringify(topic)}.`);
  }

  text(tenant: string, number: number) {
    return this.#read(tenant, (tx) => rows.selectText(tx, tenant, number));
  }

  /** Compares again, then takes the step in one transaction, if the subject is still what was compared with. */
  async #step<Result extends { row: VersionRow }>(
    actor: Actor,
    id: string,
    step: Step,
    work: (tx: SchemaTx, row: VersionRow, verdict: Verdict) => Promise<Result>,
  ): Promise<Result> {
    const { tenant } = actor.principal;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const before = await this.get(tenant, id);
      nextState(before.state, step);
      const state = await this.#state(tenant, before.subject);
      const verdict = await this.#verdict(before, state, before.version);
      const inTransaction = async (tx: SchemaTx) => {
        const subject = await rows.lockSubject(tx, tenant, before.subject, new Date(this.#parts.clock.now()));
        if (subject.revision !== state.revision) return undefined;
        return work(tx, found(await rows.lockVersion(tx, tenant, id), id), verdict);
      };
      const done = await change(this.#parts.sql, actor, inTransaction, (result) => {
        if (result && isInForce(result.row.state)) this.#tell(result.row);
      });
      if (done) return done;
    }
    throw changedMeanwhile();
  }

  #verdict(candidate: Candidate, state: SubjectState, version: number | undefined): Promise<Verdict> {
    const earlier = state.versions.filter((row) => isInForce(row.state) && row.version !== version);
    return this.#parts.checker.compare(state.compatibility, candidate, earlier);
  }

  #state(tenant: string, name: string): Promise<SubjectState> {
    return this.#read(tenant, async (tx) => {
      const subject = await rows.selectSubject(tx, tenant, name);
      const compatibility = subject?.compatibility ?? (await rows.selectDefault(tx, tenant)) ?? defaultMode;
      const versions = await rows.selectSubjectVersions(tx, tenant, name);
      return { compatibility, versions, revision: subject?.revision ?? 0 };
    });
  }

  #record(tx: SchemaTx, { principal, requestId }: Actor, action: string, row: VersionRow, detail: object) {
    return this.#parts.audit.record(tx, { principal, requestId, action, resource: resourceOf(row), detail });
  }

  #tell({ tenant_id: tenant, subject }: VersionRow): void {
    for (const user of this.#users) user.changed(tenant, subject);
  }

  #read<Result>(tenant: string, work: (tx: SchemaTx) => Promise<Result>): Promise<Result> {
    return this.#parts.sql.tenant(tenant, work);
  }
}

interface SubjectState {
  compatibility: Mode;
  versions: VersionRow[];
  revision: number;
}

const resourceOf = ({ subject, version }: VersionRow) => `schemas/${subject}/${version}`;
const approvalSubject = (row: VersionRow) => ({ kind: "schema.approve", resource: resourceOf(row) });

/** What an approver sees, and what the approval is bound to. */
const contentOf = ({ subject, version, hash, text }: VersionRow, compatibility: Verdict) => ({
  subject,
  version,
  hash,
  schema: JSON.parse(text) as unknown,
  compatibility,
});

// A line for people holds no control characters, which a document that breaks may.
const printable = (text: string) => text.toWellFormed().replaceAll(/\p{Cc}/gu, " ");

export function incompatible(verdict: Verdict): HotSwapError {
  const detail = `The schema is ${verdictText(verdict)}.`;
  return new HotSwapError("schema_incompatible", detail, { data: { compatibility: verdict } });
}

/** A schema that refers to this version. */
const schemaUse = ({ subject, version: of }: VersionRow, version: number): SchemaUse => ({
  kind: "schema",
  name: `${subject}@${of}`,
  of: null,
  version,
});

export function inUse({ subject, version }: VersionRow, { uses, total, missing }: Usage): HotSwapError {
  const named = uses.slice(0, usageNamed).map(({ kind, name }) => `${kind} ${name}`);
  const more = total > usageNamed ? ` and ${total - usageNamed} more` : "";
  const detail = `${subject} version ${version} is used by ${named.join(", ")}${more}.`;
  return new HotSwapError("schema_in_use", detail, { data: { usage: uses.slice(0, usageTold), missing } });
}

function changedMeanwhile(): HotSwapError {
  return new HotSwapError("overloaded", "The subject changes faster than schemas can be compared.", {
    retryAfterMs: 1_000,
  });
}

function found(row: VersionRow | undefined, id: string): VersionRow {
  if (!row) throw new HotSwapError("schema_not_found", `There is no schema ${id}.`);
  return row;
}
