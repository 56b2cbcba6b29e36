/**
 * Configurations as a target of deployments: the units are the live instances of the service in the environment that
 * are not pinned. An assignment is one row; whoever writes it with a lower generation than the highest that was there
 * is refused. What instances do with it they say themselves, by heartbeats, and what they counted stands beside it.
 *
 * An instance that goes silent, or starts anew, within three heartbeats of applying the version counts as ended by it;
 * so does one that was there when it was told, and of which nothing but that is heard. Until it is heard of again
 * after that it is unproven. Silence is only judged while nothing kept heartbeats from being written.
 */
import { INTEGER_MAX } from "../core/bounds.ts";
import type { Clock } from "../core/clock.ts";
import { boundOfCount, boundOfShare, isExposed, SPAN } from "../core/cohort.ts";
import { HotSwapError, hasCode } from "../core/errors.ts";
import {
  type Assignment,
  keepTaken,
  type Observation,
  type Resolved,
  type Started,
  type Target,
  type TargetRef,
  type UnitFailure,
  type UnitTaken,
  type Version,
} from "../deployment/target.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Actor } from "../platform/http/change.ts";
import type { AnyTx, Sql } from "../stores/sql/port.ts";
import * as rows from "./assignments.sql.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import { bySpecificity, type Pin, pinOf } from "./desired.ts";
import type { Documents } from "./documents.ts";
import type { Hub } from "./hub.ts";
import { selectUnits, type UnitRow } from "./instances.sql.ts";
import type { Reports } from "./reports.ts";
import { type ScopeName, selectPins } from "./scopes.sql.ts";
import { type SampleCursor, sampleOf } from "./signals.ts";

export interface ConfigTargetParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  documents: Pick<Documents, "versionForDeployment" | "setCurrent">;
  hub: Hub;
  reports: Pick<Reports, "flush" | "soundMs">;
  heartbeatMs: number;
}

const failuresNamed = 20;
const provingHeartbeats = 3;

export class ConfigTarget implements Target {
  readonly kind = "config";
  readonly #parts: ConfigTargetParts;

  constructor(parts: ConfigTargetParts) {
    this.#parts = parts;
  }

  async resolve(tx: AnyTx, actor: Actor, body: Readonly<Record<string, unknown>>): Promise<Resolved> {
    const { tenant } = actor.principal;
    const { config, version } = body;
    if (typeof config !== "string") throw invalid("/config", "must name a configuration");
    if (typeof version !== "number" || !Number.isInteger(version) || version < 1 || version > INTEGER_MAX) {
      throw invalid("/version", "must be the number of a version");
    }
    const found = await this.#parts.documents
      .versionForDeployment(tx, tenant, config, version)
      .catch((error) => Promise.reject(pointed(error)));
    const { version: to, current: from, needsApproval } = found;
    if (to.version === from?.version) {
      throw new HotSwapError(
        "config_version_current",
        `Version ${version} of ${config} is in force already.`,
        {
          fields: [{ pointer: "/version", message: "is in force already" }],
        },
      );
    }
    return {
      ref: { tenant, kind: "config", name: config },
      from: from && { id: String(from.version), hash: from.hash },
      to: { id: String(to.version), hash: to.hash },
      environment: found.config.environment,
      inventory: "counted",
      phases: [10, 30, 50, 100],
      needsApproval,
      summary: `configuration ${config}, version ${version}`,
    };
  }

  async start(tx: AnyTx, { tenant, name }: TargetRef, { to }: { to: Version }): Promise<Started> {
    const { current_version: current } = await rows.requireConfig(tx, tenant, name);
    return {
      to,
      summary: `configuration ${name}, version ${current === null ? "" : `${current} to `}${to.id}`,
    };
  }

  /** Versions that are part of the deployment that runs, or that instances are pinned to. */
  async versionsInUse(anyTx: AnyTx, tenant: string, config: string): Promise<number[]> {
    const tx: DeliveryTx = anyTx;
    const assignment = await rows.selectAssignment(tx, tenant, config);
    const pins = await selectPins(tx, tenant, [config]);
    const running = [assignment?.from_version, assignment?.to_version].filter((version) => version != null);
    return [...running, ...pins.map(({ version }) => version)];
  }

