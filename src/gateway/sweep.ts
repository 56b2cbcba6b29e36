/**
 * Takes away what has an end of its own: instances that are silent, keys and overrides whose time is over. Every node
 * does it; the rows of a change are locked, so it happens once.
 *
 * An instance is only gone when its heartbeats could have been taken for the whole of its time: after SQL was away
 * everyone gets a time to live again, or one outage of the database would empty every service.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Sql } from "../stores/sql/port.ts";
import { deleteExpiredKeys } from "./keys.sql.ts";
import { deleteExpiredOverrides } from "./overrides.sql.ts";
import { type GatewayTx, nextRevision } from "./revisions.sql.ts";
import { deleteExpired, tenantsWithExpired } from "./services.sql.ts";
import type { Part } from "./tables.ts";

export interface SweepOptions {
  sql: Sql;
  clock: Clock;
  changed(tenant: string): Promise<void>;
  onError(error: unknown): void;
}

const intervalMs = 1_000;

export class Sweep implements Service {
  readonly name = "gateway sweep";
  readonly #options: SweepOptions;
  #timer: Timer | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;
  /** Monotonic; since when SQL has answered without a break. */
  #reachableSince: number | undefined;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#reachableSince = this.#options.clock.monotonic();
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#sweeping;
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(intervalMs, () => {
      this.#sweeping = this.#sweep().then(() => this.#arm());
    });
  }

  async #sweep(): Promise<void> {
    const { sql, clock, changed, onError } = this.#options;
    try {
      const tenants = await sql.system((tx: GatewayTx) => this.#takeAway(tx));
      this.#reachableSince ??= clock.monotonic();
      for (const tenant of tenants) await changed(tenant);
    } catch (error) {
      // Told once; how SQL is, /ready says.
      if (this.#reachableSince !== undefined) onError(error);
      this.#reachableSince = undefined;
    }
  }

  async #takeAway(tx: GatewayTx): Promise<Set<string>> {
    const { clock } = this.#options;
    const now = new Date(clock.now());
    const gone: [string, Part][] = [
      ...(await deleteExpiredKeys(tx, now)).map(({ tenant_id }): [string, Part] => [tenant_id, "keys"]),
      ...(await deleteExpiredOverrides(tx, now)).map(({ tenant_id }): [string, Part] => [
        tenant_id,
        "overrides",
      ]),
    ];
    const reachableMs = clock.monotonic() - (this.#reachableSince ?? clock.monotonic());
    for (const tenant of await tenantsWithExpired(tx, now)) {
      const count = await deleteExpired(tx, tenant, now, reachableMs / 1_000);
      if (count > 0) gone.push([tenant, "instances"]);
    }
    const seen = new Set<string>();
    for (const [tenant, part] of gone) {
      if (seen.has(`${tenant} ${part}`)) continue;
      seen.add(`${tenant} ${part}`);
      await nextRevision(tx, tenant, part, now);
    }
    return new Set(gone.map(([tenant]) => tenant));
  }
}
