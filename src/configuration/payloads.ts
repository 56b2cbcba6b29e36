/**
 * Documents as instances get them: serialised once for all of them, with secrets put in their places. This is the only
 * place where a secret's value comes into a document, and it is kept in memory alone. One with secrets is read anew
 * after a while, so that a secret that was changed reaches who fetches.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import type { Json } from "../core/json.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import type { OpenTrial } from "./scopes.sql.ts";

export interface Content {
  /** Of what was written, with references in place of secrets. */
  readonly hash: string;
  /** The document's value as JSON. */
  readonly json: string;
  /** Of the hash and of what was put in. */
  readonly etag: string;
}

/** Of a version. */
export interface Payload extends Content {
  readonly version: number;
}

/** The value with secrets in place of their references; the very same when it has none. */
export type ResolveSecrets = (tenant: string, value: Json) => Promise<Json>;

export interface PayloadsOptions {
  sql: Sql;
  clock: Clock;
  resolveSecrets: ResolveSecrets;
}

/** A trial, by what it is of. */
type Tried = Pick<OpenTrial, "id" | "config" | "version">;
type MaybeFound<Found> = Found | Promise<Found | undefined>;

const keyOf = (tenant: string, config: string, which: number | string) =>
  JSON.stringify([tenant, config, which]);

const cacheBytes = 64 * 1024 * 1024;
const secretsKeptMs = 30_000;

interface Kept {
  payload: Payload | Content;
  /** Monotonic; of one with secrets. */
  until: number;
}

export class Payloads {
  readonly #options: PayloadsOptions;
  readonly #cache = new LRUCache<string, Kept>({
    maxSize: cacheBytes,
    sizeCalculation: ({ payload }) => payload.json.length + 256,
  });
  readonly #loading = new Map<string, Promise<Content | undefined>>();

  constructor(options: PayloadsOptions) {
    this.#options = options;
  }

  /** Undefined when there is no such version. Rejects with `secret_not_found` when one cannot be put in. */
  async get(tenant: string, config: string, version: number): Promise<Payload | undefined> {
    const key = keyOf(tenant, config, version);
    return this.#find(key, () => this.#load(key, tenant, config, version));
  }

  /** What a trial is of. */
  async tried(tenant: string, { id, config, version }: Tried): Promise<Content | undefined> {
    if (version !== null) return this.get(tenant, config, version);
    const key = keyOf(tenant, config, id);
    return this.#find(key, () => this.#loadDraft(key, tenant, id));
  }

  #find<Found extends Content>(key: string, load: () => Promise<Found | undefined>): MaybeFound<Found> {
    const kept = this.#cache.get(key);
    if (kept && this.#options.clock.monotonic() < kept.until) return kept.payload as Found;
    const loading = this.#loading.get(key) ?? load().finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading as Promise<Found | undefined>;
  }

  /** A configuration of this name may come again with other versions of the same numbers. */
  forget(tenant: string, config: string): void {
    const start = JSON.stringify([tenant, config]).slice(0, -1);
    for (const key of this.#cache.keys()) if (key.startsWith(`${start},`)) this.#cache.delete(key);
  }

  async #load(key: string, tenant: string, config: string, version: number): Promise<Payload | undefined> {
    const row = await this.#options.sql.tenant(tenant, (tx: DeliveryTx) =>
      tx
        .selectFrom("config_versions")
        .select(["hash", "value"])
        .where("tenant_id", "=", tenant)
        .where("config", "=", config)
        .where("version", "=", version)
        .executeTakeFirst(),
    );
    return row && this.#keep(key, tenant, row, { version });
  }

  async #loadDraft(key: string, tenant: string, trial: string): Promise<Content | undefined> {
    const row = await this.#options.sql.tenant(tenant, (tx: DeliveryTx) =>
      tx
        .selectFrom("config_trials")
        .select(["hash", "value"])
        .where("tenant_id", "=", tenant)
        .where("id", "=", trial)
        .executeTakeFirst(),
    );
    if (!row || row.hash === null) return undefined;
    return this.#keep(key, tenant, { hash: row.hash, value: row.value }, {});
  }

  /** With secrets in their places. */
  async #keep<About extends object>(
    key: string,
    tenant: string,
    { hash, value: written }: { hash: string; value: Json },
    about: About,
  ): Promise<Content & About> {
    const { clock, resolveSecrets } = this.#options;
    const value = await resolveSecrets(tenant, written);
    const json = JSON.stringify(value);
    const until = value === written ? Number.POSITIVE_INFINITY : clock.monotonic() + secretsKeptMs;
    const etag = `"${createHash("sha256").update(hash).update(json).digest("hex").slice(0, 32)}"`;
    const payload = { ...about, hash, json, etag };
    this.#cache.set(key, { payload, until });
    return payload;
  }
}
