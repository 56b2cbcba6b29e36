/**
 * API keys of those who call routes. A key is 32 random bytes, so a plain digest of it is enough to keep: nobody can
 * guess back from it. It is shown once, when it is made; withdrawn, it stops counting on this node at once and on
 * others as soon as they hear of it.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Random } from "../core/random.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import * as rows from "./keys.sql.ts";
import { type GatewayTx, nextRevision } from "./revisions.sql.ts";

export interface NewKey {
  name: string;
  groups?: string[];
  expiresInSeconds?: number;
}

export interface KeysParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  random: Random;
  served: { changed(tenant: string): Promise<void> };
  /** Of one tenant. */
  keysMax: number;
}

const mark = "hsk_";

export class Keys {
  readonly #parts: KeysParts;

  constructor(parts: KeysParts) {
    this.#parts = parts;
  }

  /** The row, and the key itself, which nobody can have again. */
  async create(actor: Actor, { name, groups = [], expiresInSeconds }: NewKey) {
    const { sql, clock, makeId, random, audit, keysMax } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const key = mark + Buffer.from(random.bytes(32)).toString("base64url");
    const work = async (tx: GatewayTx) => {
      const now = new Date(clock.now());
      const expiresAt =
        expiresInSeconds === undefined ? undefined : new Date(now.getTime() + expiresInSeconds * 1_000);
      if ((await rows.countKeys(tx, tenant)) >= keysMax) {
        throw new HotSwapError("gateway_keys_full", `A tenant may have ${keysMax} keys here.`);
      }
      const values = { id: makeId(), name, digest: digestOf(key), hint: key.slice(0, 8), groups, expiresAt };
      const row = await rows.insertKey(tx, tenant, values, now);
      if (!row)
        throw new HotSwapError("gateway_key_exists", `There is a key named ${JSON.stringify(name)} already.`);
      await nextRevision(tx, tenant, "keys", now);
      const resource = `gateway/keys/${name}`;
      const after = { id: row.id, groups, expiresAt: expiresAt?.toISOString() };
      await audit.record(tx, { principal, action: "key.create", resource, requestId, after });
      return row;
    };
    const row = await change(sql, actor, work, () => this.#parts.served.changed(tenant));
    return { row, key };
  }

  list(tenant: string, after: string | undefined, limit: number): Promise<rows.KeyRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: GatewayTx) => rows.selectKeys(tx, tenant, { after, limit }));
  }

  async revoke(actor: Actor, id: string): Promise<void> {
    const { sql, clock, audit, served } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: GatewayTx) => {
      const row = await rows.deleteKey(tx, tenant, id);
      if (!row) throw new HotSwapError("gateway_key_not_found", "There is no key with this id.");
      await nextRevision(tx, tenant, "keys", new Date(clock.now()));
      const resource = `gateway/keys/${row.name}`;
      await audit.record(tx, { principal, action: "key.revoke", resource, requestId, before: { id } });
    };
    await change(sql, actor, work, () => served.changed(tenant));
  }
}

export const digestOf = (key: string): string => createHash("sha256").update(key).digest("hex");
