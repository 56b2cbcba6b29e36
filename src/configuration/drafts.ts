/**
 * Drafts: what somebody is writing, kept valid or not, one for each configuration and author. A draft knows the version
 * it was begun at; it becomes the next version only if that is still the newest, so that nobody writes over another's
 * change without having seen it.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { Configs } from "./configs.ts";
import { type DocumentChange, diffDocuments } from "./diff.ts";
import type { Mistake } from "./document.ts";
import * as rows from "./drafts.sql.ts";
import { tooLarge } from "./formats/format.ts";
import type { Preparation, Prepared, Warning } from "./preparation.ts";
import type { ConfigRow, ConfigurationTx, DraftRow } from "./tables.ts";
import { selectVersion } from "./versions.sql.ts";
import type { MadeVersion, Versions } from "./versions.ts";

export interface DraftsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  configs: Configs;
  versions: Versions;
  preparation: Preparation;
  textBytesMax: number;
}

export interface InspectedDraft {
  row: DraftRow;
  mistakes: Mistake[];
  warnings: Warning[];
  /** From the version it was begun at; undefined while it cannot be read, or when that version is gone. */
  changes: DocumentChange[] | undefined;
}

export class Drafts {
  readonly #parts: DraftsParts;

  constructor(parts: DraftsParts) {
    this.#parts = parts;
  }

  /** The caller's own. Throws `config_draft_not_found`. */
  async get(principal: Principal, name: string, author = principal.subject): Promise<InspectedDraft> {
    const config = await this.#parts.configs.get(principal, name);
    return this.#inspect(config, await this.#find(config, author));
  }

  /**
   * The caller's own, as the version that it would be. Throws `config_draft_not_found`, and what keeps it from being a
   * version.
   */
  async prepared(principal: Principal, name: string): Promise<{ row: DraftRow; prepared: Prepared }> {
    const config = await this.#parts.configs.get(principal, name, "configs.write");
    const row = await this.#find(config, principal.subject);
    return { row, prepared: await this.#parts.preparation.prepare(principal.tenant, config, row.text) };
  }

  async list(principal: Principal, name: string): Promise<DraftRow[]> {
    await this.#parts.configs.get(principal, name);
    return this.#parts.sql.tenant(principal.tenant, (tx: ConfigurationTx) =>
      rows.selectDrafts(tx, principal.tenant, name),
    );
  }

  /** `check` sees the draft that there is, if any, and throws when the caller's precondition fails. */
  async save(
    actor: Actor,
    name: string,
    text: string,
    check: (row: DraftRow | undefined) => void,
  ): Promise<InspectedDraft> {
    const { sql, configs, clock, textBytesMax } = this.#parts;
    if (Buffer.byteLength(text) > textBytesMax) throw tooLarge(textBytesMax);
    const { principal } = actor;
    const work = async (tx: ConfigurationTx) => {
      const config = await configs.lock(tx, principal, name, "configs.write");
      check(await rows.selectDraft(tx, principal.tenant, name, principal.subject));
      const row = await rows.putDraft(tx, config, principal.subject, text, new Date(clock.now()));
      await this.#record(tx, actor, "draft.save", name);
      return { config, row };
    };
    const { config, row } = await change(sql, actor, work, () => {});
    return this.#inspect(config, row);
  }

  async discard(actor: Actor, name: string): Promise<void> {
    const { sql, configs } = this.#parts;
    const { principal } = actor;
    const work = async (tx: ConfigurationTx) => {
      await configs.lock(tx, principal, name, "configs.write");
      const row = await rows.selectDraft(tx, principal.tenant, name, principal.subject);
      if (!row) throw notFound(name);
      await rows.deleteDraft(tx, row);
      await this.#record(tx, actor, "draft.discard", name);
    };
    await change(sql, actor, work, () => {});
  }

  /** The draft becomes a version and is gone. Throws `config_conflict` when a newer version has come meanwhile. */
  publish(actor: Actor, name: string, note: string | undefined): Promise<MadeVersion> {
    const { versions } = this.#parts;
    const { subject } = actor.principal;
    const read = async (config: ConfigRow) => {
      const { text, parent } = await this.#find(config, subject);
      return { text, parent: parent ?? 0, ...(note !== undefined && { note }), origin: null };
    };
    return versions.make(actor, name, read, async (tx, { row }) => {
      await rows.deleteDraft(tx, { tenant_id: row.tenant_id, config: name, author: subject });
      await this.#record(tx, actor, "draft.publish", name);
    });
  }

  #find({ tenant_id, name }: ConfigRow, author: string): Promise<DraftRow> {
    return this.#parts.sql.tenant(tenant_id, async (tx: ConfigurationTx) => {
      const row = await rows.selectDraft(tx, tenant_id, name, author);
      if (!row) throw notFound(name);
      return row;
    });
  }

  async #inspect(config: ConfigRow, row: DraftRow): Promise<InspectedDraft> {
    const { sql, preparation } = this.#parts;
    const { tenant_id: tenant, name } = config;
    const { prepared, mistakes } = await preparation.inspect(tenant, config, row.text);
    const { parent } = row;
    const begun =
      parent === null
        ? undefined
        : await sql.tenant(tenant, (tx: ConfigurationTx) => selectVersion(tx, tenant, name, parent));
    const changes =
      prepared && (begun || parent === null) ? diffDocuments(begun?.value ?? {}, prepared.value) : undefined;
    return { row, mistakes, warnings: prepared?.warnings ?? [], changes: changes?.changes };
  }

  #record(tx: ConfigurationTx, { principal, requestId }: Actor, action: string, name: string): Promise<void> {
    const resource = `configs/${name}/draft`;
    return this.#parts.audit.record(tx, { principal, requestId, action, resource });
  }
}

const notFound = (name: string) =>
  new HotSwapError("config_draft_not_found", `You have no draft of ${name}.`);
