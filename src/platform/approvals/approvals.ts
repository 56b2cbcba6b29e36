/**
 * Approvals for any room: somebody asks for exactly this content to be done to this resource, somebody
 * else with the approver role decides, and the room that does it consumes the approval in the transaction
 * of doing it.
 *
 * What is approved is the SHA-256 of the content's canonical text (RFC 8785). A request never changes:
 * asking with another content voids it and makes a new one. One resource has at most one open request of a
 * kind. An approval is used once. Every step is audited in its transaction.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { MakeId } from "../../core/ids.ts";
import { canonicalJson, type Json } from "../../core/json.ts";
import type { Service } from "../../core/lifecycle.ts";
import type { AnyTx, Sql } from "../../stores/sql/port.ts";
import { authorize } from "../access/access.ts";
import type { Audit } from "../audit/audit.ts";
import type { Principal } from "../auth/principal.ts";
import {
  type ApprovalFilter,
  type ApprovalRow,
  type ApprovalTables,
  insertApproval,
  lockApproval,
  lockCurrent,
  readApproval,
  readNewest,
  updateApproval,
} from "./approvals.sql.ts";
import { Notices } from "./notices.ts";
import { type ApprovalState, next, type Standing, stateAt } from "./state.ts";
import type { WebhookTarget } from "./webhook.ts";

export interface ApprovalsOptions {
  sql: Sql;
  audit: Audit;
  clock: Clock;
  makeId: MakeId;
  /** Told of each request and decision. */
  webhook?: WebhookTarget | undefined;
  /** How long a request counts when it does not say itself; default one day. */
  expiresInSeconds?: number;
  /** Told of webhooks that fail; they are tried again. */
  onError?: (error: unknown) => void;
}

export interface Approval {
  id: string;
  kind: string;
  resource: string;
  environment: string | null;
  summary: string | null;
  content: Json;
  /** SHA-256 over the canonical text of the content, hexadecimal. */
  contentHash: string;
  state: ApprovalState;
  author: string;
  requestedAt: string;
  expiresAt: string;
  decidedBy: string | null;
  decidedAt: string | null;
  reason: string | null;
}

/** Which change it is about. */
export interface Subject {
  principal: Pick<Principal, "subject" | "tenant">;
  requestId: string;
  /** What is to be done, such as `config.deploy`. */
  kind: string;
  /** To what, such as `configs/shop/7`. */
  resource: string;
}

export interface ApprovalRequest extends Subject {
  content: unknown;
  /** Of the resource; approvers whose token is restricted decide within their environment only. */
  environment?: string | undefined;
  /** A line for the approver. */
  summary?: string | undefined;
  expiresInSeconds?: number | undefined;
}

export interface ApprovalDecision {
  principal: Principal;
  requestId: string;
  id: string;
  decision: "approve" | "reject";
  reason?: string | undefined;
}

