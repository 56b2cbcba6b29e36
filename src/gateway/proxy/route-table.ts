/** The routes of a worker: which request is whose, what is kept of each when it changes, and which backends it uses. */
import type { Backend } from "./backend.ts";
import { Matcher } from "./matcher.ts";
import { Route, RouteMemory } from "./route.ts";
import type { Route as RouteSettings } from "./snapshot.route.ts";
import type { CohortReport, RouteStats } from "./stats.ts";

export class RouteTable {
  readonly matcher = new Matcher<Route>();
  readonly #lookUp: (backend: string) => Backend | undefined;
  readonly #chance: () => number;
  readonly #memories = new Map<string, RouteMemory>();
  /** By backend, the ids of routes that it is a target of. */
  readonly #users = new Map<string, Set<string>>();
  /** Routes under deployment. */
  readonly #counting = new Set<string>();

  constructor(lookUp: (backend: string) => Backend | undefined, chance: () => number) {
    this.#lookUp = lookUp;
    this.#chance = chance;
  }

  get(id: string): Route | undefined {
    return this.matcher.get(id);
  }

  /** Throws a TypeError that says what cannot be used; what was there stays then. */
  put(settings: RouteSettings): void {
    const { id } = settings;
    const memory = this.#memories.get(id) ?? new RouteMemory();
    const route = new Route(settings, memory, this.#lookUp, this.#chance);
    this.#forgetTargets(id);
    this.#memories.set(id, memory);
    this.matcher.put(route);
    if (memory.count(settings.split?.deployment)) this.#counting.add(id);
    else this.#counting.delete(id);
    for (const { backend } of targetsOf(settings)) {
      const users = this.#users.get(backend) ?? new Set();
      this.#users.set(backend, users.add(id));
    }
  }

  remove(id: string): void {
    this.#forgetTargets(id);
    this.matcher.remove(id);
    this.#memories.delete(id);
    this.#counting.delete(id);
  }

  #forgetTargets(id: string): void {
    const known = this.get(id)?.settings;
    for (const { backend } of known ? targetsOf(known) : []) {
      const users = this.#users.get(backend);
      users?.delete(id);
      if (users?.size === 0) this.#users.delete(backend);
    }
  }

  *usersOf(backend: string): Generator<Route> {
    for (const id of this.#users.get(backend) ?? []) {
      const route = this.get(id);
      if (route) yield route;
    }
  }

  /** Whether each of its routes has enough others that are fit. */
  mayEject(backend: Backend, now: number): boolean {
    for (const route of this.usersOf(backend.id)) {
      for (const version of versionsOf(route)) {
        const { targets } = version.balancer;
        const others = targets.filter((target) => target.backend !== backend);
        if (others.length === targets.length) continue;
        const out = others.filter((target) => !target.backend.isFit(now)).length + 1;
        if (out >= targets.length || out > Math.max(1, targets.length * backend.outlier.ejectShareMax))
          return false;
      }
    }
    return true;
  }

  /** What was counted of deployments since it was last asked. */
  cohortReports(): CohortReport[] {
    return [...this.#counting].flatMap((id) => this.#memories.get(id)?.cohorts?.report(id) ?? []);
  }

  /** Of those that had a request. */
  stats(): RouteStats[] {
    return [...this.#memories].flatMap(([id, memory]) =>
      [...memory.variants]
        .filter(([, { counters }]) => counters.duration.read().count > 0 || counters.active > 0)
        .map(([variant, { counters }]) => counters.read(id, variant)),
    );
  }
}

const targetsOf = ({ targets, split }: RouteSettings) => [...targets, ...(split?.to.targets ?? [])];
const versionsOf = (route: Route) => (route.division ? [route, route.division.exposed] : [route]);
