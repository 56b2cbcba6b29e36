/**
 * Routes as a target of deployments (deployment/target.ts). The desired state of a route under deployment is its row
 * in gateway_splits, which is part of the tenant's route set: it changes with the set's revision, so every node takes
 * it up like any other change, and a bound that moves costs one compiled route. The route itself is changed once, at
 * the end, as one more version of it.
 *
 * From the first apply to the end the route is the deployment's: edits by others are refused (routes.ts), or the two
 * versions that are compared would not be the ones that were asked for.
 */
import { Type } from "typebox";
import type { Clock } from "../core/clock.ts";
import { boundOfShare } from "../core/cohort.ts";
import { HotSwapError } from "../core/errors.ts";
import type {
  Assignment,
  Counts,
  GroupCounts,
  Observation,
  Resolved,
  Sample,
  Smoke,
  Started,
  Target,
  TargetRef,
  UnitFailure,
  Version,
} from "../deployment/target.ts";
import { authorize } from "../platform/access/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Actor } from "../platform/http/change.ts";
import { validator } from "../platform/http/validation.ts";
import type { AnyTx, Sql } from "../stores/sql/port.ts";
import { checkCertificates, type HoldSecrets } from "./client-certificates.ts";
import { nodeTtlMs, unflat } from "./cohort-counts.ts";
import type { DataPlane } from "./proxy/data-plane.ts";
import { type CohortNumbers, latencyBoundsSeconds } from "./proxy/stats.ts";
import { type GatewayTx, keepRevision, nextRevision } from "./revisions.sql.ts";
import { changedSpec, editedSpec, refuseChange, specHash } from "./route-change.ts";
import * as rows from "./routes.sql.ts";
import { diffValues } from "./set-diff.ts";
import * as splits from "./splits.sql.ts";
import type { RouteRow, Tester, Unit } from "./tables.ts";

const fieldName = Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$" });

/** What a request to deploy says of a route. */
export const routeDeployment = Type.Object(
  {
    route: Type.String({ minLength: 1, maxLength: 128, description: "Its id or its name." }),
    change: Type.Object(
      {},
      {
        description:
          "The fields that are new, as a JSON merge patch: `null` takes one away, lists are replaced as a whole. " +
          "Not `name`, `match`, `priority` and `enabled`.",
      },
    ),
    unit: Type.Optional(
      Type.Object(
        { header: Type.Optional(fieldName), cookie: Type.Optional(fieldName) },
        {
          ...{ additionalProperties: false, minProperties: 1, maxProperties: 1 },
          description: "What tells callers apart; who does not send it, and by default, the client address.",
        },
      ),
    ),
    testHeader: Type.Optional(
      Type.Object(
        { name: fieldName, value: Type.String({ minLength: 1, maxLength: 256 }) },
        {
          additionalProperties: false,
          description: "Requests with it get the new version, whatever the share.",
        },
      ),
    ),
  },
  { additionalProperties: false },
);

const validate = validator(routeDeployment, "body");

export interface RouteTargetParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  plane: Pick<DataPlane, "probe">;
  holdSecrets: HoldSecrets;
  served: {
    /** Resolves when this node serves what has just been committed; others are told. */
    changed(tenant: string): Promise<void>;
    refresh(): Promise<void>;
    /** Of the split that this node serves; 0 without one. */
    generationOf(route: string): number;
  };
}

const latencyBoundsMs = latencyBoundsSeconds.map((seconds) => seconds * 1_000);
const smokeTimeoutMs = 5_000;
const NO_UNIT = { unit: {}, tester: null };
/** By node: the totals that were observed last. */
type Cursor = Readonly<Record<string, readonly number[]>>;

export class RouteTarget implements Target {
  readonly kind = "route";
  readonly #parts: RouteTargetParts;

  constructor(parts: RouteTargetParts) {
    this.#parts = parts;
  }

