/**
 * A route at run time: its settings with defaults filled in, compiled into what a request needs, so that a field that
 * a route does not use costs nothing. Immutable but for where its balancers' turns are; counters and retry budget come
 * from outside and outlive it.
 */
import type { Backend } from "./backend.ts";
import { Balancer, stickyKey } from "./balance.ts";
import { Cohorts } from "./cohorts.ts";
import { RouteCounters } from "./counters.ts";
import { Guard } from "./guard.ts";
import { F, HOP_BY_HOP, isFieldValue, isToken } from "./http1/grammar.ts";
import { dropping } from "./http1/write.ts";
import { type Routed, templateValues } from "./matcher.ts";
import { RetryBudget, type RetrySettings, retrySettings } from "./retry.ts";
import type { HeaderChange, Match, Route as Settings, Split, Strategy, Target } from "./snapshot.route.ts";

/** What stays when the settings change. */
export class RouteMemory {
  readonly variants = new Map<string, VariantMemory>();
  /** While it has a split. */
  cohorts: Cohorts | undefined;

  variant(name: string): VariantMemory {
    const known = this.variants.get(name) ?? { counters: new RouteCounters(), budget: new RetryBudget() };
    this.variants.set(name, known);
    return known;
  }

  /** Those of this deployment; requests under way that began under another count for that one still. */
  count(deployment: string | undefined): Cohorts | undefined {
    if (this.cohorts?.deployment !== deployment) {
      this.cohorts = deployment === undefined ? undefined : new Cohorts(deployment);
    }
    return this.cohorts;
  }
}

/** Of a version each: one that fails must not spend the retries of the other. */
interface VariantMemory {
  readonly counters: RouteCounters;
  readonly budget: RetryBudget;
}

/** What a transform does to a head: names that go, and lines that come. */
export interface HeadChange {
  /** Lower case. */
  readonly names: readonly string[];
  readonly lines: string;
}

/** How the callers of a route are divided between it and its other version. */
export interface Division extends Pick<Split, "seed" | "unit" | "bound" | "tester"> {
  readonly exposed: Route;
  readonly cohorts: Cohorts;
}

export interface CompiledTimeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
  readonly tunnelIdleMs: number;
}

const NO_CHANGE: HeadChange = { names: [], lines: "" };

/** Dropped on the way to a backend: what is for one hop, and what the proxy says anew. */
const TO_BACKEND = dropping(
  HOP_BY_HOP,
  F.expect,
  F.forwardedFor,
  F.forwardedProto,
  F.forwardedHost,
  F.forwardedPort,
  F.forwarded,
  F.realIp,
  F.clientCertificate,
  F.requestId,
  F.traceparent,
);
const TO_BACKEND_WITHOUT_HOST = dropping(TO_BACKEND, F.host);
/** The answer carries the request's own id, not one of the backend's making. */
export const TO_CLIENT = dropping(HOP_BY_HOP, F.requestId);

export class Route implements Routed {
  readonly id: string;
  readonly priority: number;
  readonly match: Match;
  readonly answersPreflights: boolean;
  readonly settings: Settings;
  readonly retry: RetrySettings;
  readonly budget: RetryBudget;
  readonly timeouts: CompiledTimeouts;
  readonly variant: string;
  readonly balancer: Balancer<Backend>;
  readonly counters: RouteCounters;
  readonly division: Division | undefined;
  readonly request: HeadChange;
  readonly response: HeadChange;
  readonly dropRequest: Uint8Array;
  readonly rewrites: boolean;
  readonly bodyBytesMax: number;
  readonly guard: Guard | undefined;

  /** Throws a TypeError that says what cannot be used. */
  constructor(
    settings: Settings,
    memory: RouteMemory,
    lookUp: (id: string) => Backend | undefined,
    chance: () => number,
  ) {
    const { timeouts = {}, policies } = settings;
    this.id = settings.id;
    this.priority = settings.priority ?? 0;
    this.match = inLowerCase(settings.match);
    this.answersPreflights = policies?.cors !== undefined;
    this.settings = settings;
    this.retry = retrySettings(settings.retry);
    this.variant = settings.variant ?? "stable";
    const { counters, budget } = memory.variant(this.variant);
    this.counters = counters;
    this.budget = budget;
    this.timeouts = {
      connectMs: timeouts.connectMs ?? 2000,
      firstByteMs: timeouts.firstByteMs ?? 30_000,
      idleMs: timeouts.idleMs ?? 60_000,
      totalMs: timeouts.totalMs ?? 0,
      tunnelIdleMs: timeouts.idleMs ?? 3_600_000,
    };
    const targets = resolved(settings.targets, lookUp);
    this.balancer = new Balancer(strategyOf(settings), targets, chance);
    this.request = compileChange(settings.request?.headers);
    this.response = compileChange(settings.response?.headers);
    this.dropRequest = settings.request?.host === "backend" ? TO_BACKEND_WITHOUT_HOST : TO_BACKEND;
    this.rewrites = settings.request?.path !== undefined || settings.request?.replacePrefix !== undefined;
    this.bodyBytesMax = policies?.requestBytesMax ?? 104_857_600;
    this.guard = Guard.of(settings);
    const { split } = settings;
    const exposed = split && new Route(versionOf(settings, split), memory, lookUp, chance);
    this.division = exposed && { ...divisionOf(split!), exposed, cohorts: memory.count(split!.deployment)! };
  }

