/**
 * Which backends the routes need, each once. Several routes may name the same one; the settings of the oldest count,
 * as ids of routes are in order of time. Knows what changed since it was asked last.
 */
import { canonicalJson } from "../core/json.ts";
import type { Backend } from "./proxy/snapshot.backend.ts";

/** What people set by hand on a backend, whatever routes say. */
export interface Override {
  draining?: boolean;
  breaker?: "open" | "closed";
}

/** The backend as one route has it, also as text to compare by. */
interface User {
  backend: Backend;
  text: string;
}

interface Entry {
  tenant: string;
  /** By route id. */
  users: Map<string, User>;
  effective: Backend;
}

export interface Difference {
  url: string;
  counts: string;
  other: string;
}

export class BackendTable {
  readonly #entries = new Map<string, Entry>();
  readonly #byRoute = new Map<string, readonly string[]>();
  readonly #overrides = new Map<string, Override>();
  readonly #changed = new Set<string>();

  /** Replaces what this route needs; nothing when it is gone. */
  set(route: string, tenant: string, backends: readonly Backend[]): void {
    for (const id of this.#byRoute.get(route) ?? []) {
      const entry = this.#entries.get(id)!;
      entry.users.delete(route);
      this.#changed.add(id);
    }
    for (const backend of backends) {
      const entry = this.#entries.get(backend.id) ?? { tenant, users: new Map(), effective: backend };
      entry.users.set(route, { backend, text: canonicalJson(backend) });
      this.#entries.set(backend.id, entry);
      this.#changed.add(backend.id);
    }
    if (backends.length > 0)
      this.#byRoute.set(
        route,
        backends.map(({ id }) => id),
      );
    else this.#byRoute.delete(route);
  }

  override(id: string, override: Override | undefined): void {
    if (override) this.#overrides.set(id, override);
    else this.#overrides.delete(id);
    this.#changed.add(id);
  }

  /** What differs since the last call. Unchanged backends stay the same objects. */
  take(): { put: Backend[]; removed: { id: string; tenant: string; url: string }[] } {
    const put: Backend[] = [];
    const removed: { id: string; tenant: string; url: string }[] = [];
    for (const id of this.#changed) {
      const entry = this.#entries.get(id);
      if (!entry) continue;
      if (entry.users.size === 0) {
        this.#entries.delete(id);
        removed.push({ id, tenant: entry.tenant, url: entry.effective.url });
        continue;
      }
      const effective = this.#effective(id, entry);
      if (canonicalJson(effective) === canonicalJson(entry.effective) && this.#known.has(id)) continue;
      entry.effective = effective;
      this.#known.add(id);
      put.push(effective);
    }
    for (const { id } of removed) this.#known.delete(id);
    this.#changed.clear();
    return { put, removed };
  }

  /** Those that have been handed out. */
  readonly #known = new Set<string>();

  #effective(id: string, { users }: Entry): Backend {
    const { draining, breaker } = this.#overrides.get(id) ?? {};
    const { backend } = users.get(oldestOf(users))!;
    return {
      ...backend,
      ...(draining && { draining }),
      ...(breaker && { breaker: { ...backend.breaker, override: breaker } }),
    };
  }

  all(): Backend[] {
    return [...this.#entries.values()].map(({ effective }) => effective);
  }

  find(
    id: string,
  ): { tenant: string; backend: Backend; routes: string[]; override: Override | undefined } | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    const routes = [...entry.users.keys()].sort();
    return { tenant: entry.tenant, backend: entry.effective, routes, override: this.#overrides.get(id) };
  }

  /**
   * Pairs of routes that name one backend with different settings: the one that counts, and the other. All of the
   * tenant's, or those that one route is in.
   */
  *differences(tenant: string, route?: string): Generator<Difference> {
    const ids = route === undefined ? this.#entries.keys() : (this.#byRoute.get(route) ?? []);
    for (const id of ids) {
      const { tenant: owner, users, effective } = this.#entries.get(id)!;
      if (owner !== tenant || users.size < 2) continue;
      const counts = oldestOf(users);
      const wanted = users.get(counts)!.text;
      const others = route === undefined || route === counts ? users.keys() : [route];
      for (const other of others) {
        if (users.get(other)!.text !== wanted) yield { url: effective.url, counts, other };
      }
    }
  }

  ofTenant(tenant: string): string[] {
    return [...this.#entries].filter(([, entry]) => entry.tenant === tenant).map(([id]) => id);
  }
}

/** Ids are made in the order of time. */
function oldestOf(users: ReadonlyMap<string, User>): string {
  let oldest: string | undefined;
  for (const route of users.keys()) if (oldest === undefined || route < oldest) oldest = route;
  return oldest!;
}
