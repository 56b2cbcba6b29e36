/**
 * Routes of all tenants by the hosts that they match, so that what is asked about one host costs what its own routes
 * cost. A host is a name, `*.` and a name for all names below it, or undefined for any. Two routes have a request in
 * common only if the host of one covers that of the other (overlap.ts).
 */
import type { AnalysedRoute } from "./analysis.ts";
import { coversHost } from "./overlap.ts";

/** What can be asked about hosts. */
export interface Hosts {
  /** The tenant's routes that can get a request for this host, or for one of those that it covers. */
  meeting(tenant: string, host: string | undefined): Iterable<AnalysedRoute>;
  /** Hosts that routes of other tenants name. */
  namedBeside(tenant: string): Iterable<string>;
  /** The tenant whose route names the host most exactly; of a host that nobody names, who has routes for any. */
  ownerOf(name: string): string | undefined;
}

type ById<Held> = Map<string, Held>;

interface Owned extends AnalysedRoute {
  readonly tenant: string;
}

export class HostIndex<Held extends Owned> implements Hosts {
  /** By host, then by tenant. */
  readonly #hosts = new Map<string | undefined, Map<string, ById<Held>>>();
  readonly #all = new Map<string, ById<Held>>();

  /** In the place of `before`, when there is one. */
  put(held: Held, before?: Held): void {
    const { id, tenant, spec } = held;
    const { host } = spec.match;
    if (before && (before.tenant !== tenant || before.spec.match.host !== host)) this.remove(before);
    const tenants = this.#hosts.get(host) ?? new Map<string, ById<Held>>();
    this.#hosts.set(host, tenants.set(tenant, (tenants.get(tenant) ?? new Map()).set(id, held)));
    this.#all.set(tenant, (this.#all.get(tenant) ?? new Map()).set(id, held));
  }

  remove({ id, tenant, spec }: Held): void {
    const { host } = spec.match;
    const tenants = this.#hosts.get(host);
    const own = tenants?.get(tenant);
    if (own?.delete(id) && own.size === 0) tenants!.delete(tenant);
    if (tenants?.size === 0) this.#hosts.delete(host);
    this.#all.get(tenant)?.delete(id);
  }

  of(tenant: string): ReadonlyMap<string, Held> {
    return this.#all.get(tenant) ?? new Map();
  }

  *meeting(tenant: string, host: string | undefined): Generator<Held> {
    if (host === undefined) return yield* this.of(tenant).values();
    for (const above of coveringHosts(host)) yield* this.#hosts.get(above)?.get(tenant)?.values() ?? [];
    if (!host.startsWith("*.")) return;
    for (const [below, tenants] of this.#hosts) {
      if (below !== host && coversHost(host, below)) yield* tenants.get(tenant)?.values() ?? [];
    }
  }

  *namedBeside(tenant: string): Generator<string> {
    for (const [host, tenants] of this.#hosts) {
      if (host !== undefined && (tenants.size > 1 || !tenants.has(tenant))) yield host;
    }
  }

  ownerOf(name: string): string | undefined {
    for (const host of coveringHosts(name)) {
      const tenants = this.#hosts.get(host);
      if (tenants) return tenants.keys().next().value;
    }
    return undefined;
  }

  /** The tenant with routes for any host. SQL lets one have some; here more can, for a moment. */
  get anyHostOwner(): string | undefined {
    return this.#hosts.get(undefined)?.keys().next().value;
  }
}

/** All that cover this one: itself, the wildcards above it, the nearest first, and any. */
function* coveringHosts(host: string): Generator<string | undefined> {
  yield host;
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
    const above = `*${host.slice(dot)}`;
    if (above !== host) yield above;
  }
  yield undefined;
}
