/**
 * The snapshot of all tenants, kept up to date route by route: what a change costs grows with the change and not with
 * the set. It holds no truth; everything in it comes from SQL, from discovery and from folders, and can be had again.
 */
import type { AnalysedRoute } from "./analysis.ts";
import { BackendTable } from "./backend-table.ts";
import type { BackendSpec } from "./backends.schema.ts";
import { type CompileContext, compileRoute, compileSplit, type Endpoint, type SplitSpec } from "./compile.ts";
import { HostIndex, type Hosts } from "./host-index.ts";
import type * as plane from "./proxy/snapshot.route.ts";
import type { Snapshot, SnapshotChange } from "./proxy/snapshot.ts";
import type { RouteSpec } from "./routes.schema.ts";

/** What routes are compiled against. */
export interface Surroundings {
  endpointsOf(tenant: string, backend: BackendSpec): readonly Endpoint[];
  issuersOf: CompileContext["issuersOf"];
  pemOf(tenant: string, secret: string): string | undefined;
  bssRate: plane.RateLimit | undefined;
  onGoneBackend(backend: { tenant: string; url: string }): void;
}

/** A route under deployment. */
export interface HeldSplit extends SplitSpec {
  readonly tenant: string;
  readonly route: string;
  readonly generation: number;
}

interface Held extends AnalysedRoute {
  tenant: string;
  /** Undefined while it is switched off. */
  compiled: plane.Route | undefined;
}

/** More than the largest priority that a route can have. */
const priorityStep = 100_000;

export class SnapshotBuilder {
  readonly backends = new BackendTable();
  readonly #surroundings: Surroundings;
  readonly #routes = new Map<string, Held>();
  readonly #splits = new Map<string, HeldSplit>();
  readonly #hosts = new HostIndex<Held>();
  readonly #changed = new Set<string>();
  readonly #removed = new Set<string>();
  #lists: Pick<Snapshot, "certificates" | "issuers" | "apiKeys"> = {};
  #changedLists: Pick<Snapshot, "certificates" | "issuers" | "apiKeys"> = {};
  #revision: number;

  /** `firstRevision` is above those of all runs before, so that a revision names one state for ever. */
  constructor(surroundings: Surroundings, firstRevision: number) {
    this.#surroundings = surroundings;
    this.#revision = firstRevision;
  }

  get revision(): number {
    return this.#revision;
  }

  setRoute(tenant: string, id: string, spec: RouteSpec): void {
    const before = this.#hosts.anyHostOwner;
    const known = this.#routes.get(id);
    const held: Held = { id, tenant, spec, compiled: known?.compiled };
    this.#routes.set(id, held);
    this.#hosts.put(held, known);
    if (this.#hosts.anyHostOwner === before) this.#compile(held);
    else this.#compileAll();
  }

  removeRoute(id: string): void {
    const held = this.#routes.get(id);
    if (!held) return;
    const before = this.#hosts.anyHostOwner;
    this.#routes.delete(id);
    this.#splits.delete(id);
    this.#hosts.remove(held);
    this.backends.set(id, held.tenant, []);
    this.#drop(id, held.compiled);
    if (this.#hosts.anyHostOwner !== before) this.#compileAll();
  }

  /** The route must be there; undefined is the end of its deployment. */
  setSplit(route: string, split: HeldSplit | undefined): void {
    const held = this.#routes.get(route);
    if (!held || (!split && !this.#splits.has(route))) return;
    if (split) this.#splits.set(route, split);
    else this.#splits.delete(route);
    this.#compile(held);
  }

  get splits(): ReadonlyMap<string, HeldSplit> {
    return this.#splits;
  }

  /** Compiles the tenant's routes of which this holds anew. */
  recompile(tenant: string, concerns: (spec: RouteSpec) => boolean): void {
    for (const held of this.#hosts.of(tenant).values()) {
      if (this.#specsOf(held).some(concerns)) this.#compile(held);
    }
  }

  /** Whether it holds of any route of the tenant. */
  some(tenant: string, holds: (spec: RouteSpec) => boolean): boolean {
    return this.#hosts
      .of(tenant)
      .values()
      .some((held) => this.#specsOf(held).some(holds));
  }

  #specsOf({ id, spec }: Held): RouteSpec[] {
    const split = this.#splits.get(id);
    return split ? [spec, split.spec] : [spec];
  }

  setLists(lists: Pick<Snapshot, "certificates" | "issuers" | "apiKeys">): void {
    this.#lists = { ...this.#lists, ...lists };
    this.#changedLists = { ...this.#changedLists, ...lists };
  }

  routesOf(tenant: string): ReadonlyMap<string, AnalysedRoute> {
    return this.#hosts.of(tenant);
  }

  /** Who matches which host. */
  get hosts(): Hosts {
    return this.#hosts;
  }

  find(id: string): { tenant: string; spec: RouteSpec } | undefined {
    return this.#routes.get(id);
  }

  /** As the data plane has it. */
  compiled(id: string | undefined): plane.Route | undefined {
    return id === undefined ? undefined : this.#routes.get(id)?.compiled;
  }

  get size(): number {
    return this.#routes.size;
  }

  /** What changed since the last call; undefined when nothing did. */
  take(): SnapshotChange | undefined {
    const backends = this.backends.take();
    const routes = [...this.#changed].map((id) => this.#routes.get(id)!.compiled!);
    const removedRoutes = [...this.#removed];
    const lists = this.#changedLists;
    const count = routes.length + removedRoutes.length + backends.put.length + backends.removed.length;
    this.#changed.clear();
    this.#removed.clear();
    this.#changedLists = {};
    if (count === 0 && Object.keys(lists).length === 0) return undefined;
    this.#revision += 1;
    for (const gone of backends.removed) this.#surroundings.onGoneBackend(gone);
    return {
      ...{ revision: this.#revision, routes, removedRoutes },
      ...{ backends: backends.put, removedBackends: backends.removed.map(({ id }) => id) },
      ...lists,
    };
  }

  /** All of it, at the revision of the last `take`. */
  snapshot(): Snapshot {
    const routes = [...this.#routes.values()].flatMap(({ compiled }) => compiled ?? []);
    return { revision: this.#revision, routes, backends: this.backends.all(), ...this.#lists };
  }

  #compile(held: Held): void {
    const { id, tenant, spec, compiled: before } = held;
    if (spec.enabled === false) {
      held.compiled = undefined;
      this.backends.set(id, tenant, []);
      this.#drop(id, before);
      return;
    }
    const { endpointsOf, issuersOf, pemOf, bssRate } = this.#surroundings;
    const context: CompileContext = {
      ...{ tenant, issuersOf, bssRate },
      endpointsOf: (backend) => endpointsOf(tenant, backend),
      pemOf: (secret) => pemOf(tenant, secret),
      priorityBase: tenant === this.#hosts.anyHostOwner ? 0 : priorityStep,
    };
    const split = this.#splits.get(id);
    const { route, backends } = split
      ? compileSplit(id, spec, ofPlane(split), context)
      : compileRoute(id, spec, context);
    held.compiled = route;
    this.backends.set(id, tenant, backends);
    this.#changed.add(id);
    this.#removed.delete(id);
  }

  #compileAll(): void {
    for (const held of this.#routes.values()) this.#compile(held);
  }

  #drop(id: string, served: plane.Route | undefined): void {
    this.#changed.delete(id);
    if (served) this.#removed.add(id);
  }
}

/** Without what the data plane has no use for. */
function ofPlane({ deployment, seed, unit, bound, tester, spec }: HeldSplit): SplitSpec {
  return { deployment, seed, unit, bound, spec, ...(tester && { tester }) };
}
