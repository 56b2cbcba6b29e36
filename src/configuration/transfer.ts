/**
 * Configurations in bulk: out as a document that can be taken in as it is, and in, all of them or none. What is not
 * there is created, what differs becomes a version, and what an import does not name stays.
 */
import { type FieldError, HotSwapError } from "../core/errors.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { mayRead } from "./access.ts";
import { lockConfig, selectConfig } from "./configs.sql.ts";
import { type Configs, type NewConfig, valuesOf } from "./configs.ts";
import { type DocumentChange, diffDocuments } from "./diff.ts";
import type { Preparation, Prepared } from "./preparation.ts";
import type { ConfigRow, ConfigurationTx, VersionRow } from "./tables.ts";
import { selectVersion } from "./versions.sql.ts";
import type { Versions } from "./versions.ts";

export interface TransferParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  configs: Configs;
  versions: Versions;
  preparation: Preparation;
}

export interface GivenConfig extends NewConfig {
  text?: string | null;
}

export interface ExportedConfig {
  config: ConfigRow;
  /** In force, or else the newest. */
  version: VersionRow | undefined;
}

export interface ImportReport {
  created: string[];
  changed: { name: string; version: number; changes: DocumentChange[] }[];
  unchanged: number;
}

const mistakesMax = 200;

export class Transfer {
  readonly #parts: TransferParts;

  constructor(parts: TransferParts) {
    this.#parts = parts;
  }

  /** A page, by name; and the last name that was looked at. */
  async export(
    principal: Principal,
    filter: { service?: string | undefined; environment?: string | undefined },
    after: string | undefined,
    limit: number,
  ): Promise<{ items: ExportedConfig[]; next: string | undefined }> {
    const { configs, sql } = this.#parts;
    const { tenant } = principal;
    const found = await configs.list(tenant, filter, after, limit + 1);
    const page = found.slice(0, limit);
    const items: ExportedConfig[] = [];
    for (const config of page.filter((row) => mayRead(principal, row))) {
      const number = config.current_version ?? config.latest_version;
      const version =
        number === null
          ? undefined
          : await sql.tenant(tenant, (tx: ConfigurationTx) => selectVersion(tx, tenant, config.name, number));
      items.push({ config, version });
    }
    return { items, next: found.length > limit ? page.at(-1)?.name : undefined };
  }

  /** Throws errors with pointers below `/configs/N`, all that there are. */
  async import(actor: Actor, given: readonly GivenConfig[], note: string | undefined): Promise<ImportReport> {
    const { sql, audit } = this.#parts;
    const { principal, requestId } = actor;
    const prepared = await this.#prepare(principal.tenant, given);
    const work = async (tx: ConfigurationTx) => {
      const report: ImportReport = { created: [], changed: [], unchanged: 0 };
      // In one order, so that two imports never wait for each other in turns.
      const inOrder = given.map((one, index) => ({ one, text: prepared[index] }));
      inOrder.sort((a, b) => (a.one.name < b.one.name ? -1 : 1));
      for (const { one, text } of inOrder) await this.#take(tx, actor, one, text, note, report);
      const detail = { ...report, changed: report.changed.map(({ name, version }) => ({ name, version })) };
      await audit.record(tx, { principal, requestId, action: "config.import", resource: "configs", detail });
      return report;
    };
    return change(sql, actor, work, () => {});
  }

  async #prepare(tenant: string, given: readonly GivenConfig[]): Promise<(Prepared | undefined)[]> {
    const { sql, configs, preparation } = this.#parts;
    const fields: FieldError[] = [];
    const places = new Map<string, number>();
    const prepared: (Prepared | undefined)[] = [];
    for (const [index, one] of given.entries()) {
      const pointer = `/configs/${index}`;
      const first = places.get(one.name);
      if (first !== undefined)
        fields.push({ pointer: `${pointer}/name`, message: `is that of /configs/${first}` });
      places.set(one.name, index);
      try {
        await configs.checkSchema(tenant, one.schema, pointer);
        const known = await sql.tenant(tenant, (tx: ConfigurationTx) => selectConfig(tx, tenant, one.name));
        fields.push(...fixedOf(known, one, pointer));
        const binding = known && one.schema === undefined ? { ...known, format: one.format } : valuesOf(one);
        const { text } = one;
        prepared.push(
          typeof text === "string" ? await preparation.prepare(tenant, binding, text) : undefined,
        );
      } catch (error) {
        if (!(error instanceof HotSwapError)) throw error;
        const own = error.fields.length > 0 ? error.fields : [{ pointer: "", message: error.message }];
        const isPlaced = error.code === "validation_failed";
        const inText = `${pointer}/text`;
        fields.push(...own.map((field) => (isPlaced ? field : { pointer: inText, message: say(field) })));
        prepared.push(undefined);
      }
    }
    if (fields.length === 0) return prepared;
    const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
    const detail = `${fields[0]!.pointer} ${fields[0]!.message}${more}.`;
    throw new HotSwapError("config_import_invalid", detail, { fields: fields.slice(0, mistakesMax) });
  }

  async #take(
    tx: ConfigurationTx,
    actor: Actor,
    one: GivenConfig,
    prepared: Prepared | undefined,
    note: string | undefined,
    report: ImportReport,
  ): Promise<void> {
    const { configs, versions } = this.#parts;
    const { tenant } = actor.principal;
    const known = await lockConfig(tx, tenant, one.name);
    const config = known
      ? await configs.edit(tx, actor, await configs.lock(tx, actor.principal, one.name, "configs.write"), one)
      : await configs.insert(tx, actor, one);
    if (!known) report.created.push(one.name);
    if (!prepared) {
      if (known) report.unchanged += config.revision === known.revision ? 1 : 0;
      return;
    }
    const latest = config.current_version ?? config.latest_version;
    const before = latest === null ? undefined : await selectVersion(tx, tenant, one.name, latest);
    const { row } = await versions.insert(tx, actor, config, prepared, {
      note: note ?? "Imported",
      origin: null,
    });
    if (before?.hash === row.hash) {
      report.unchanged += 1;
      return;
    }
    const { changes } = diffDocuments(before?.value ?? {}, row.value);
    report.changed.push({ name: one.name, version: row.version, changes });
  }
}

const say = ({ pointer, message }: FieldError) => (pointer === "" ? message : `${pointer} ${message}`);

/** What an import may not change of a configuration that is there. */
function fixedOf(known: ConfigRow | undefined, one: GivenConfig, pointer: string): FieldError[] {
  if (!known) return [];
  const fixed = ["service", "environment", "format"] as const;
  return fixed
    .filter((member) => known[member] !== one[member])
    .map((member) => ({ pointer: `${pointer}/${member}`, message: `must stay ${known[member]}` }));
}
