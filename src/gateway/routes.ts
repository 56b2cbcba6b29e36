/**
 * Routes as people manage them: rows in SQL, changed in one transaction with their audit entry, and then published to
 * the data plane. What is not committed is never served; what is committed is served by every node soon, whatever
 * happens in between, since each of them follows the revisions in SQL (follower.ts).
 */
import type { Clock } from "../core/clock.ts";
import { type FieldError, HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import { canonicalJson } from "../core/json.ts";
import { authorize } from "../platform/access/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import { allowIdle } from "../stores/sql/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import { type AnalysedRoute, analyse, analyseOne } from "./analysis.ts";
import { checkCertificates, type HoldSecrets } from "./client-certificates.ts";
import type { Hosts } from "./host-index.ts";
import { coversHost } from "./overlap.ts";
import { currentRevision, type GatewayTx, keepRevision, nextRevision } from "./revisions.sql.ts";
import { checkRoute } from "./route-checks.ts";
import type { Finding, RouteSpec } from "./routes.schema.ts";
import * as rows from "./routes.sql.ts";
import { diffSets, type SetDiff } from "./set-diff.ts";
import { deleteSplits, selectActive } from "./splits.sql.ts";
import type { RouteRow } from "./tables.ts";

/** What is served now, as this node knows it. */
export interface ServedRoutes {
  routesOf(tenant: string): ReadonlyMap<string, AnalysedRoute>;
  readonly hosts: Hosts;
  settingsDiffer(tenant: string, route?: string): Finding[];
  /** Resolves when this node serves what has just been committed; others are told. Never rejects. */
  changed(tenant: string): Promise<void>;
}

export interface RoutesParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  served: ServedRoutes;
  holdSecrets: HoldSecrets;
  /** Of one tenant. */
  routesMax: number;
  /** Revisions of a set that can still be read. */
  revisionsKept: number;
}

/** What a change of a set knows of itself. */
interface SetChange {
  readonly revision: number;
  /** Hosts whose claims may have to change. */
  readonly touched: Set<string>;
  /** Nothing was changed after all; the revision is not used. */
  idle: boolean;
}

export interface ChangedRoute {
  row: RouteRow;
  warnings: Finding[];
}

export interface ImportResult {
  revision: number;
  diff: SetDiff;
  warnings: Finding[];
}

/** Tens of thousands of routes are compared within the transaction that imports them. */
const comparingMs = 30_000;

