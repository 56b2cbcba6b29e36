/** Configurations: their documents as versions, drafts, and how they move between environments. */
import type { ChangeOptions } from "./gateway.ts";
import type { Json } from "./message.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export type ConfigFormat = "json" | "yaml" | "toml" | "properties";

export interface NewConfig {
  /** One for the whole tenant, such as `checkout-production`. */
  name: string;
  service: string;
  environment: string;
  format: ConfigFormat;
  description?: string;
  labels?: Record<string, string>;
  /** What each new version must fit; a version of null is the latest in force. */
  schema?: { subject: string; version?: number | null } | null;
}

/** What is not given stays. */
export type ConfigUpdate = Pick<NewConfig, "description" | "labels" | "schema">;

export interface Config extends Required<NewConfig> {
  schema: { subject: string; version: number | null } | null;
  /** In force; null before the first deployment. */
  currentVersion: number | null;
  /** The one to go on from: written last, or what that was rolled back to. */
  latestVersion: number | null;
  needsApproval: boolean;
  /** `update` takes it to notice changes by others. */
  revision: number;
  createdAt: string;
  updatedAt: string;
}

export interface ConfigFilter {
  service?: string | undefined;
  environment?: string | undefined;
  /** Part of the name or description. */
  text?: string | undefined;
}

export interface NewConfigVersion {
  text: string;
  note?: string;
  /** The version it was made from, 0 for none: refused with `config_conflict` when there is a newer one. */
  parent?: number;
}

export interface ConfigVersionSummary {
  config: string;
  version: number;
  hash: string;
  note: string;
  author: string;
  parent: number | null;
  schema: { subject: string; version: number } | null;
  /** Names of the secrets that it refers to. */
  secrets: string[];
  /** Where it was promoted from. */
  origin: { config: string; version: number; hash: string } | null;
  current: boolean;
  createdAt: string;
}

export interface ConfigVersion extends ConfigVersionSummary {
  format: ConfigFormat;
  text: string;
  value: Json;
}

export interface ConfigWarning {
  pointer: string;
  message: string;
}

export interface MadeConfigVersion extends ConfigVersionSummary {
  /** False when the content is that of a version that there is. */
  created: boolean;
  warnings: ConfigWarning[];
}

export interface ConfigChange {
  kind: "added" | "removed" | "changed" | "moved";
  pointer: string;
  /** For people: `servers[eu].port`. */
  label: string;
  before?: Json;
  after?: Json;
}

export interface ConfigDiff {
  from: number;
  to: number;
  /** RFC 6902. */
  patch: { op: "add" | "remove" | "replace" | "move"; path: string; from?: string; value?: Json }[];
  changes: ConfigChange[];
}

export interface ConfigDraft {
  config: string;
  author: string;
  text: string;
  parent: number | null;
  revision: number;
  updatedAt: string;
  mistakes: { pointer: string; message: string; line: number; column: number }[];
  warnings: ConfigWarning[];
  /** Null while it cannot be read. */
  changes: ConfigChange[] | null;
}

export interface ConfigEvent {
  id: string;
  type: "version" | "promoted" | "current" | "rolled_back" | "deleted";
  version: number;
  fromVersion: number | null;
  author: string;
  note: string;
  deployment: string | null;
  at: string;
}

export interface BlamedPlace {
  pointer: string;
  version: number;
  author: string;
  note: string;
  createdAt: string;
}

export interface ExportedConfig extends Required<NewConfig> {
  text: string | null;
  version: number | null;
  hash: string | null;
}

export interface ImportedConfig extends NewConfig {
  text?: string | null;
  version?: number | null;
  hash?: string | null;
}

export interface ConfigImport {
  dryRun: boolean;
  created: string[];
  changed: { name: string; version: number; changes: ConfigChange[] }[];
  unchanged: number;
}

const base = "/api/v1/configs";