  /** The target for the backend. `path` is as it came, `query` with its `?`. */
  target(path: string, query: string): string {
    const { request, match } = this.settings;
    if (request?.path !== undefined) {
      const values = match.path && "template" in match.path ? templateValues(match.path.template, path) : {};
      return request.path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "") + query;
    }
    if (request?.replacePrefix === undefined) return path + query;
    const prefix = match.path && "prefix" in match.path ? match.path.prefix.replace(/\/$/, "") : "";
    const rest = path.startsWith(prefix) ? path.slice(prefix.length) : path;
    const joined = request.replacePrefix.replace(/\/$/, "") + (rest.startsWith("/") ? rest : `/${rest}`);
    return (joined.startsWith("/") ? joined : `/${joined}`) + query;
  }

  /** The line that makes a caller come back to this backend; empty unless the route is sticky. */
  stickyLine(backend: Backend, sent: string | undefined): string {
    const { strategy } = this.settings;
    if (strategy?.kind !== "sticky") return "";
    const key = stickyKey(backend);
    if (sent === key) return "";
    const age = strategy.ttlSeconds === undefined ? "" : `; Max-Age=${strategy.ttlSeconds}`;
    const secure = strategy.secure ? "; Secure" : "";
    return `Set-Cookie: ${strategy.cookie}=${key}; Path=/; HttpOnly; SameSite=Lax${age}${secure}\r\n`;
  }
}

/** Fields are looked for by names in lower case, however the settings write them: `X-Beta` is `x-beta`. */
function inLowerCase(match: Match): Match {
  if (!match.headers) return match;
  return { ...match, headers: match.headers.map((held) => ({ ...held, name: held.name.toLowerCase() })) };
}

function strategyOf({ strategy = { kind: "round-robin" } }: Settings): Strategy {
  return strategy.kind === "header" ? { ...strategy, header: strategy.header.toLowerCase() } : strategy;
}

function divisionOf({ unit, tester, seed, bound }: Split): Pick<Split, "seed" | "unit" | "bound" | "tester"> {
  return {
    ...{ seed, bound },
    unit: unit.kind === "header" ? { ...unit, name: unit.name.toLowerCase() } : unit,
    ...(tester && { tester: { ...tester, name: tester.name.toLowerCase() } }),
  };
}

/** The other version as a route of its own. */
function versionOf({ id, name, tenant, priority, match }: Settings, { to }: Split): Settings {
  const same = { id, name, tenant, match, ...(priority !== undefined && { priority }) };
  return { ...to, ...same, variant: to.variant ?? "canary" };
}

function resolved(targets: readonly Target[], lookUp: (id: string) => Backend | undefined) {
  return targets.map(({ backend: id, weight = 1 }) => {
    const backend = lookUp(id);
    if (!backend) throw new TypeError(`there is no backend "${id}"`);
    if (!(Number.isFinite(weight) && weight >= 0)) throw new TypeError(`weight ${weight} of "${id}"`);
    return { backend, weight };
  });
}

function compileChange(change: HeaderChange | undefined): HeadChange {
  if (!change) return NO_CHANGE;
  const set = Object.entries(change.set ?? {});
  const all = [...set, ...Object.entries(change.add ?? {})];
  for (const [name, value] of all) {
    if (!isToken(name) || !isFieldValue(value))
      throw new TypeError(`header ${JSON.stringify(name)} cannot be written`);
    if (FRAMING.test(name)) throw new TypeError(`header ${name} is the proxy's own`);
  }
  return {
    names: [...set.map(([name]) => name), ...(change.remove ?? [])].map((name) => name.toLowerCase()),
    lines: all.map(([name, value]) => `${name}: ${value}\r\n`).join(""),
  };
}

/** What a transform may not touch: it decides how messages are cut. */
const FRAMING = /^(content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|host)$/i;