  async resolve(
    anyTx: AnyTx,
    { principal }: Actor,
    body: Readonly<Record<string, unknown>>,
  ): Promise<Resolved> {
    const tx: GatewayTx = anyTx;
    const { tenant } = principal;
    const said = Object.fromEntries(
      Object.keys(routeDeployment.properties).flatMap((name) => (name in body ? [[name, body[name]]] : [])),
    );
    const {
      route: named,
      change,
      unit = {},
      testHeader,
    } = validate(said) as {
      route: string;
      change: object;
      unit?: Unit;
      testHeader?: Tester;
    };
    const row =
      (await rows.selectRoute(tx, tenant, named)) ??
      (await rows.selectRoutes(tx, tenant, { name: named }))[0];
    if (!row) throw new HotSwapError("gateway_route_not_found", "There is no route with this id or name.");
    const { labels } = row.spec;
    authorize(principal, "gateway.write", { tenant, environment: labels?.environment, labels: labels ?? {} });
    const spec = changedSpec(row.spec, change);
    const [problems] = await checkCertificates(tx, tenant, [spec], this.#parts.holdSecrets);
    refuseChange(problems!);
    const to = versionOf(specHash(spec));
    const now = new Date(this.#parts.clock.now());
    await splits.keepVersion(tx, tenant, row.id, { hash: to.hash, spec, unit, tester: testHeader }, now);
    return {
      ref: { tenant, kind: "route", name: row.id },
      targetName: row.name,
      from: versionOf(specHash(row.spec)),
      to,
      environment: labels?.environment,
      inventory: "shares",
      phases: [10, 50, 100],
      needsApproval: false,
      summary: summaryOf(row, spec),
      change,
    };
  }

  /** What a deployment before it has changed since stays: only what was asked for is changed. */
  async start(tx: AnyTx, ref: TargetRef, { to, change }: { to: Version; change?: object }): Promise<Started> {
    const row = await this.#route(tx, ref);
    const asked = await this.#version(tx, ref, to.hash);
    const spec = change ? editedSpec(row.spec, change) : asked.spec;
    const version = versionOf(specHash(spec));
    if (version.hash !== to.hash) {
      const { unit, tester } = asked;
      const made = { hash: version.hash, spec, unit, tester: tester ?? undefined };
      await splits.keepVersion(tx, ref.tenant, row.id, made, new Date(this.#parts.clock.now()));
    }
    return { to: version, summary: summaryOf(row, spec) };
  }

  async apply(ref: TargetRef, assignment: Assignment): Promise<void> {
    const { tenant, name: route } = ref;
    const { deployment, generation, seed, bound, to } = assignment;
    await this.#change(ref, assignment, async (tx, known, revision) => {
      const isSame = known?.generation === generation;
      // What has ended does not begin again, however late a repeated call arrives.
      if (isSame && bound > 0 && !(known.active && known.deployment === deployment))
        throw fenced(known.generation, generation);
      if (isSame) return false;
      const goesOn = known?.active && known.deployment === deployment;
      if (!goesOn && bound === 0 && !(await this.#isAsAskedFor(tx, ref, assignment))) {
        // Nothing of it is served, so it can be taken back. Blue-green, which begins like this, finds out by its smoke
        // test, or when it would expose somebody.
        const { unit, tester } = known ?? NO_UNIT;
        await this.#put(tx, ref, assignment, { active: false, unit, tester, revision });
        return true;
      }
      const { unit, tester } = goesOn ? known : await this.#begin(tx, ref, assignment);
      await this.#put(tx, ref, assignment, { active: true, unit, tester, revision });
      await this.#record(tx, ref, assignment, "route.split", {
        share: bound / 2 ** 32,
        seed,
        version: to.hash,
      });
      if (!goesOn) await splits.deleteSplitNodes(tx, tenant, route, deployment);
      return true;
    });
  }

  async boundOf(
    _ref: TargetRef,
    _seed: string,
    wanted: { readonly share: number } | { readonly count: number },
    floor: number,
  ): Promise<number> {
    // Nobody can count callers; a hundredth of them stands for a few.
    const share = "share" in wanted ? wanted.share : wanted.count > 0 ? 0.01 : 0;
    return Math.max(floor, boundOfShare(share));
  }

  async observe(
    { tenant, name: route }: TargetRef,
    assignment: Assignment,
    cursor: unknown,
  ): Promise<Observation> {
    const { sql, clock } = this.#parts;
    const { split, all, live } = await sql.system(async (tx: GatewayTx) => ({
      split: await splits.selectSplit(tx, tenant, route),
      all: await splits.selectSplitNodes(tx, tenant, route),
      live: await splits.selectLiveNodes(tx, nodeTtlMs),
    }));
    const nodes = all.filter(({ deployment }) => deployment === assignment.deployment);
    const acked = live.map((id) => nodes.find(({ node }) => node === id)?.generation ?? 0);
    const wanted = split?.generation ?? 0;
    const failures = nodes.flatMap(({ node, problem }) =>
      problem !== null && live.includes(node) ? { unit: node, reason: problem } : [],
    );
    const before = (cursor ?? {}) as Cursor;
    const grown = nodes.map(({ node, totals }) =>
      totals.map((total, at) => total - (before[node]?.[at] ?? 0)),
    );
    const sample = sampleOf(clock.now(), grown);
    return {
      // Once it has ended, or where no data plane runs, SQL alone says what is served.
      generation: split?.active ? Math.min(wanted, ...acked) : wanted,
      ...{ units: 0, exposed: 0, applied: 0, restored: 0, failed: failures.length, failures },
      samples: sample ? [sample] : [],
      cursor: { ...before, ...Object.fromEntries(nodes.map(({ node, totals }) => [node, totals])) },
    };
  }

  async smoke(ref: TargetRef, { generation }: Assignment, smoke: Smoke): Promise<readonly UnitFailure[]> {
    const { served, plane } = this.#parts;
    await served.refresh();
    const here = (reason: string) => [{ unit: "gateway", reason }];
    if (served.generationOf(ref.name) !== generation) return here("this node does not serve the deployment");
    const { path, requests } = smoke;
    const failures = await plane.probe({ route: ref.name, path, requests, timeoutMs: smokeTimeoutMs });
    if (!failures) return here("the new version is not served by this node");
    return failures.map(({ url, backend, message }) => ({
      unit: url || backend || "gateway",
      reason: message,
    }));
  }

  async settle(ref: TargetRef, assignment: Assignment, version: "from" | "to"): Promise<void> {
    const { tenant, name: route } = ref;
    await this.#change(ref, assignment, async (tx, known, revision) => {
      if (known && !known.active && known.generation === assignment.generation) return false;
      const goesOn = known?.active && known.deployment === assignment.deployment;
      if (version === "to") {
        if (!goesOn) await this.#begin(tx, ref, assignment);
        await this.#takeOver(tx, ref, assignment, revision);
      } else if (goesOn) await this.#record(tx, ref, assignment, "route.restore", {});
      const { unit, tester } = known ?? NO_UNIT;
      await this.#put(tx, ref, { ...assignment, bound: 0 }, { active: false, unit, tester, revision });
      await splits.deleteSplitNodes(tx, tenant, route, "");
      return true;
    });
  }

  /** One transaction under the set's lock; `work` says whether anything is new. Published here before it resolves. */
  async #change(
    { tenant, name: route }: TargetRef,
    { generation }: Assignment,
    work: (tx: GatewayTx, known: splits.SplitRow | undefined, revision: number) => Promise<boolean>,
  ): Promise<void> {
    const { sql, clock, served } = this.#parts;
    await sql.tenant(tenant, async (tx: GatewayTx) => {
      const revision = await nextRevision(tx, tenant, "routes", new Date(clock.now()));
      const known = await splits.selectSplit(tx, tenant, route);
      if (known && known.generation > generation) throw fenced(known.generation, generation);
      if (!(await work(tx, known, revision))) await keepRevision(tx, tenant, "routes");
    });
    await served.changed(tenant);
  }

  async #isAsAskedFor(tx: GatewayTx, { tenant, name }: TargetRef, { from }: Assignment): Promise<boolean> {
    const row = await rows.selectRoute(tx, tenant, name);
    return row !== undefined && (!from || specHash(row.spec) === from.hash);
  }

  /** How callers are told apart; throws when the route is not what the deployment was asked for. */
  async #begin(tx: GatewayTx, ref: TargetRef, assignment: Assignment): Promise<splits.VersionRow> {
    const { name } = await this.#route(tx, ref);
    if (!(await this.#isAsAskedFor(tx, ref, assignment))) {
      const detail = `The route ${name} was changed after the deployment was asked for.`;
      throw new HotSwapError("gateway_route_changed", detail);
    }
    const version = await this.#version(tx, ref, assignment.to.hash);
    // A deployment that waits does not keep its secrets; one that has begun does.
    const [problems] = await checkCertificates(tx, ref.tenant, [version.spec], this.#parts.holdSecrets);
    refuseChange(problems!);
    return version;
  }

  async #route(tx: GatewayTx, { tenant, name: route }: TargetRef): Promise<RouteRow> {
    const row = await rows.selectRoute(tx, tenant, route);
    if (!row) throw new HotSwapError("gateway_route_not_found", "The route of the deployment is gone.");
    return row;
  }

  async #version(
    tx: GatewayTx,
    { tenant, name: route }: TargetRef,
    hash: string,
  ): Promise<splits.VersionRow> {
    const version = await splits.selectVersion(tx, tenant, route, hash);
    if (version) return version;
    throw new HotSwapError("gateway_route_changed", "The version is no longer kept: too many came after it.");
  }

  /** The new version becomes the route. */
  async #takeOver(tx: GatewayTx, ref: TargetRef, assignment: Assignment, revision: number): Promise<void> {
    const before = await this.#route(tx, ref);
    const { spec } = await this.#version(tx, ref, assignment.to.hash);
    if (specHash(before.spec) === assignment.to.hash) return;
    const { tenant } = ref;
    const { id, created_at: createdAt } = before;
    const now = new Date(this.#parts.clock.now());
    await rows.closeRoutes(tx, tenant, [id], revision);
    await rows.insertRoutes(tx, tenant, [
      { id, version: before.version + 1, spec, revision, createdAt, now },
    ]);
    await this.#record(tx, ref, assignment, "route.update", {}, { before: before.spec, after: spec });
  }

  #put(
    tx: GatewayTx,
    { tenant, name: route }: TargetRef,
    { deployment, generation, seed, bound, to }: Assignment,
    {
      active,
      unit,
      tester,
      revision,
    }: { active: boolean; unit: Unit; tester: Tester | null; revision: number },
  ): Promise<void> {
    return splits.upsertSplit(tx, {
      ...{ tenant_id: tenant, route, deployment, generation, active, seed, bound, revision },
      ...{ to_hash: to.hash, unit: JSON.stringify(unit), tester: tester && JSON.stringify(tester) },
      updated_at: new Date(this.#parts.clock.now()),
    });
  }

  async #record(
    tx: GatewayTx,
    ref: TargetRef,
    { deployment, generation }: Assignment,
    action: string,
    detail: object,
    versions: { before?: unknown; after?: unknown } = {},
  ): Promise<void> {
    const row = await rows.selectRoute(tx, ref.tenant, ref.name);
    await this.#parts.audit.record(tx, {
      principal: { subject: "system:deployment", tenant: ref.tenant },
      ...{ action, resource: `gateway/routes/${row?.name ?? ref.name}`, requestId: deployment },
      detail: { deployment, generation, ...detail },
      ...versions,
    });
  }
}