export class Configs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(config: NewConfig, options: ChangeOptions = {}): Promise<Config> {
    return this.#post(base, config, options);
  }

  get(name: string, options: CallOptions = {}): Promise<Config> {
    return this.#get(path`/api/v1/configs/${name}`, options);
  }

  list({
    limit,
    cursor,
    service,
    environment,
    text,
    ...options
  }: PageOptions & ConfigFilter = {}): Promise<Page<Config>> {
    const query = { limit, cursor, service, environment, text };
    return this.#transport.json({ method: "GET", path: base, query, ...options });
  }

  /** Every configuration, page after page. */
  all(filter: CallOptions & ConfigFilter = {}): AsyncGenerator<Config> {
    return this.#transport.items((cursor) => this.list({ cursor, ...filter }));
  }

  /** Fails with `etag_mismatch` when it is no longer at `revision`. */
  update(
    name: string,
    revision: number,
    update: ConfigUpdate,
    { dryRun, ...options }: ChangeOptions = {},
  ): Promise<Config> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/configs/${name}`,
      query: { dryRun },
      body: update,
      headers: { "if-match": `"${revision}"` },
      ...options,
    });
  }

  /** With all its versions. */
  delete(name: string, options: ChangeOptions = {}): Promise<void> {
    return this.#delete(path`/api/v1/configs/${name}`, options);
  }

  /** The same content again is the version that it is already. */
  put(name: string, version: NewConfigVersion, options: ChangeOptions = {}): Promise<MadeConfigVersion> {
    return this.#post(path`/api/v1/configs/${name}/versions`, version, options);
  }

  version(name: string, version: number, options: CallOptions = {}): Promise<ConfigVersion> {
    return this.#get(path`/api/v1/configs/${name}/versions/${String(version)}`, options);
  }

  /** Newest first. */
  versions(
    name: string,
    { limit, cursor, ...options }: PageOptions = {},
  ): Promise<Page<ConfigVersionSummary>> {
    const target = path`/api/v1/configs/${name}/versions`;
    return this.#transport.json({ method: "GET", path: target, query: { limit, cursor }, ...options });
  }

  allVersions(name: string, options: CallOptions = {}): AsyncGenerator<ConfigVersionSummary> {
    return this.#transport.items((cursor) => this.versions(name, { cursor, ...options }));
  }

  deleteVersion(name: string, version: number, options: ChangeOptions = {}): Promise<void> {
    return this.#delete(path`/api/v1/configs/${name}/versions/${String(version)}`, options);
  }

  diff(name: string, from: number, to: number, options: CallOptions = {}): Promise<ConfigDiff> {
    return this.#get(path`/api/v1/configs/${name}/versions/${String(from)}/diff/${String(to)}`, options);
  }

  /** Which version, and who, brought each value. */
  async blame(name: string, version: number, options: CallOptions = {}): Promise<BlamedPlace[]> {
    const target = path`/api/v1/configs/${name}/versions/${String(version)}/blame`;
    return (await this.#get<{ items: BlamedPlace[] }>(target, options)).items;
  }

  /** Newest first. */
  history(name: string, { limit, cursor, ...options }: PageOptions = {}): Promise<Page<ConfigEvent>> {
    const target = path`/api/v1/configs/${name}/history`;
    return this.#transport.json({ method: "GET", path: target, query: { limit, cursor }, ...options });
  }

  /** Copies a version to the configuration of another environment; by default the one in force, or the newest. */
  promote(
    name: string,
    promotion: { to: string; version?: number; note?: string },
    options: ChangeOptions = {},
  ): Promise<MadeConfigVersion> {
    return this.#post(path`/api/v1/configs/${name}/promote`, promotion, options);
  }

  /** One's own. */
  draft(name: string, options: CallOptions = {}): Promise<ConfigDraft> {
    return this.#get(path`/api/v1/configs/${name}/draft`, options);
  }

  async drafts(
    name: string,
    options: CallOptions = {},
  ): Promise<{ author: string; parent: number | null; updatedAt: string }[]> {
    type Answer = { items: { author: string; parent: number | null; updatedAt: string }[] };
    return (await this.#get<Answer>(path`/api/v1/configs/${name}/drafts`, options)).items;
  }

  /** Valid or not. With `revision` only when nobody has saved it meanwhile. */
  saveDraft(
    name: string,
    text: string,
    { revision, ...options }: CallOptions & { revision?: number } = {},
  ): Promise<ConfigDraft> {
    return this.#transport.json({
      method: "PUT",
      path: path`/api/v1/configs/${name}/draft`,
      body: { text },
      ...(revision !== undefined && { headers: { "if-match": `"${revision}"` } }),
      ...options,
    });
  }

  discardDraft(name: string, options: ChangeOptions = {}): Promise<void> {
    return this.#delete(path`/api/v1/configs/${name}/draft`, options);
  }

  /** Fails with `config_conflict` when a version was written since the draft was begun. */
  publishDraft(name: string, note?: string, options: ChangeOptions = {}): Promise<MadeConfigVersion> {
    return this.#post(
      path`/api/v1/configs/${name}/draft/publish`,
      { ...(note !== undefined && { note }) },
      options,
    );
  }

  /** Every configuration with its document, page after page, as `import` takes them. */
  export({
    service,
    environment,
    ...options
  }: CallOptions & Omit<ConfigFilter, "text"> = {}): AsyncGenerator<ExportedConfig> {
    return this.#transport.items<ExportedConfig>((cursor) => {
      const query = { cursor, service, environment };
      return this.#transport.json({ method: "GET", path: `${base}/export`, query, ...options });
    });
  }

  /** All of them or none; what is not named stays. */
  import(
    configs: readonly ImportedConfig[],
    { note, dryRun, ...options }: ChangeOptions & { note?: string | undefined } = {},
  ): Promise<ConfigImport> {
    return this.#transport.json({
      method: "POST",
      path: `${base}/import`,
      query: { dryRun },
      body: { configs, ...(note !== undefined && { note }) },
      ...options,
    });
  }

  #get<Answer>(target: string, options: CallOptions): Promise<Answer> {
    return this.#transport.json({ method: "GET", path: target, ...options });
  }

  #post<Answer>(target: string, body: unknown, { dryRun, ...options }: ChangeOptions): Promise<Answer> {
    const keyed = { headers: idempotencyKey(), idempotent: true } as const;
    return this.#transport.json({
      method: "POST",
      path: target,
      query: { dryRun },
      body,
      ...keyed,
      ...options,
    });
  }

  #delete(target: string, { dryRun, ...options }: ChangeOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: target, query: { dryRun }, ...options });
  }
}
