/**
 * Versions of configurations: immutable, numbered 1, 2, … and known by their hash, so that the same content again is
 * the version that it is already. Each is made in one transaction with its audit entry, its event in the history, and
 * the notice to whoever listens.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { type Blame, blame, leavesOf } from "./blame.ts";
import * as configRows from "./configs.sql.ts";
import type { Configs } from "./configs.ts";
import { type DocumentDiff, diffDocuments } from "./diff.ts";
import type { Preparation, Prepared, Warning } from "./preparation.ts";
import type { Secrets } from "./secrets.ts";
import type { ConfigRow, ConfigurationTx, EventRow, Origin, VersionRow } from "./tables.ts";
import * as rows from "./versions.sql.ts";

export interface NewVersion {
  text: string;
  note?: string;
  /** The version that it was made from; refused when there is a newer one. */
  parent?: number;
}

export interface MadeVersion {
  row: VersionRow;
  /** False when the content was there already. */
  isNew: boolean;
  warnings: Warning[];
}

/** Whose doing it is that another version is in force. */
export interface CurrentBy {
  author: string;
  deployment: string | null;
  note?: string;
  /** The version that was tried and taken back. */
  instead?: number;
}

export interface BlamedPlace {
  pointer: string;
  version: number;
  author: string;
  note: string;
  createdAt: Date;
}

export interface VersionsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  notices: Pick<Approvals["notices"], "add">;
  configs: Configs;
  preparation: Preparation;
  secrets: Pick<Secrets, "missing">;
  clock: Clock;
  makeId: MakeId;
  metrics: Metrics;
  /** Of one configuration. */
  versionsMax: number;
}

const attemptsMax = 3;
const blameChunk = 20;

export class Versions {
  readonly #parts: VersionsParts;

  constructor(parts: VersionsParts) {
    this.#parts = parts;
  }

  /** Throws what `Preparation.prepare` does, and `config_conflict` when `parent` is not the newest. */
  create(actor: Actor, name: string, input: NewVersion): Promise<MadeVersion> {
    return this.make(actor, name, async () => ({ ...input, origin: null }));
  }

  /** A version of another configuration of the same service becomes one of `to`. */
  async promote(
    actor: Actor,
    name: string,
    to: string,
    options: { version?: number | undefined; note?: string | undefined },
  ): Promise<MadeVersion> {
    const { configs, sql } = this.#parts;
    const { principal } = actor;
    const source = await configs.get(principal, name);
    const number = options.version ?? source.current_version ?? source.latest_version ?? 0;
    const version = await sql.tenant(principal.tenant, (tx: ConfigurationTx) =>
      this.find(tx, source, number),
    );
    const origin = { config: name, version: version.version, hash: version.hash };
    const note = options.note ?? `Promoted from ${name} version ${version.version}`;
    return this.make(actor, to, async (target) => {
      refusePromotion(source, target);
      return { text: version.text, note, origin };
    });
  }

  /**
   * Makes the version that `read` gives for the configuration. What takes long is done outside of the transaction, and
   * again when the configuration was edited meanwhile.
   */
  async make(
    actor: Actor,
    name: string,
    read: (config: ConfigRow) => Promise<NewVersion & { origin: Origin | null }>,
    within: (tx: ConfigurationTx, made: MadeVersion) => Promise<void> = async () => {},
  ): Promise<MadeVersion> {
    const { sql, configs, preparation } = this.#parts;
    const { principal } = actor;
    for (let attempt = 1; ; attempt++) {
      const config = await configs.get(principal, name, "configs.write");
      const input = await read(config);
      const prepared = await preparation.prepare(principal.tenant, config, input.text);
      const work = async (tx: ConfigurationTx) => {
        const locked = await configs.lock(tx, principal, name, "configs.write");
        if (locked.revision !== config.revision && attempt < attemptsMax) return undefined;
        const made = await this.insert(tx, actor, locked, prepared, input);
        await within(tx, made);
        return made;
      };
      const made = await change(sql, actor, work, () => {});
      if (!made) continue;
      this.#count(actor, config, made);
      return made;
    }
  }