  async apply({ tenant, name }: TargetRef, assignment: Assignment): Promise<void> {
    const { sql, hub, clock } = this.#parts;
    const scope = await sql.tenant(tenant, async (tx: DeliveryTx): Promise<ScopeName | undefined> => {
      const { service, environment } = await rows.requireConfig(tx, tenant, name);
      const scope = { tenant, service, environment };
      const before = await rows.selectAssignment(tx, tenant, name);
      if (before && before.generation > assignment.generation) throw fenced(name, assignment);
      if (before?.generation === assignment.generation && before.bound === assignment.bound) return undefined;
      await rows.moveRevision(tx, scope, name);
      const isSame = before?.deployment === assignment.deployment;
      const now = new Date(clock.now());
      const isWider = !isSame || assignment.bound > (before.bound ?? 0);
      const began_at = (isSame && before.began_at) || now;
      const exposed_at = (!isWider && before.exposed_at) || now;
      if (!(await rows.writeAssignment(tx, tenant, name, assignment, { began_at, exposed_at })))
        throw fenced(name, assignment);
      if (!isSame) {
        await rows.forgetVerdicts(tx, tenant, name, Number(assignment.to.id));
        await rows.deleteCounts(tx, tenant, name, assignment.deployment);
      }
      return scope;
    });
    if (scope) await hub.changed(scope);
  }

  async boundOf(
    ref: TargetRef,
    seed: string,
    wanted: { readonly share: number } | { readonly count: number },
    floor: number,
  ): Promise<number> {
    if ("share" in wanted && wanted.share >= 1) return SPAN;
    if ("share" in wanted && wanted.share <= 0) return floor;
    const { units } = await this.#units(ref);
    const live = units.filter(({ isLive }) => isLive).map(({ row }) => row.id);
    if ("count" in wanted) return boundOfCount(seed, live, wanted.count, floor);
    // Nobody is there to be counted: who comes is exposed by the share.
    if (live.length === 0) return Math.max(floor, boundOfShare(wanted.share));
    return boundOfCount(seed, live, Math.ceil(wanted.share * live.length), floor);
  }

  async observe(ref: TargetRef, assignment: Assignment, cursor: unknown): Promise<Observation> {
    const { sql, reports, clock } = this.#parts;
    const { tenant, name } = ref;
    await reports.flush();
    const { units, generation, times } = await this.#units(ref);
    const totals = await sql.tenant(tenant, (tx: DeliveryTx) =>
      rows.selectCounts(tx, tenant, name, assignment.deployment),
    );
    const tally = tallyOf(units, assignment, times);
    return { generation, ...tally, ...sampleOf(totals, cursor as SampleCursor | undefined, clock.now()) };
  }

  async settle({ tenant, name }: TargetRef, assignment: Assignment, version: "from" | "to"): Promise<void> {
    const { sql, audit, hub, documents } = this.#parts;
    const { deployment, generation, from, to } = assignment;
    const chosen = version === "to" ? to : from;
    const current = chosen ? Number(chosen.id) : null;
    const scope = await sql.tenant(tenant, async (tx: DeliveryTx): Promise<ScopeName | undefined> => {
      const config = await rows.requireConfig(tx, tenant, name);
      const scope = { tenant, service: config.service, environment: config.environment };
      const before = await rows.selectAssignment(tx, tenant, name);
      if (before && before.generation > generation) throw fenced(name, assignment);
      const isDone = before?.generation === generation && before.deployment === null;
      if (isDone && config.current_version === current) return undefined;
      await rows.moveRevision(tx, scope, name);
      if (!(await rows.clearAssignment(tx, tenant, name, generation))) throw fenced(name, assignment);
      // What was never in force does not become so by being taken back.
      const isBack = version === "from";
      if (current === null || (!isBack && config.current_version === current)) return scope;
      const author = "system:deployment";
      const instead = isBack ? { instead: Number(to.id) } : {};
      await documents.setCurrent(tx, tenant, name, current, { author, deployment, ...instead });
      await audit.record(tx, {
        principal: { subject: author, tenant },
        action: "config.current",
        resource: `configs/${name}`,
        requestId: deployment,
        detail: { deployment, from: config.current_version, to: current, ...instead },
      });
      return scope;
    });
    if (scope) await hub.changed(scope);
  }