export class Approvals implements Service {
  readonly name = "approvals";
  readonly notices: Notices;
  readonly #options: ApprovalsOptions;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
    this.notices = new Notices({ onError: () => {}, ...options });
  }

  /** Begins to deliver notices. */
  start(): Promise<void> {
    return this.notices.start();
  }

  stop(): Promise<void> {
    return this.notices.stop();
  }

  /**
   * Asks for approval. An open request for the same content is answered as it is; one for another becomes
   * void.
   */
  async request(tx: AnyTx, request: ApprovalRequest): Promise<Approval> {
    const row = this.#newRow(request);
    for (;;) {
      const current = await lockCurrent(tx, row.tenant_id, row.kind, row.resource);
      const state = current && this.#stateOf(current);
      if (current && (state === "pending" || state === "approved")) {
        const same = current.content_hash === row.content_hash && current.environment === row.environment;
        if (same) return this.#toApproval(current);
        await this.#end(tx, current, "void", request);
      } else if (current && current.state !== state) await this.#end(tx, current, "expired", request);
      // When somebody else's open request came in between, nothing is inserted and it is the current one now.
      const inserted = await insertApproval(tx, row);
      if (!inserted) continue;
      await this.#record(tx, request, "approvals.request", inserted);
      return this.#notify(tx, "approval.requested", inserted);
    }
  }

  /** Approves or rejects. Throws `not_found`, `permission_denied`, `approval_self` or `approval_void`. */
  async decide(
    tx: AnyTx,
    { principal, requestId, id, decision, reason }: ApprovalDecision,
  ): Promise<Approval> {
    const row = await lockApproval(tx, principal.tenant, id);
    if (!row) throw new HotSwapError("not_found", `There is no request for approval ${id}.`);
    authorize(principal, "approvals.decide", {
      tenant: row.tenant_id,
      environment: row.environment ?? undefined,
    });
    const now = this.#options.clock.now();
    const state = next(standingOf(row), { type: decision, by: principal.subject }, now);
    const decided = await updateApproval(tx, row, {
      state,
      decided_by: principal.subject,
      decided_at: new Date(now),
      reason: reason ?? null,
    });
    await this.#record(tx, { principal, requestId }, `approvals.${decision}`, decided);
    return this.#notify(tx, `approval.${state}`, decided);
  }

  /** Uses up the approval of exactly this content. Throws `approval_required` or `approval_void`. */
  async consume(tx: AnyTx, subject: Subject & { content: unknown }): Promise<Approval> {
    const { principal, kind, resource, content } = subject;
    const row = await lockCurrent(tx, principal.tenant, kind, resource);
    if (!row) throw new HotSwapError("approval_required", `${kind} of ${resource} needs an approval.`);
    try {
      next(standingOf(row), { type: "use", contentHash: hashOf(content).hash }, this.#options.clock.now());
    } catch (error) {
      if (!(error instanceof HotSwapError)) throw error;
      const detail = `${kind} of ${resource}: ${error.message}`;
      throw new HotSwapError(error.code, detail, { data: { approvalId: row.id } });
    }
    return this.#toApproval(await this.#end(tx, row, "used", subject));
  }

  /**
   * To be called with an edit: what is open for another content, or for any when none is given, becomes
   * void.
   */
  async invalidate(tx: AnyTx, subject: Subject & { content?: unknown }): Promise<void> {
    const row = await lockCurrent(tx, subject.principal.tenant, subject.kind, subject.resource);
    if (!row) return;
    const contentHash = subject.content === undefined ? "" : hashOf(subject.content).hash;
    const state = next(standingOf(row), { type: "edit", contentHash }, this.#options.clock.now());
    if (state === "void" && row.state !== "void") await this.#end(tx, row, state, subject);
  }

  /** Rejects with `not_found`. */
  async get(principal: Principal, id: string): Promise<Approval> {
    const row = await this.#options.sql.tenant<ApprovalTables, ApprovalRow | undefined>(
      principal.tenant,
      (tx) => readApproval(tx, principal.tenant, id),
    );
    if (!row) throw new HotSwapError("not_found", `There is no request for approval ${id}.`);
    authorize(principal, "approvals.read", {
      tenant: row.tenant_id,
      environment: row.environment ?? undefined,
    });
    return this.#toApproval(row);
  }

  /** Newest first. */
  async newest(
    tenant: string,
    filter: ApprovalFilter,
    before: string | undefined,
    limit: number,
  ): Promise<Approval[]> {
    const now = new Date(this.#options.clock.now());
    const rows = await this.#options.sql.tenant<ApprovalTables, ApprovalRow[]>(tenant, (tx) =>
      readNewest(tx, tenant, filter, now, before, limit),
    );
    return rows.map((row) => this.#toApproval(row));
  }

  #newRow(request: ApprovalRequest): ApprovalRow {
    const { clock, makeId, expiresInSeconds = 86_400 } = this.#options;
    const { text, hash } = hashOf(request.content);
    const now = clock.now();
    return {
      tenant_id: request.principal.tenant,
      id: makeId(),
      kind: request.kind,
      resource: request.resource,
      environment: request.environment ?? null,
      summary: request.summary ?? null,
      content: text,
      content_hash: hash,
      state: "pending",
      author: request.principal.subject,
      requested_at: new Date(now),
      expires_at: new Date(now + (request.expiresInSeconds ?? expiresInSeconds) * 1000),
      decided_by: null,
      decided_at: null,
      reason: null,
      ended_at: null,
    };
  }

  /** The end of a request without a decision, or of an approval. */
  async #end(
    tx: AnyTx,
    row: ApprovalRow,
    state: "void" | "expired" | "used",
    by: Pick<Subject, "principal" | "requestId">,
  ): Promise<ApprovalRow> {
    const ended = await updateApproval(tx, row, { state, ended_at: new Date(this.#options.clock.now()) });
    const action = { void: "approvals.void", expired: "approvals.expire", used: "approvals.use" }[state];
    await this.#record(tx, by, action, ended);
    return ended;
  }

  #record(
    tx: AnyTx,
    by: Pick<Subject, "principal" | "requestId">,
    action: string,
    row: ApprovalRow,
  ): Promise<void> {
    const { kind, resource, content_hash: contentHash, author, reason } = row;
    const detail = { kind, resource, contentHash, author, ...(reason !== null && { reason }) };
    const { principal, requestId } = by;
    return this.#options.audit.record(tx, {
      principal,
      action,
      resource: `approvals/${row.id}`,
      requestId,
      detail,
    });
  }

  /** The content stays out of the notice: it may be large and is nobody's business on the way. */
  async #notify(tx: AnyTx, type: string, row: ApprovalRow): Promise<Approval> {
    const approval = this.#toApproval(row);
    const { content: _, ...summary } = approval;
    await this.notices.add(tx, row.tenant_id, type, { tenant: row.tenant_id, ...summary });
    return approval;
  }

  #stateOf(row: ApprovalRow): ApprovalState {
    return stateAt(standingOf(row), this.#options.clock.now());
  }

  #toApproval(row: ApprovalRow): Approval {
    return {
      id: row.id,
      kind: row.kind,
      resource: row.resource,
      environment: row.environment,
      summary: row.summary,
      content: JSON.parse(row.content) as Json,
      contentHash: row.content_hash,
      state: this.#stateOf(row),
      author: row.author,
      requestedAt: row.requested_at.toISOString(),
      expiresAt: row.expires_at.toISOString(),
      decidedBy: row.decided_by,
      decidedAt: row.decided_at?.toISOString() ?? null,
      reason: row.reason,
    };
  }
}

function standingOf(row: ApprovalRow): Standing {
  const { state, author, content_hash: contentHash, expires_at } = row;
  return { state, author, contentHash, expiresAtMs: expires_at.getTime() };
}

function hashOf(content: unknown): { text: string; hash: string } {
  const text = canonicalJson(content);
  return { text, hash: createHash("sha256").update(text).digest("hex") };
}