  /** Within the caller's transaction, which has locked the configuration. */
  async insert(
    tx: ConfigurationTx,
    actor: Actor,
    config: ConfigRow,
    prepared: Prepared,
    { note = "", parent, origin }: Omit<NewVersion, "text"> & { origin: Origin | null },
  ): Promise<MadeVersion> {
    const { clock, versionsMax, secrets } = this.#parts;
    const { tenant_id: tenant, name, latest_version: latest } = config;
    const { warnings } = prepared;
    const known = await rows.selectByHash(tx, tenant, name, prepared.hash);
    if (known && known.version === latest) return { row: known, isNew: false, warnings };
    if (parent !== undefined && parent !== (latest ?? 0)) {
      const detail = `${name} is at version ${latest ?? 0}, and this was made from ${parent}.`;
      throw new HotSwapError("config_conflict", detail, { data: { version: latest ?? 0 } });
    }
    if (known) {
      await this.#tell(tx, actor, config, known, { isNew: false, note, origin });
      return { row: known, isNew: false, warnings };
    }
    if ((await rows.countVersions(tx, tenant, name)) >= versionsMax) {
      const limit = `A configuration may have ${versionsMax} versions (configuration.versionsMax).`;
      throw new HotSwapError("config_versions_full", limit);
    }
    const [missing] = await secrets.missing(tx, tenant, prepared.secrets);
    if (missing !== undefined)
      throw new HotSwapError("config_secret_unknown", `There is no secret ${missing}.`);
    const now = new Date(clock.now());
    const row = await rows.insertVersion(tx, {
      ...{ tenant_id: tenant, config: name, version: config.last_version + 1, hash: prepared.hash },
      ...{ text: prepared.text, value: prepared.value, note, author: actor.principal.subject },
      ...{ parent: latest, secrets: prepared.secrets, origin, created_at: now },
      schema_subject: prepared.schema?.subject ?? null,
      schema_version: prepared.schema?.version ?? null,
    });
    await this.#tell(tx, actor, config, row, { isNew: true, note, origin });
    return { row, isNew: true, warnings };
  }

  /** Throws `config_version_not_found`. */
  async find(tx: ConfigurationTx, { tenant_id, name }: ConfigRow, version: number): Promise<VersionRow> {
    const row = await rows.selectVersion(tx, tenant_id, name, version);
    if (!row) throw new HotSwapError("config_version_not_found", `${name} has no version ${version}.`);
    return row;
  }