const versionOf = (hash: string) => ({ id: hash.slice(0, 12), hash });

function fenced(known: number, generation: number): HotSwapError {
  return new HotSwapError(
    "deployment_fenced",
    `The route has seen generation ${known}; ${generation} comes too late.`,
  );
}

/** The route with the fields that differ. */
function summaryOf({ name, spec }: RouteRow, after: object): string {
  const places = new Set(diffValues(spec, after).map(({ pointer }) => pointer.split("/")[1]));
  return `route ${name}: ${[...places].join(", ")}`;
}

/** All nodes together; undefined when there was nothing. */
function sampleOf(at: number, grown: readonly number[][]): Sample | undefined {
  if (grown.length === 0) return undefined;
  const longest = Math.max(...grown.map(({ length }) => length));
  const sums = Array.from({ length: longest }, (_, at) =>
    grown.reduce((sum, one) => sum + (one[at] ?? 0), 0),
  );
  const { canary, control } = unflat(sums.map((value) => Math.max(0, value)));
  if (canary.requests + control.requests === 0) return undefined;
  return { at, canary: countsOf(canary), control: countsOf(control), latencyBoundsMs };
}

const countsOf = (numbers: CohortNumbers): Counts => ({
  ...{ requests: numbers.requests, errors: numbers.errors, latency: numbers.latency },
  custom: { clientErrors: numbers.refused },
  ...{ units: pairs(numbers.callers), servers: pairs(numbers.backends) },
  unitEvents: { "custom.clientErrors": numbers.callersRefused },
  serverEvents: { "custom.clientErrors": numbers.backendsRefused },
});

const pairs = (groups: readonly number[]): GroupCounts[] =>
  Array.from({ length: groups.length / 2 }, (_, group) => [groups[2 * group]!, groups[2 * group + 1]!]);
