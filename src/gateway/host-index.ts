/**
 * Routes of all tenants by the hosts that they match, and those of a host by their paths, so that what is asked about
 * one place costs what the routes there cost. A host is a name, `*.` and a name for all names below it, or undefined
 * for any. Two routes have a request in common only if the host of one covers that of the other (overlap.ts).
 */
import type { AnalysedRoute } from "./analysis.ts";
import { beginningOf, coversHost, pathPattern } from "./overlap.ts";
import { PathIndex } from "./path-index.ts";
import type { RouteSpec } from "./routes.schema.ts";

/** Without a host any, without a path any. */
export type Place = Pick<RouteSpec["match"], "host" | "path">;

/** What can be asked about hosts. */
export interface Hosts {
  /** The tenant's routes that can get a request for this place; some of them, for their paths, may not. */
  meeting(tenant: string, place: Place): Iterable<AnalysedRoute>;
  /** Hosts that routes of other tenants name. */
  namedBeside(tenant: string): Iterable<string>;
  /** The tenant whose route names the host most exactly; of a host that nobody names, who has routes for any. */
  ownerOf(name: string): string | undefined;
}

interface Owned extends AnalysedRoute {
  readonly tenant: string;
}

export class HostIndex<Held extends Owned> implements Hosts {
  /** By host, then by tenant. */
  readonly #hosts = new Map<string | undefined, Map<string, PathIndex<Held>>>();
  readonly #all = new Map<string, Map<string, Held>>();

  /** In the place of `before`, when there is one. */
  put(held: Held, before?: Held): void {
    const { id, tenant, spec } = held;
    const { host } = spec.match;
    const isSamePlace = before?.tenant === tenant && before.spec.match.host === host;
    if (before && !isSamePlace) this.remove(before);
    const tenants = this.#hosts.get(host) ?? new Map<string, PathIndex<Held>>();
    const own = tenants.get(tenant) ?? new PathIndex<Held>();
    if (before && isSamePlace) own.remove(before);
    own.put(held);
    this.#hosts.set(host, tenants.set(tenant, own));
    this.#all.set(tenant, (this.#all.get(tenant) ?? new Map()).set(id, held));
  }

  remove(held: Held): void {
    const { id, tenant, spec } = held;
    const { host } = spec.match;
    const tenants = this.#hosts.get(host);
    const own = tenants?.get(tenant);
    own?.remove(held);
    if (own?.isEmpty) tenants!.delete(tenant);
    if (tenants?.size === 0) this.#hosts.delete(host);
    this.#all.get(tenant)?.delete(id);
  }

  of(tenant: string): ReadonlyMap<string, Held> {
    return this.#all.get(tenant) ?? new Map();
  }

  *meeting(tenant: string, { host, path }: Place): Generator<Held> {
    const beginning = beginningOf(pathPattern(path));
    for (const met of this.#hostsMeeting(host)) {
      yield* this.#hosts.get(met)?.get(tenant)?.meeting(beginning) ?? [];
    }
  }

  *#hostsMeeting(host: string | undefined): Generator<string | undefined> {
    if (host !== undefined) yield* coveringHosts(host);
    if (host !== undefined && !host.startsWith("*.")) return;
    for (const below of this.#hosts.keys())
      if (host === undefined || (below !== host && coversHost(host, below))) yield below;
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