  async get(
    principal: Principal,
    name: string,
    version: number,
  ): Promise<{ config: ConfigRow; row: VersionRow }> {
    const config = await this.#parts.configs.get(principal, name);
    const row = await this.#parts.sql.tenant(principal.tenant, (tx: ConfigurationTx) =>
      this.find(tx, config, version),
    );
    return { config, row };
  }

  async list(
    principal: Principal,
    name: string,
    before: number | undefined,
    limit: number,
  ): Promise<{ config: ConfigRow; versions: rows.VersionSummary[] }> {
    const config = await this.#parts.configs.get(principal, name);
    const versions = await this.#parts.sql.tenant(principal.tenant, (tx: ConfigurationTx) =>
      rows.selectVersions(tx, principal.tenant, name, { before, limit }),
    );
    return { config, versions };
  }

  /** Never the one in force, nor one that is being deployed. */
  async delete(actor: Actor, name: string, version: number): Promise<void> {
    const { sql, configs, audit, clock } = this.#parts;
    const { principal, requestId } = actor;
    const work = async (tx: ConfigurationTx) => {
      const config = await configs.lock(tx, principal, name, "configs.delete");
      const row = await this.find(tx, config, version);
      const used = [config.current_version, ...(await configs.inUse(tx, principal.tenant, name))];
      if (used.includes(version)) {
        throw new HotSwapError("config_version_in_use", `Version ${version} of ${name} is in use.`);
      }
      await rows.deleteVersion(tx, row);
      const [newest] = await rows.selectVersions(tx, principal.tenant, name, { limit: 1 });
      const latest_version =
        config.latest_version === version ? (newest?.version ?? null) : config.latest_version;
      await configRows.moveConfig(tx, principal.tenant, name, { latest_version }, new Date(clock.now()));
      await this.#event(tx, row, { type: "deleted", author: principal.subject });
      const resource = `configs/${name}/versions/${version}`;
      const detail = { hash: row.hash };
      await audit.record(tx, { principal, requestId, action: "version.delete", resource, detail });
    };
    await change(sql, actor, work, () => {});
  }

  async diff(principal: Principal, name: string, from: number, to: number): Promise<DocumentDiff> {
    const [before, after] = [await this.get(principal, name, from), await this.get(principal, name, to)];
    return diffDocuments(before.row.value, after.row.value);
  }

  /** Who brought each value of the version, and with which version. */
  async blame(principal: Principal, name: string, version: number): Promise<BlamedPlace[]> {
    const { config } = await this.get(principal, name, version);
    const { tenant_id: tenant } = config;
    type By = Omit<BlamedPlace, "pointer">;
    let tree: Blame<By> | undefined;
    for (let after = 0; after < version; ) {
      const line = await this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) =>
        rows.selectLine(tx, tenant, name, { after, until: version, limit: blameChunk }),
      );
      if (line.length === 0) break;
      for (const row of line) {
        const { author, note, created_at: createdAt } = row;
        tree = blame<By>(tree, row.value, { version: row.version, author, note, createdAt });
        after = row.version;
      }
    }
    return [...leavesOf(tree!)].map(({ pointer, by }) => ({ pointer, ...by }));
  }

  async history(
    principal: Principal,
    name: string,
    before: string | undefined,
    limit: number,
  ): Promise<EventRow[]> {
    await this.#parts.configs.get(principal, name);
    return this.#parts.sql.tenant(principal.tenant, (tx: ConfigurationTx) =>
      configRows.selectEvents(tx, principal.tenant, name, { before, limit }),
    );
  }

  /** Writes what happened into the history, within the caller's transaction. */
  async #event(
    tx: ConfigurationTx,
    { tenant_id, config, version }: Pick<VersionRow, "tenant_id" | "config" | "version">,
    values: Pick<EventRow, "type" | "author"> & Partial<EventRow>,
  ): Promise<void> {
    const { makeId, clock } = this.#parts;
    await configRows.insertEvent(tx, {
      ...{ tenant_id, config, id: makeId(), version, from_version: null, note: "", deployment: null },
      created_at: new Date(clock.now()),
      ...values,
    });
  }

  /**
   * `version` is in force from now on: for the end of a deployment, within its transaction. `instead` is the version
   * that was tried and taken back. Who goes on, goes on from what is in force, unless a version was written meanwhile.
   */
  async setCurrent(tx: ConfigurationTx, config: ConfigRow, version: number, by: CurrentBy): Promise<void> {
    const { author, deployment, note, instead } = by;
    const { tenant_id: tenant, name, current_version: current, latest_version: latest } = config;
    if (current === version && (instead === undefined || instead === version)) return;
    const now = new Date(this.#parts.clock.now());
    const isBack = instead !== undefined || (current !== null && version < current);
    const follows = latest === instead || (current !== null && latest === current);
    const values = { current_version: version, ...(follows && { latest_version: version }) };
    await configRows.moveConfig(tx, tenant, name, values, now);
    await this.#event(
      tx,
      { tenant_id: tenant, config: name, version },
      {
        ...{ type: isBack ? "rolled_back" : "current", from_version: instead ?? current, author, deployment },
        ...(note !== undefined && { note }),
      },
    );
  }

  /** What is written is what to go on from; known content is written again without being made again. */
  async #tell(
    tx: ConfigurationTx,
    { principal, requestId }: Actor,
    config: ConfigRow,
    row: VersionRow,
    { isNew, note, origin }: { isNew: boolean; note: string; origin: Origin | null },
  ): Promise<void> {
    const { audit, notices, clock } = this.#parts;
    const { name, service, environment, tenant_id: tenant, latest_version: from_version } = config;
    const { version, hash } = row;
    const author = principal.subject;
    const values = { latest_version: version, ...(isNew && { last_version: version }) };
    await configRows.moveConfig(tx, tenant, name, values, new Date(clock.now()));
    await this.#event(tx, row, { type: origin ? "promoted" : "version", author, note, from_version });
    const resource = `configs/${name}/versions/${version}`;
    const detail = { hash, environment, isNew, ...(origin && { origin }) };
    const action = origin ? "config.promote" : "version.create";
    await audit.record(tx, { principal, requestId, action, resource, detail });
    if (!isNew) return;
    const about = { tenant, config: name, service, environment, version, hash, author, note, origin };
    await notices.add(tx, tenant, "config.version.created", about);
  }

  #count(actor: Actor, { tenant_id: tenant, environment }: ConfigRow, { isNew }: MadeVersion): void {
    if (!isNew || actor.dryRun) return;
    this.#parts.metrics.counter("config_versions_total").labels({ tenant, environment }).inc();
  }
}

function refusePromotion(source: ConfigRow, target: ConfigRow): void {
  const because =
    source.name === target.name
      ? "they are the same one"
      : source.service !== target.service
        ? `${target.name} is of the service ${target.service}`
        : source.format !== target.format
          ? `${target.name} is written as ${target.format}`
          : undefined;
  if (because === undefined) return;
  throw new HotSwapError(
    "config_promotion_refused",
    `${source.name} cannot go to ${target.name}: ${because}.`,
  );
}
