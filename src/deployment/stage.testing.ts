/**
 * The engine with everything around it, over a small target that is real: a fleet of units in memory that take what is
 * desired, refuse old generations, count requests, and can be made slow, silent or broken.
 */
import type { TestContext } from "node:test";
import { systemClock } from "../core/clock.ts";
import { boundOfCount, countOfShare, isExposed } from "../core/cohort.ts";
import { HotSwapError } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { systemRandom } from "../core/random.ts";
import * as approvalRoom from "../platform/approvals/index.ts";
import * as auditRoom from "../platform/audit/index.ts";
import { testSecrets, testServer } from "../platform/auth/testing.ts";
import { Metrics, Traces } from "../platform/telemetry/index.ts";
import { MemoryKv } from "../stores/kv/memory.ts";
import { loadMigrations } from "../stores/sql/migrations.ts";
import { testDatabase } from "../stores/sql/testing.ts";
import { DeploymentRoom, type DeploymentSettings, migrations } from "./index.ts";
import type {
  Assignment,
  Observation,
  Resolved,
  Sample,
  Started,
  Target,
  TargetRef,
  Version,
} from "./target.ts";

const clock = systemClock;
export const settings: DeploymentSettings = {
  ...{
    leaseMs: 2_000,
    pollMs: 50,
    heldMax: 100,
    healthDays: 1,
    historyDays: 1,
    activeMax: 20,
    freezesMax: 20,
  },
};

export class Fleet implements Target {
  readonly kind = "config";
  readonly units: string[];
  /** By unit: what it runs. */
  readonly runs = new Map<string, string | undefined>();
  readonly silent = new Set<string>();
  /** Versions that units refuse. */
  readonly refused = new Set<string>();
  /** Share of requests that fail, by version. */
  readonly errors = new Map<string, number>();
  /** Every assignment that was taken up, in order. */
  readonly applied: Assignment[] = [];
  readonly settled: string[] = [];
  needsApproval = false;
  environment: string | undefined = "test";
  /** Set to make every call fail. */
  broken: string | undefined;
  /** Requests of each sample; 0 measures nothing. */
  requests = 0;
  readonly #desired = new Map<string, Assignment>();
  readonly #current = new Map<string, Version>();

  constructor(count: number) {
    this.units = Array.from({ length: count }, (_, index) => `unit-${index}`);
  }

  async resolve(_tx: unknown, _actor: unknown, body: Readonly<Record<string, unknown>>): Promise<Resolved> {
    const [name, id] = [String(body.config), String(body.version)];
    return {
      ref: { tenant: "acme", kind: this.kind, name },
      ...{ from: this.#current.get(name), to: { id, hash: `hash-${id}` }, environment: this.environment },
      ...{ inventory: "counted", phases: [10, 30, 50, 100], needsApproval: this.needsApproval },
      summary: `configuration ${name}, version ${id}`,
    };
  }

  async start(_tx: unknown, { name }: TargetRef, { to }: { to: Version }): Promise<Started> {
    return {
      to,
      summary: `configuration ${name}, version ${this.#current.get(name)?.id ?? "none"} to ${to.id}`,
    };
  }

  async apply({ name }: TargetRef, assignment: Assignment): Promise<void> {
    this.#refuse();
    const before = this.#desired.get(name);
    if (before && before.generation > assignment.generation) throw new HotSwapError("deployment_fenced");
    if (before?.generation !== assignment.generation) this.applied.push(assignment);
    this.#desired.set(name, assignment);
  }

  async boundOf(
    _ref: TargetRef,
    seed: string,
    wanted: { share: number } | { count: number },
    floor: number,
  ): Promise<number> {
    this.#refuse();
    const count = "count" in wanted ? wanted.count : countOfShare(wanted.share, this.units.length);
    if (count >= this.units.length) return 2 ** 32;
    return boundOfCount(seed, this.units, count, floor);
  }

  async observe(
    { name }: TargetRef,
    { seed, from, deployment }: Assignment,
    cursor: unknown,
  ): Promise<Observation> {
    this.#refuse();
    const desired = this.#desired.get(name);
    const isMine = desired?.deployment === deployment; // else a deployment before this one exposed them
    const failures: { unit: string; reason: string }[] = [];
    let [exposed, applied, restored] = [0, 0, 0];
    for (const unit of this.units) {
      const isNew = isMine && isExposed(seed, unit, desired.bound);
      const version = isNew ? desired.to : from;
      if (!this.silent.has(unit) && !this.refused.has(version?.id ?? "")) this.runs.set(unit, version?.id);
      const hasIt = this.runs.get(unit) === version?.id;
      if (isNew) exposed += 1;
      if (isNew && this.refused.has(version?.id ?? "")) failures.push({ unit, reason: "refused" });
      else if (isNew && hasIt) applied += 1;
      else if (!isNew && hasIt) restored += 1;
    }
    const sample = this.requests > 0 && desired ? [this.#sample(desired, exposed / this.units.length)] : [];
    return {
      ...{ generation: desired?.generation ?? 0, units: this.units.length, exposed, applied, restored },
      ...{ failed: failures.length, failures, samples: sample },
      cursor: { looks: ((cursor as { looks: number } | null)?.looks ?? 0) + sample.length },
    };
  }

  async settle({ name }: TargetRef, assignment: Assignment, version: "from" | "to"): Promise<void> {
    this.#refuse();
    const left = version === "to" ? assignment.to : assignment.from;
    if (left) this.#current.set(name, left);
    this.settled.push(`${name} ${left?.id}`);
  }

  currentOf(name: string): string | undefined {
    return this.#current.get(name)?.id;
  }

  #sample({ to, from }: Assignment, share: number): Sample {
    const count = (version: Version | undefined, part: number) => {
      const requests = Math.round(this.requests * part);
      return { requests, errors: Math.round(requests * (this.errors.get(version?.id ?? "") ?? 0)) };
    };
    return { at: clock.now(), canary: count(to, share), control: count(from, 1 - share) };
  }

  #refuse(): void {
    if (this.broken !== undefined) throw new HotSwapError("store_unavailable", this.broken);
  }
}

