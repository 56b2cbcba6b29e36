/**
 * Configurations as people manage them: a name, whose they are (service and environment), how they are written, and the
 * schema that they must fit. Their documents are versions (versions.ts).
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import { canonicalJson } from "../core/json.ts";
import type { Permission } from "../platform/access/permissions.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { SchemaRegistry } from "../schemas/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { guard } from "./access.ts";
import * as rows from "./configs.sql.ts";
import type { Format } from "./formats/format.ts";
import type { ConfigRow, ConfigurationTx } from "./tables.ts";

/** Null as version is the latest in force. */
export interface GivenSchema {
  subject: string;
  version?: number | null;
}

export interface NewConfig {
  name: string;
  service: string;
  environment: string;
  format: Format;
  description?: string;
  labels?: Record<string, string>;
  schema?: GivenSchema | null;
}

export type ConfigUpdate = Pick<NewConfig, "description" | "labels" | "schema">;

/** Whoever holds on to versions beside `current_version`, such as a deployment that runs. */
export interface VersionUser {
  /** Versions of this configuration that must stay. */
  versionsInUse(tx: ConfigurationTx, tenant: string, config: string): Promise<readonly number[]>;
}

export interface ConfigsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  schemas: Pick<SchemaRegistry, "inForce">;
  clock: Clock;
  makeId: MakeId;
  users: readonly VersionUser[];
  /** Of one tenant. */
  configsMax: number;
}

/** `/configs/export` and `/configs/import` are no configurations. */
const takenNames: readonly string[] = ["export", "import"];

export class Configs {
  readonly #parts: ConfigsParts;

  constructor(parts: ConfigsParts) {
    this.#parts = parts;
  }

  async create(actor: Actor, input: NewConfig): Promise<ConfigRow> {
    await this.checkSchema(actor.principal.tenant, input.schema);
    return change(
      this.#parts.sql,
      actor,
      (tx: ConfigurationTx) => this.insert(tx, actor, input),
      () => {},
    );
  }

  /** Within the caller's transaction; the schema has been checked. */
  async insert(tx: ConfigurationTx, actor: Actor, input: NewConfig): Promise<ConfigRow> {
    const { clock, configsMax } = this.#parts;
    const { tenant } = actor.principal;
    const values = valuesOf(input);
    guard(actor.principal, "configs.write", values);
    if (takenNames.includes(input.name)) {
      const fields = [{ pointer: "/name", message: "is a path of the API already" }];
      throw new HotSwapError("validation_failed", `No configuration can be called ${input.name}.`, {
        fields,
      });
    }
    if ((await rows.countConfigs(tx, tenant)) >= configsMax) {
      const limit = `A tenant may have ${configsMax} configurations (configuration.configsMax).`;
      throw new HotSwapError("configs_full", limit);
    }
    const row = await rows.insertConfig(tx, tenant, values, new Date(clock.now()));
    if (!row) throw new HotSwapError("config_exists", `There is a configuration ${input.name} already.`);
    await this.#record(tx, actor, "config.create", input.name, undefined, values);
    return row;
  }