  /** Those that are not pinned, and whether each counts. */
  async #units({ tenant, name }: TargetRef) {
    const { sql, clock, reports, heartbeatMs } = this.#parts;
    const { units, pins, assignment } = await sql.tenant(tenant, async (tx: DeliveryTx) => {
      const { service, environment } = await rows.requireConfig(tx, tenant, name);
      const assignment = await rows.selectAssignment(tx, tenant, name);
      const pins: Pin[] = bySpecificity(await selectPins(tx, tenant, [name]));
      const units = await selectUnits(tx, tenant, { config: name, service, environment });
      return { units, pins, assignment };
    });
    const provingMs = provingHeartbeats * heartbeatMs;
    const silentBefore = reports.soundMs > provingMs ? clock.now() - provingMs : Number.NEGATIVE_INFINITY;
    const free = pins.length === 0 ? units : units.filter(({ labels }) => !pinOf({ pins }, labels));
    const counted = free.map((row) => ({ row, isLive: row.seenAt >= silentBefore }));
    const msOf = (at: Date | null | undefined) => at?.getTime() ?? Number.POSITIVE_INFINITY;
    const beganAt = msOf(assignment?.began_at);
    const exposedAt = msOf(assignment?.exposed_at ?? assignment?.began_at);
    return {
      units: counted,
      generation: assignment?.generation ?? 0,
      times: { beganAt, exposedAt, provingMs },
    };
  }
}

interface Times {
  /** When the deployment began, and when the units that should have its version last became more. */
  readonly beganAt: number;
  readonly exposedAt: number;
  readonly provingMs: number;
}

function tallyOf(
  units: readonly { row: UnitRow; isLive: boolean }[],
  { seed, bound, from, to }: Assignment,
  times: Times,
) {
  const [before, after] = [from ? Number(from.id) : null, Number(to.id)];
  const failures: UnitFailure[] = [];
  const taken: UnitTaken[] = [];
  const tally = { units: 0, exposed: 0, applied: 0, restored: 0, failed: 0, crashed: 0, unproven: 0 };
  for (const { row, isLive } of units) {
    const isUnderIt = isExposed(seed, row.id, bound);
    const failure = isUnderIt ? failureOf(row, isLive, after, times) : undefined;
    if (!isLive && failure === undefined) continue;
    tally.units++;
    if (!isUnderIt) {
      if (row.running === before) tally.restored++;
      continue;
    }
    tally.exposed++;
    if (failure !== undefined) {
      tally.failed++;
      if (row.refused !== after) tally.crashed++;
      if (failures.length < failuresNamed) failures.push({ unit: row.id, reason: failure });
      continue;
    }
    if (row.running === after) {
      tally.applied++;
      if (row.appliedAt !== null) keepTaken(taken, { unit: row.id, at: row.appliedAt });
    }
    if (!isProven(row, after, times)) tally.unproven++;
  }
  return { ...tally, failures, taken };
}

function failureOf(
  row: UnitRow,
  isLive: boolean,
  version: number,
  { beganAt, exposedAt, provingMs }: Times,
): string | undefined {
  if (row.refused === version) return row.reason ? `rejected: ${row.reason}` : "rejected";
  if (row.crashed === version) return "started anew just after it had applied the version";
  const { seenAt, startedAt, appliedAt } = row;
  if (row.running !== version) {
    const isRestarted = startedAt !== null && startedAt >= exposedAt;
    if (isRestarted) return "started anew after it was told of the version, and before it had applied it";
    // One that was silent for as long before it was told has not ended by that.
    const ended = !isLive && seenAt >= exposedAt - provingMs;
    return ended ? "went silent after it was told of the version, and before it had applied it" : undefined;
  }
  if (isLive || appliedAt === null || appliedAt < beganAt) return undefined;
  if (seenAt - appliedAt > provingMs) return undefined;
  return "went silent just after it had applied the version";
}

/**
 * It was heard of since it said that it runs the version. Or since it was told of it, and does not run it: by the
 * second heartbeat, as the first may be the one whose answer told it.
 */
function isProven({ running, appliedAt, seenAt }: UnitRow, version: number, times: Times): boolean {
  if (running !== version) return seenAt > times.exposedAt + times.provingMs / 2;
  if (appliedAt === null || appliedAt < times.beganAt) return true;
  return seenAt > appliedAt;
}

/** An error about the thing itself, with the place of the body that named it. */
function pointed(error: unknown): unknown {
  const isOfConfig = hasCode(error, "config_not_found");
  if (!isOfConfig && !hasCode(error, "config_version_not_found")) return error;
  const pointer = isOfConfig ? "/config" : "/version";
  return new HotSwapError(error.code, error.message, { fields: [{ pointer, message: "is not there" }] });
}

const fenced = (name: string, { generation, deployment }: Assignment) =>
  new HotSwapError(
    "deployment_fenced",
    `Generation ${generation} of deployment ${deployment} is too late for ${name}.`,
  );

const invalid = (pointer: string, message: string) =>
  new HotSwapError("validation_failed", `${pointer} ${message}.`, { fields: [{ pointer, message }] });