/** Routes over HTTP, one engine, its fleet. */
export async function setUp(t: TestContext, fleet = new Fleet(20), more: Partial<DeploymentSettings> = {}) {
  const database = await testDatabase([
    ...(await loadMigrations("audit", auditRoom.migrations)),
    ...(await loadMigrations("approvals", approvalRoom.migrations)),
    ...(await loadMigrations("deployment", migrations)),
  ]);
  const { sql } = database;
  const makeId = idMaker(clock, systemRandom);
  const audit = new auditRoom.Audit({ sql, secrets: await testSecrets(t), clock });
  await audit.start();
  const approvals = new approvalRoom.Approvals({ sql, audit, clock, makeId });
  const kv = new MemoryKv({ clock });
  await kv.start();
  const metrics = new Metrics();
  const errors: unknown[] = [];
  const open = () => {
    const room = new DeploymentRoom({
      ...{ sql, kv, audit, approvals, clock, makeId, random: systemRandom, metrics },
      traces: new Traces({ sampleRatio: 0, version: "test" }),
      settings: { ...settings, ...more },
      onError: (error) => errors.push(error),
    });
    room.engine.register(fleet);
    return room;
  };
  const room = open();
  await room.engine.start();
  const call = await testServer(t, [...room.routes, ...approvalRoom.approvalRoutes(approvals, sql)]);
  t.after(async () => {
    await room.engine.stop();
    await audit.stop();
    await kv.stop();
    await database.close();
  });
  const api = "/api/v1/deployments";
  const deploy = async (body: object) => {
    const answer = await call("POST", api, { body: { kind: "config", config: "shop", ...body } });
    if (answer.status !== 201) throw new Error(`answered ${answer.status}: ${answer.text}`);
    return answer.json;
  };
  const get = async (id: string) => (await call("GET", `${api}/${id}`)).json;
  const post = (id: string, verb: string, body: object = {}, who: object = {}) =>
    call("POST", `${api}/${id}/${verb}`, { body, ...who });
  /** Resolves with the deployment once this is true of it. */
  const until = async (id: string, isTrue: (deployment: Awaited<ReturnType<typeof get>>) => boolean) => {
    for (;;) {
      const deployment = await get(id);
      if (isTrue(deployment)) return deployment;
      await new Promise<void>((resolve) => clock.after(20, resolve, { keepAlive: true }));
    }
  };
  const ended = (id: string) => until(id, ({ endedAt }) => endedAt !== null);
  const audited = async (id: string) => {
    const entries = await audit.newest("acme", { resource: `deployments/${id}` }, undefined, 200);
    return entries.map(({ actor, action }) => `${actor} ${action}`).reverse();
  };
  return { ...{ fleet, room, open, sql, call, deploy, get, post, until, ended, audited, metrics, errors } };
}