  /** Throws `config_not_found`, or `permission_denied` when the token is not for it. */
  get(principal: Principal, name: string, permission: Permission = "configs.read"): Promise<ConfigRow> {
    const { tenant } = principal;
    return this.#parts.sql.tenant(tenant, async (tx: ConfigurationTx) => {
      const row = found(await rows.selectConfig(tx, tenant, name), name);
      guard(principal, permission, row);
      return row;
    });
  }

  /** As `get`, and nobody changes it before the transaction ends. */
  async lock(
    tx: ConfigurationTx,
    principal: Principal,
    name: string,
    permission: Permission,
  ): Promise<ConfigRow> {
    const row = found(await rows.lockConfig(tx, principal.tenant, name), name);
    guard(principal, permission, row);
    return row;
  }

  list(
    tenant: string,
    filter: rows.ConfigFilter,
    after: string | undefined,
    limit: number,
  ): Promise<ConfigRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) =>
      rows.selectConfigs(tx, tenant, filter, { after, limit }),
    );
  }

  /** `check` sees the row under its lock and throws when the caller's precondition fails. What is not given stays. */
  async update(
    actor: Actor,
    name: string,
    input: ConfigUpdate,
    check: (row: ConfigRow) => void,
  ): Promise<ConfigRow> {
    await this.checkSchema(actor.principal.tenant, input.schema);
    const work = async (tx: ConfigurationTx) => {
      const before = await this.lock(tx, actor.principal, name, "configs.write");
      check(before);
      return this.edit(tx, actor, before, input);
    };
    return change(this.#parts.sql, actor, work, () => {});
  }

  /** Within the caller's transaction, which has locked the row; the schema has been checked. */
  async edit(
    tx: ConfigurationTx,
    actor: Actor,
    before: ConfigRow,
    { description = before.description, labels = before.labels, schema }: ConfigUpdate,
  ): Promise<ConfigRow> {
    const { tenant_id: tenant, name } = before;
    const values = {
      ...{ description, labels },
      ...(schema === undefined ? schemaOf(before) : schemaColumns(schema)),
    };
    guard(actor.principal, "configs.write", { ...before, ...values }); // nor may it leave what the token is for
    if (canonicalJson(values) === canonicalJson(editable(before))) return before;
    const row = await rows.updateConfig(tx, tenant, name, values, new Date(this.#parts.clock.now()));
    await this.#record(tx, actor, "config.update", name, editable(before), values);
    return row;
  }

  /** With all its versions, drafts and history. Throws `config_version_in_use` while something deploys it. */
  async delete(actor: Actor, name: string, check: (row: ConfigRow) => void): Promise<void> {
    const { sql } = this.#parts;
    const { tenant } = actor.principal;
    const work = async (tx: ConfigurationTx) => {
      const row = await this.lock(tx, actor.principal, name, "configs.delete");
      check(row);
      const [used] = await this.inUse(tx, tenant, name);
      if (used !== undefined) {
        throw new HotSwapError("config_version_in_use", `Version ${used} of ${name} is being deployed.`);
      }
      await rows.deleteConfig(tx, tenant, name);
      await this.#record(tx, actor, "config.delete", name, editable(row), undefined);
    };
    await change(sql, actor, work, () => {});
  }

  async inUse(tx: ConfigurationTx, tenant: string, name: string): Promise<number[]> {
    const all: number[] = [];
    for (const user of this.#parts.users) all.push(...(await user.versionsInUse(tx, tenant, name)));
    return all;
  }

  /** Throws `validation_failed` unless the schema is there to be named. */
  async checkSchema(tenant: string, schema: GivenSchema | null | undefined, pointer = ""): Promise<void> {
    if (!schema) return;
    const { subject, version = null } = schema;
    if (await this.#parts.schemas.inForce(tenant, subject, version ?? undefined)) return;
    const which = version === null ? "has no approved version" : `has no version ${version} in force`;
    const fields = [{ pointer: `${pointer}/schema/subject`, message: which }];
    throw new HotSwapError("validation_failed", `The schema ${subject} ${which}.`, { fields });
  }

  #record(
    tx: ConfigurationTx,
    { principal, requestId }: Actor,
    action: string,
    name: string,
    before: unknown,
    after: unknown,
  ): Promise<void> {
    const change = { principal, requestId, action, resource: `configs/${name}`, before, after };
    return this.#parts.audit.record(tx, { ...change, detail: after });
  }
}

export function found(row: ConfigRow | undefined, name: string): ConfigRow {
  if (!row) throw new HotSwapError("config_not_found", `There is no configuration ${name}.`);
  return row;
}

export function valuesOf(input: NewConfig): rows.ConfigValues {
  const { name, service, environment, format, description = "", labels = {}, schema } = input;
  return { name, service, environment, format, description, labels, ...schemaColumns(schema) };
}

const schemaColumns = (schema: GivenSchema | null | undefined) => ({
  schema_subject: schema?.subject ?? null,
  schema_version: schema?.version ?? null,
});

const schemaOf = ({
  schema_subject,
  schema_version,
}: Pick<ConfigRow, "schema_subject" | "schema_version">) => ({ schema_subject, schema_version });

const editable = ({ description, labels, ...row }: ConfigRow) => ({ description, labels, ...schemaOf(row) });