export class Routes {
  readonly #parts: RoutesParts;

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  async create(actor: Actor, spec: RouteSpec): Promise<ChangedRoute> {
    const { tenant } = actor.principal;
    refuseInvalid(spec);
    const { clock, makeId, routesMax } = this.#parts;
    const row = await this.#change(actor, [rows.hostOf(spec)], async (tx, set) => {
      await this.#refuseCertificates(tx, tenant, spec);
      const [taken] = await rows.selectRoutes(tx, tenant, { name: spec.name });
      if (taken) throw nameTaken(spec.name);
      if ((await rows.countRoutes(tx, tenant)) >= routesMax) throw tooMany(routesMax);
      const now = new Date(clock.now());
      const version = { id: makeId(), version: 1, spec, revision: set.revision, createdAt: now, now };
      const [made] = await rows.insertRoutes(tx, tenant, [version]);
      await this.#record(tx, actor, "route.create", made!.name, undefined, spec);
      return made!;
    });
    return { row, warnings: this.#warnings(tenant, row) };
  }

  /** Throws `gateway_route_not_found`. */
  get(tenant: string, id: string): Promise<RouteRow> {
    return this.#parts.sql.tenant(tenant, async (tx: GatewayTx) =>
      found(await rows.selectRoute(tx, tenant, id)),
    );
  }

  list(
    tenant: string,
    filter: rows.RouteFilter,
    after: string | undefined,
    limit: number,
  ): Promise<RouteRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: GatewayTx) =>
      rows.selectRoutes(tx, tenant, filter, { after, limit }),
    );
  }

  /** `check` sees the route in force under the set's lock and throws when the caller's precondition fails. */
  async update(
    actor: Actor,
    id: string,
    spec: RouteSpec,
    check: (row: RouteRow) => void,
  ): Promise<ChangedRoute> {
    const { tenant } = actor.principal;
    refuseInvalid(spec);
    const row = await this.#change(actor, [rows.hostOf(spec)], async (tx, set) => {
      await this.#refuseCertificates(tx, tenant, spec);
      const before = found(await rows.selectRoute(tx, tenant, id));
      check(before);
      if (canonicalJson(before.spec) === canonicalJson(spec)) {
        set.idle = true;
        return before;
      }
      await refuseDeploying(tx, tenant, [before]);
      const [taken] = await rows.selectRoutes(tx, tenant, { name: spec.name });
      if (taken && taken.id !== id) throw nameTaken(spec.name);
      set.touched.add(before.host);
      const [row] = await this.#replace(tx, actor, [{ before, spec }], set.revision);
      await this.#record(tx, actor, "route.update", spec.name, before.spec, spec);
      return row!;
    });
    return { row, warnings: this.#warnings(tenant, row) };
  }

  async delete(actor: Actor, id: string, check: (row: RouteRow) => void): Promise<void> {
    const { tenant } = actor.principal;
    await this.#change(actor, [], async (tx, set) => {
      const before = found(await rows.selectRoute(tx, tenant, id));
      check(before);
      await refuseDeploying(tx, tenant, [before]);
      set.touched.add(before.host);
      await rows.closeRoutes(tx, tenant, [id], set.revision);
      await deleteSplits(tx, tenant, [id]);
      await this.#record(tx, actor, "route.delete", before.name, before.spec, undefined);
    });
  }

  /**
   * Makes the set what `specs` say: all of it with `replace`, with `merge` only the routes that are named. Routes are
   * told apart by name. The caller has checked each of them (sets.ts).
   */
  async import(actor: Actor, specs: readonly RouteSpec[], mode: "replace" | "merge"): Promise<ImportResult> {
    const { principal } = actor;
    const { tenant } = principal;
    const { clock, makeId, holdSecrets, routesMax } = this.#parts;
    const hosts = specs.map(rows.hostOf);
    const wanted: AnalysedRoute[] = [];
    const result = await this.#change(actor, hosts, async (tx, set) => {
      await allowIdle(tx, comparingMs);
      const problems = await checkCertificates(tx, tenant, specs, holdSecrets);
      const placed = problems.flatMap((fields, index) =>
        fields.map((field) => below(`/routes/${index}`, field)),
      );
      if (placed.length > 0) throw refusal("gateway_set_invalid", placed);
      const current = await rows.selectRoutes(tx, tenant);
      const diff = diffSets(current, specs, mode);
      const { revision } = set;
      set.idle = diff.added.length + diff.changed.length + diff.removed.length === 0;
      if (diff.removed.length > 0) authorize(principal, "gateway.delete");
      const byName = new Map(current.map((row) => [row.name, row]));
      const total = current.length + diff.added.length - diff.removed.length;
      if (total > routesMax) throw tooMany(routesMax);
      const goers = diff.removed.map((name) => byName.get(name)!);
      await refuseDeploying(tx, tenant, [...goers, ...diff.changed.map(({ name }) => byName.get(name)!)]);
      for (const { host } of goers) set.touched.add(host);
      await rows.closeRoutes(
        tx,
        tenant,
        goers.map(({ id }) => id),
        revision,
      );
      await deleteSplits(
        tx,
        tenant,
        goers.map(({ id }) => id),
      );
      const specOf = new Map(specs.map((spec) => [spec.name, spec]));
      const edits = diff.changed.map(({ name }) => ({ before: byName.get(name)!, spec: specOf.get(name)! }));
      for (const { before } of edits) set.touched.add(before.host);
      await this.#replace(tx, actor, edits, revision);
      const now = new Date(clock.now());
      const versions = diff.added.map((name) => {
        return { id: makeId(), version: 1, spec: specOf.get(name)!, revision, createdAt: now, now };
      });
      await rows.insertRoutes(tx, tenant, versions);
      const counts = { added: diff.added.length, changed: diff.changed.length, removed: diff.removed.length };
      if (!set.idle)
        await this.#parts.audit.record(tx, {
          ...{ principal, action: "routes.import", resource: "gateway/routes", requestId: actor.requestId },
          detail: { ...counts, names: [...diff.added, ...diff.removed].slice(0, 100) },
          before: current.map(({ spec }) => spec),
          after: specs,
        });
      wanted.push(...versions.map(({ id, spec }) => ({ id, spec })));
      for (const { id, name, spec } of current) {
        if (mode === "merge" || specOf.has(name)) wanted.push({ id, spec: specOf.get(name) ?? spec });
      }
      return { revision: set.idle ? revision - 1 : revision, diff };
    });
    return { ...result, warnings: analyse(wanted).findings.slice(0, 100) };
  }

  /** The set in force, or that of a revision that is still kept; otherwise `gateway_revision_not_found`. */
  async export(tenant: string, revision?: number): Promise<{ revision: number; routes: RouteSpec[] }> {
    return this.#parts.sql.tenant(tenant, async (tx: GatewayTx) => {
      const latest = await currentRevision(tx, tenant, "routes");
      const wanted = revision ?? latest;
      if (wanted > latest || wanted < Math.max(0, latest - this.#parts.revisionsKept)) {
        throw new HotSwapError(
          "gateway_revision_not_found",
          `Revisions ${Math.max(0, latest - this.#parts.revisionsKept)} to ${latest} can be read.`,
        );
      }
      const found = await rows.selectRoutesAt(tx, tenant, wanted);
      return { revision: wanted, routes: found.map(({ spec }) => spec) };
    });
  }

  revision(tenant: string): Promise<{ revision: number }> {
    return this.#parts.sql.tenant(tenant, async (tx: GatewayTx) => ({
      revision: await currentRevision(tx, tenant, "routes"),
    }));
  }

  /** Of what this node serves. */
  analysis(tenant: string) {
    const routes = [...this.#parts.served.routesOf(tenant).values()];
    const { findings, truncated } = analyse(routes);
    const all = [...findings, ...this.#parts.served.settingsDiffer(tenant)];
    return { routes: routes.length, findings: all, truncated };
  }

  /** One transaction under the set's lock, with a revision of its own; then published. */
  async #change<Result>(
    actor: Actor,
    hosts: readonly string[],
    work: (tx: GatewayTx, set: SetChange) => Promise<Result>,
  ): Promise<Result> {
    const { sql, clock, served, revisionsKept } = this.#parts;
    const { tenant } = actor.principal;
    this.#refuseForeign(tenant, hosts);
    const inTransaction = async (tx: GatewayTx) => {
      const revision = await nextRevision(tx, tenant, "routes", new Date(clock.now()));
      const set: SetChange = { revision, touched: new Set(hosts), idle: false };
      const result = await work(tx, set);
      if (set.idle) await keepRevision(tx, tenant, "routes");
      const taken = await rows.claimHosts(tx, tenant, [...set.touched]);
      if (taken !== undefined) throw hostTaken(taken);
      await rows.pruneRoutes(tx, tenant, revision - revisionsKept);
      return result;
    };
    return change(sql, actor, inTransaction, () => served.changed(tenant));
  }

  /**
   * A host below another tenant's wildcard, or a wildcard above another's host. The very same host is refused by the
   * database; this looks at what the node serves and is as old as that.
   */
  #refuseForeign(tenant: string, hosts: readonly string[]): void {
    const named = new Set(hosts.filter((host) => host !== "*"));
    if (named.size === 0) return;
    for (const other of this.#parts.served.hosts.namedBeside(tenant)) {
      for (const host of named) {
        if (coversHost(host, other) || coversHost(other, host)) throw hostTaken(host);
      }
    }
  }

  async #refuseCertificates(tx: GatewayTx, tenant: string, spec: RouteSpec): Promise<void> {
    const [fields] = await checkCertificates(tx, tenant, [spec], this.#parts.holdSecrets);
    if (fields!.length > 0) throw refusal("validation_failed", fields!);
  }

  async #replace(
    tx: GatewayTx,
    { principal: { tenant } }: Actor,
    edits: { before: RouteRow; spec: RouteSpec }[],
    revision: number,
  ): Promise<RouteRow[]> {
    const now = new Date(this.#parts.clock.now());
    await rows.closeRoutes(
      tx,
      tenant,
      edits.map(({ before }) => before.id),
      revision,
    );
    const versions = edits.map(({ before, spec }) => ({
      ...{ id: before.id, version: before.version + 1, spec, revision, createdAt: before.created_at, now },
    }));
    return rows.insertRoutes(tx, tenant, versions);
  }

  #record(tx: GatewayTx, actor: Actor, action: string, name: string, before: unknown, after: unknown) {
    const { principal, requestId } = actor;
    const resource = `gateway/routes/${name}`;
    return this.#parts.audit.record(tx, {
      ...{ principal, action, resource, requestId },
      ...(before !== undefined && { before }),
      ...(after !== undefined && { after }),
    });
  }

  #warnings(tenant: string, { id, name, spec }: RouteRow): Finding[] {
    const { served } = this.#parts;
    const others = served.hosts.meeting(tenant, spec.match);
    const differing = served
      .settingsDiffer(tenant, id)
      .filter(({ route, other }) => route === name || other === name);
    return [...analyseOne({ id, spec }, others), ...differing];
  }
}

