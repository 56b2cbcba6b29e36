/**
 * Backends as this node's data plane sees them: health, breaker, connections; and what people set on them by hand. An
 * override is kept in SQL, so that it holds on every node and after a restart, until it is taken back or its time ends.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { BackendTable } from "./backend-table.ts";
import { deleteOverride, type OverrideRow, upsertOverride } from "./overrides.sql.ts";
import type { BackendState, ProxyStats } from "./proxy/stats.ts";
import { type GatewayTx, nextRevision } from "./revisions.sql.ts";

export interface NewOverride {
  breaker?: "open" | "closed" | "automatic";
  draining?: boolean;
  reason?: string;
  ttlSeconds?: number;
}

export interface BackendsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  served: {
    readonly backends: BackendTable;
    routeName(id: string): string | undefined;
    changed(tenant: string): Promise<void>;
  };
  stats(): Promise<ProxyStats>;
}

export interface BackendView {
  id: string;
  url: string;
  protocol: "h1" | "h2";
  routes: string[];
  state: BackendState | undefined;
  override: { breaker?: "open" | "closed"; draining?: boolean } | undefined;
}

export class Backends {
  readonly #parts: BackendsParts;

  constructor(parts: BackendsParts) {
    this.#parts = parts;
  }

  /** In order of URL. */
  async list(tenant: string): Promise<BackendView[]> {
    const { served, stats } = this.#parts;
    const states = new Map((await stats()).backends.map((state) => [state.id, state]));
    const views = served.backends.ofTenant(tenant).map((id) => this.#view(id, states.get(id)));
    return views.sort((a, b) => (a.url === b.url ? (a.id < b.id ? -1 : 1) : a.url < b.url ? -1 : 1));
  }

  /** Throws `gateway_backend_not_found`. */
  async get(tenant: string, id: string): Promise<BackendView> {
    this.#require(tenant, id);
    const { backends } = await this.#parts.stats();
    return this.#view(
      id,
      backends.find((state) => state.id === id),
    );
  }

  async override(actor: Actor, id: string, input: NewOverride): Promise<BackendView> {
    const { sql, clock, audit, served } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const { backend } = this.#require(tenant, id);
    const { breaker = "automatic", draining = false, reason = "", ttlSeconds } = input;
    const work = async (tx: GatewayTx) => {
      const now = new Date(clock.now());
      const row: OverrideRow = {
        ...{ tenant_id: tenant, backend: id, draining, reason, subject: principal.subject, created_at: now },
        breaker: breaker === "automatic" ? null : breaker,
        until: ttlSeconds === undefined ? null : new Date(now.getTime() + ttlSeconds * 1_000),
      };
      if (breaker === "automatic" && !draining) await deleteOverride(tx, tenant, id);
      else await upsertOverride(tx, row);
      await nextRevision(tx, tenant, "overrides", now);
      const resource = `gateway/backends/${id}`;
      const detail = { url: backend.url, breaker, draining, reason, ttlSeconds };
      await audit.record(tx, { principal, action: "backend.override", resource, requestId, detail });
    };
    await change(sql, actor, work, () => served.changed(tenant));
    return this.get(tenant, id);
  }

  #require(tenant: string, id: string) {
    const found = this.#parts.served.backends.find(id);
    if (found?.tenant === tenant) return found;
    throw new HotSwapError("gateway_backend_not_found", "No route of yours has a backend with this id.");
  }

  #view(id: string, state: BackendState | undefined): BackendView {
    const { served } = this.#parts;
    const { backend, routes, override } = served.backends.find(id)!;
    return {
      ...{ id, url: backend.url, protocol: backend.protocol ?? "h1", state, override },
      routes: routes.flatMap((route) => served.routeName(route) ?? []),
    };
  }
}
