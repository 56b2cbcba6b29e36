/**
 * Everything about documents: configurations, versions, drafts and secrets, wired together. What deployments and
 * delivery need of them is here and nowhere else: which version can be deployed, which one is in force, and a document
 * with its secrets in.
 */
import type { Clock } from "../core/clock.ts";
import type { MakeId } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Route } from "../platform/http/route.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { SchemaRegistry, SchemaUse, SchemaUser } from "../schemas/index.ts";
import type { SecretStore } from "../stores/secrets/port.ts";
import type { AnyTx, Sql } from "../stores/sql/port.ts";
import { configRoutes } from "./configs.routes.ts";
import { countByTenant, lockConfig, selectConfig, selectUsers } from "./configs.sql.ts";
import { Configs, found, type VersionUser } from "./configs.ts";
import { draftRoutes } from "./drafts.routes.ts";
import { Drafts } from "./drafts.ts";
import { Preparation } from "./preparation.ts";
import { secretRoutes } from "./secrets.routes.ts";
import { Secrets } from "./secrets.ts";
import type { ConfigRow, ConfigurationTx, VersionRow } from "./tables.ts";
import { transferRoutes } from "./transfer.routes.ts";
import { Transfer } from "./transfer.ts";
import { versionRoutes } from "./versions.routes.ts";
import { selectVersion } from "./versions.sql.ts";
import { type CurrentBy, Versions } from "./versions.ts";

export interface DocumentSettings {
  approvalEnvironments: readonly string[];
  textLimitBytes: number;
  configsMax: number;
  versionsMax: number;
  importLimitBytes: number;
  jsonDepthLimit: number;
}

export interface DocumentsParts {
  sql: Sql;
  secrets: SecretStore;
  audit: Pick<Audit, "record">;
  approvals: Pick<Approvals, "notices">;
  schemas: Pick<SchemaRegistry, "inForce" | "addUser">;
  clock: Clock;
  makeId: MakeId;
  metrics: Metrics;
  settings: DocumentSettings;
  onError: (error: unknown) => void;
}

export interface DeployableVersion {
  config: ConfigRow;
  version: VersionRow;
  /** In force now; undefined before the first deployment. */
  current: VersionRow | undefined;
  /** Whether somebody else must approve the deployment. */
  needsApproval: boolean;
}

/** Of a text as JSON: white space and escapes may make it longer than it is. */
const bodyFactor = 2;
const bodyRest = 64 * 1024;

export class Documents implements SchemaUser {
  readonly routes: Route[];
  readonly configs: Configs;
  readonly versions: Versions;
  readonly drafts: Drafts;
  readonly secrets: Secrets;
  readonly preparation: Preparation;
  readonly #parts: DocumentsParts;
  readonly #users: VersionUser[] = [];

  constructor(parts: DocumentsParts) {
    this.#parts = parts;
    const { settings, approvals, secrets: store, ...shared } = parts;
    const { textLimitBytes, configsMax, versionsMax, jsonDepthLimit } = settings;
    const limits = { textBytes: textLimitBytes, depth: jsonDepthLimit };
    const { sql, schemas } = shared;
    this.secrets = new Secrets({ ...shared, secrets: store });
    this.configs = new Configs({ ...shared, users: this.#users, configsMax });
    this.preparation = new Preparation({ sql, schemas, secrets: this.secrets, limits });
    const made = { ...shared, configs: this.configs, preparation: this.preparation };
    const { notices } = approvals;
    this.versions = new Versions({ ...made, secrets: this.secrets, notices, versionsMax });
    this.drafts = new Drafts({ ...made, versions: this.versions, textBytesMax: textLimitBytes });
    const transfer = new Transfer({ ...made, versions: this.versions });
    const bodyLimit = textLimitBytes * bodyFactor + bodyRest;
    this.routes = [
      ...configRoutes(this.configs, this.needsApproval),
      ...versionRoutes(this.versions, bodyLimit),
      ...draftRoutes(this.drafts, bodyLimit),
      ...transferRoutes(transfer, settings.importLimitBytes),
      ...secretRoutes(this.secrets),
    ];
    schemas.addUser(this);
    this.#watch();
  }

  /** Whoever holds on to versions says so here, before the server takes requests. */
  addUser(user: VersionUser): void {
    this.#users.push(user);
  }

  needsApproval = (environment: string): boolean =>
    this.#parts.settings.approvalEnvironments.includes(environment);

  /**
   * What a deployment of this version would start from; the configuration stays locked until the transaction ends.
   * Throws `config_not_found` or `config_version_not_found`.
   */
  async versionForDeployment(
    tx: AnyTx,
    tenant: string,
    name: string,
    version: number,
  ): Promise<DeployableVersion> {
    const config = found(await lockConfig(tx, tenant, name), name);
    const wanted = await this.versions.find(tx, config, version);
    const { current_version: number } = config;
    const current = number === null ? undefined : await selectVersion(tx, tenant, name, number);
    return { config, version: wanted, current, needsApproval: this.needsApproval(config.environment) };
  }

  /**
   * `version` is in force from now on, which is written into the history; `by.instead` is what was tried and taken
   * back, when it was. Idempotent. Throws `config_not_found`.
   */
  async setCurrent(tx: AnyTx, tenant: string, name: string, version: number, by: CurrentBy): Promise<void> {
    await this.versions.setCurrent(tx, found(await lockConfig(tx, tenant, name), name), version, by);
  }

  /** Undefined when there is no such version, or no such configuration. */
  version(tenant: string, name: string, version: number): Promise<VersionRow | undefined> {
    return this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) => selectVersion(tx, tenant, name, version));
  }

  config(tenant: string, name: string): Promise<ConfigRow | undefined> {
    return this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) => selectConfig(tx, tenant, name));
  }

  /** The document as an instance gets it, with the values of its secrets. Throws `secret_not_found`. */
  resolveSecrets(tenant: string, value: Json): Promise<Json> {
    return this.secrets.resolve(tenant, value);
  }

  async usesOf(tenant: string, subject: string): Promise<SchemaUse[]> {
    const rows = await this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) =>
      selectUsers(tx, tenant, subject),
    );
    return rows.map(({ name, schema_version }) => ({
      kind: "config",
      name,
      of: null,
      version: schema_version,
    }));
  }

  /** Versions were held against the schema that was in force when they were made, and stay as they are. */
  changed(): void {}

  #watch(): void {
    const { metrics, sql } = this.#parts;
    const counted = new Set<string>();
    metrics.onCollect(async () => {
      const counts = await sql.system((tx: ConfigurationTx) => countByTenant(tx));
      const gauge = metrics.gauge("config_profiles");
      for (const tenant of counted) gauge.labels({ tenant }).set(0);
      for (const { tenant_id: tenant, count } of counts) {
        counted.add(tenant);
        gauge.labels({ tenant }).set(count);
      }
    });
  }
}