function refuseInvalid(spec: RouteSpec): void {
  const fields = checkRoute(spec);
  if (fields.length > 0) throw refusal("validation_failed", fields);
}

function found(row: RouteRow | undefined): RouteRow {
  if (!row) throw new HotSwapError("gateway_route_not_found", "There is no route with this id.");
  return row;
}

/** As long as a deployment compares two versions of a route, it alone decides what the route is. */
async function refuseDeploying(tx: GatewayTx, tenant: string, routes: readonly RouteRow[]): Promise<void> {
  if (routes.length === 0) return;
  const nameOf = new Map(routes.map(({ id, name }) => [id, name]));
  const [first] = await selectActive(tx, tenant, [...nameOf.keys()]);
  if (!first) return;
  const detail = `The route ${nameOf.get(first.route)} is being changed by the deployment ${first.deployment}.`;
  throw new HotSwapError("gateway_route_deploying", detail, { data: { deployment: first.deployment } });
}

function refusal(code: "validation_failed" | "gateway_set_invalid", fields: FieldError[]): HotSwapError {
  const [first] = fields;
  return new HotSwapError(code, `${first!.pointer} ${first!.message}.`, { fields });
}

const below = (place: string, { pointer, message }: FieldError) => ({ pointer: place + pointer, message });

function nameTaken(name: string): HotSwapError {
  return new HotSwapError("gateway_route_exists", `There is a route named ${JSON.stringify(name)} already.`);
}

function hostTaken(host: string): HotSwapError {
  const what = host === "*" ? "Routes without a host belong" : `The host ${host} belongs`;
  const fields = [{ pointer: "/match/host", message: "belongs to another tenant" }];
  throw new HotSwapError("gateway_host_taken", `${what} to another tenant.`, { fields });
}

const tooMany = (max: number) =>
  new HotSwapError("gateway_routes_full", `A tenant may have ${max} routes here (gateway.routesMax).`);
