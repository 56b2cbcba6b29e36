/**
 * Secrets that documents refer to by name. Who sets one can never read it back; only an instance gets values, inside
 * of a document. A value is written to the store first, under a name of its own, and the row that points to it commits
 * afterwards: whatever happens in between, a name means its old value or its new one.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError, hasCode } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { SecretStore } from "../stores/secrets/port.ts";
import type { AnyTx, Sql } from "../stores/sql/port.ts";
import { referencesOf, withSecrets } from "./secret-references.ts";
import * as rows from "./secrets.sql.ts";
import type { ConfigurationTx, SecretRow } from "./tables.ts";
import { selectSecretUsers } from "./versions.sql.ts";

export interface SecretsParts {
  sql: Sql;
  secrets: Pick<SecretStore, "get" | "set" | "delete">;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  onError: (error: unknown) => void;
}

/** What of another room names a secret: nouns and their names, such as `{ route: "orders" }`. */
export type UsesOf = (tx: AnyTx, tenant: string, secret: string) => Promise<readonly object[]>;

/** Of one tenant. */
const secretsMax = 10_000;

export class Secrets {
  readonly #parts: SecretsParts;
  readonly #users: UsesOf[] = [selectSecretUsers];

  constructor(parts: SecretsParts) {
    this.#parts = parts;
  }

  /** Whoever else lets things name secrets says so here, before the server takes requests. */
  addUser(usesOf: UsesOf): void {
    this.#users.push(usesOf);
  }

  async set(actor: Actor, name: string, value: string): Promise<SecretRow> {
    const { sql, secrets, audit, clock, makeId } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const storedAs = `configuration/${tenant}/${makeId()}`;
    let former: string | undefined;
    if (!actor.dryRun) await secrets.set(storedAs, value);
    const work = async (tx: ConfigurationTx) => {
      const before = await rows.lockSecret(tx, tenant, name);
      if (!before && (await rows.countSecrets(tx, tenant)) >= secretsMax) {
        throw new HotSwapError("validation_failed", `A tenant may have ${secretsMax} secrets.`);
      }
      former = before?.stored_as;
      const author = principal.subject;
      const row = await rows.putSecret(tx, tenant, { name, storedAs, author }, new Date(clock.now()));
      const detail = { revision: row.revision };
      await audit.record(tx, {
        principal,
        requestId,
        action: "secret.set",
        resource: `secrets/${name}`,
        detail,
      });
      return row;
    };
    try {
      return await change(sql, actor, work, () => this.#forget(former));
    } catch (error) {
      // When the outcome is unknown the row may point to the value: rather keep too much.
      if (!hasCode(error, "store_unavailable")) await this.#forget(storedAs);
      throw error;
    }
  }

  /** Throws `secret_in_use` when anything refers to it, unless `force`. */
  async delete(actor: Actor, name: string, force: boolean): Promise<void> {
    const { sql, audit } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: ConfigurationTx) => {
      const row = await rows.lockSecret(tx, tenant, name);
      if (!row) throw new HotSwapError("secret_not_found", `There is no secret ${name}.`);
      const uses: object[] = [];
      for (const usesOf of this.#users) uses.push(...(await usesOf(tx, tenant, name)));
      if (uses.length > 0 && !force) {
        const shown = uses.map((use) => Object.entries(use).flat().join(" ")).join(", ");
        throw new HotSwapError("secret_in_use", `${name} is used by ${shown}.`, { data: { uses } });
      }
      await rows.deleteSecret(tx, tenant, name);
      const detail = { force, uses: uses.length };
      await audit.record(tx, {
        principal,
        requestId,
        action: "secret.delete",
        resource: `secrets/${name}`,
        detail,
      });
      return row.stored_as;
    };
    await change(sql, actor, work, (storedAs) => this.#forget(storedAs));
  }

  list(tenant: string, after: string | undefined, limit: number): Promise<SecretRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: ConfigurationTx) =>
      rows.selectSecrets(tx, tenant, { after, limit }),
    );
  }

  /** Those of these names that the tenant does not have. */
  async missing(tx: ConfigurationTx, tenant: string, names: readonly string[]): Promise<string[]> {
    if (names.length === 0) return [];
    const found = new Set((await rows.findSecrets(tx, tenant, names)).map(({ name }) => name));
    return names.filter((name) => !found.has(name));
  }

  /**
   * Values of those of these names that there are, for the system itself. Whoever wants to delete one waits until this
   * transaction has ended, and sees then what it made.
   */
  async hold(tx: ConfigurationTx, tenant: string, names: readonly string[]): Promise<Map<string, string>> {
    const values = new Map<string, string>();
    for (const { name, stored_as } of await rows.holdSecrets(tx, tenant, names)) {
      const value = await this.#parts.secrets.get(stored_as);
      if (value !== undefined) values.set(name, value);
    }
    return values;
  }

  /** For the system itself, never for a caller; undefined when there is none of this name. */
  async valueOf(tenant: string, name: string): Promise<string | undefined> {
    const { sql, secrets } = this.#parts;
    const [row] = await sql.tenant(tenant, (tx: ConfigurationTx) => rows.findSecrets(tx, tenant, [name]));
    return row && secrets.get(row.stored_as);
  }

  /** A copy of the document with the values of its secrets in. Throws `secret_not_found`. */
  async resolve(tenant: string, value: Json): Promise<Json> {
    const { references } = referencesOf(value);
    if (references.length === 0) return value;
    const { sql, secrets } = this.#parts;
    const names = [...new Set(references.map(({ name }) => name))];
    const found = await sql.tenant(tenant, (tx: ConfigurationTx) => rows.findSecrets(tx, tenant, names));
    const values = new Map<string, string>();
    for (const { name, stored_as } of found) {
      const stored = await secrets.get(stored_as);
      if (stored !== undefined) values.set(name, stored);
    }
    const absent = names.filter((name) => !values.has(name));
    if (absent.length > 0) {
      throw new HotSwapError("secret_not_found", `There is no secret ${absent.join(", ")}.`, {
        data: { absent },
      });
    }
    return withSecrets(value, values);
  }

  async #forget(storedAs: string | undefined): Promise<void> {
    if (storedAs === undefined) return;
    await this.#parts.secrets.delete(storedAs).catch(this.#parts.onError); // garbage, and nothing points to it
  }
}
