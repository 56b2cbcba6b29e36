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

export interface Payload {
  readonly version: number;
  /** Of the version, with references in place of secrets. */
  readonly hash: string;
  /** The document's value as JSON. */
  readonly json: string;
  /** Of the hash and of what was put in. */
  readonly etag: string;
}

/** The value with secrets in place of their references; the very same when it has none. */
export type ResolveSecrets = (tenant: string, value: Json) => Promise<Json>;

export interface PayloadsOptions {
  sql: Sql;
  clock: Clock;
  resolveSecrets: ResolveSecrets;
}

const cacheBytes = 64 * 1024 * 1024;
const secretsKeptMs = 30_000;

interface Kept {
  payload: Payload;
  /** Monotonic; of one with secrets. */
  until: number;
}

export class Payloads {
  readonly #options: PayloadsOptions;
  readonly #cache = new LRUCache<string, Kept>({
    maxSize: cacheBytes,
    sizeCalculation: ({ payload }) => payload.json.length + 256,
  });
  readonly #loading = new Map<string, Promise<Payload | undefined>>();

  constructor(options: PayloadsOptions) {
    this.#options = options;
  }

  /** Undefined when there is no such version. Rejects with `secret_not_found` when one cannot be put in. */
  async get(tenant: string, config: string, version: number): Promise<Payload | undefined> {
    const key = JSON.stringify([tenant, config, version]);
    const kept = this.#cache.get(key);
    if (kept && this.#options.clock.monotonic() < kept.until) return kept.payload;
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#load(key, tenant, config, version).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  /** A configuration of this name may come again with other versions of the same numbers. */
  forget(tenant: string, config: string): void {
    const start = JSON.stringify([tenant, config]).slice(0, -1);
    for (const key of this.#cache.keys()) if (key.startsWith(`${start},`)) this.#cache.delete(key);
  }

  async #load(key: string, tenant: string, config: string, version: number): Promise<Payload | undefined> {
    const { sql, clock, resolveSecrets } = this.#options;
    const row = await sql.tenant(tenant, (tx: DeliveryTx) =>
      tx
        .selectFrom("config_versions")
        .select(["hash", "value"])
        .where("tenant_id", "=", tenant)
        .where("config", "=", config)
        .where("version", "=", version)
        .executeTakeFirst(),
    );
    if (!row) return undefined;
    const value = await resolveSecrets(tenant, row.value);
    const json = JSON.stringify(value);
    const until = value === row.value ? Number.POSITIVE_INFINITY : clock.monotonic() + secretsKeptMs;
    const etag = `"${createHash("sha256").update(row.hash).update(json).digest("hex").slice(0, 32)}"`;
    const payload = { version, hash: row.hash, json, etag };
    this.#cache.set(key, { payload, until });
    return payload;
  }
}
