/**
 * Instances of services: who is there, what each says that it runs, and what it is told. A heartbeat costs no SQL:
 * what is known of an instance is remembered here, and what it says is written with that of others (reports.ts). The
 * remembered is dropped when SQL says otherwise, because the instance has gone or registered anew at another node.
 *
 * What an instance counted belongs to the version that it ran: a heartbeat in which that changed is counted for none.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { authorize, decide } from "../platform/access/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { type Answer, Answers, type Asking, trialFor } from "./answers.ts";
import type { DeliveryTx, InstanceRow, StateRow } from "./delivery.tables.ts";
import { cohortOf, versionFor } from "./desired.ts";
import type { Hub } from "./hub.ts";
import type { Heartbeat, NewInstance } from "./instances.schema.ts";
import * as rows from "./instances.sql.ts";
import type { DeliveryMetrics } from "./metrics.ts";
import type { Payloads } from "./payloads.ts";
import type { Reports } from "./reports.ts";
import type { ScopeState } from "./scopes.sql.ts";
import { countsBy } from "./signals.ts";

export interface InstancesParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  hub: Hub;
  payloads: Payloads;
  reports: Reports;
  metrics: DeliveryMetrics;
  heartbeatMs: number;
  /** It is no longer registered, or not as what it was. */
  onGone(tenant: string, id: string): void;
}

/** What is remembered of an instance between its heartbeats; its answers to trials, those that it gave here. */
export interface Known extends Asking {
  readonly changedAt: number;
  readonly running: Map<string, number | undefined>;
  readonly answered: Set<string>;
}

const rememberedMax = 200_000;
const silentHeartbeats = 3;
/** No id has a slash. */
const keyOf = (tenant: string, id: string) => `${tenant}/${id}`;
const nothing: ReadonlySet<string> = new Set();

export class Instances {
  readonly #parts: InstancesParts;
  readonly #answers: Answers;
  /** By size, of which each has one: a bound by number would take its memory at once. */
  readonly #known = new LRUCache<string, Known>({ maxSize: rememberedMax, sizeCalculation: () => 1 });

  constructor(parts: InstancesParts) {
    this.#parts = parts;
    this.#answers = new Answers(parts);
  }

  /** Registers an instance, or brings the one of this id up to date. */
  async register(principal: Principal, input: NewInstance) {
    const { reports, clock, hub } = this.#parts;
    const { tenant } = principal;
    const { instanceId: id, service, environment, labels = {}, process } = input;
    authorize(principal, "instances.write", { tenant, environment, labels });
    const at = new Date(clock.now());
    const row = await reports.register({ tenant, id, service, environment, labels, process, at });
    this.refreshed(tenant, id, row.changed_at);
    const isNew = row.registered_at.getTime() === at.getTime();
    const scope = { tenant, service, environment };
    const known = isNew
      ? this.#remember({ scope, id, labels, changedAt: row.changed_at.getTime(), running: new Map() })
      : await this.known(principal, id);
    const registeredAt = row.registered_at.toISOString();
    const answer = await this.#answers.of(known, await hub.state(known.scope), nothing);
    return { instanceId: id, service, environment, labels, registeredAt, ...answer };
  }

  /**
   * Throws or rejects with `instance_not_found`, upon which the instance should register again. Synchronous when
   * everything is known already.
   */
  heartbeat(principal: Principal, id: string, beat: Heartbeat): Answer | Promise<Answer> {
    const known = this.#known.get(keyOf(principal.tenant, id));
    const state = known && this.#parts.hub.known(known.scope);
    return known && state
      ? this.#take(principal, known, state, beat)
      : this.#takeUnknown(principal, id, beat);
  }

  async #takeUnknown(principal: Principal, id: string, beat: Heartbeat): Promise<Answer> {
    const known = await this.known(principal, id);
    return this.#take(principal, known, await this.#parts.hub.state(known.scope), beat);
  }

  #take(principal: Principal, known: Known, state: ScopeState, beat: Heartbeat): Answer | Promise<Answer> {
    const { reports, clock } = this.#parts;
    allow(principal, known);
    const { id } = known;
    const { tenant } = known.scope;
    const at = new Date(clock.now());
    reports.seen({ tenant, id, at, changedAt: known.changedAt });
    const changed = beat.applied ? this.#takeStates(known, state, beat.applied, at) : nothing;
    if (beat.metrics) this.#takeCounts(known, state, beat.metrics, changed);
    for (const { id: trial, ok, reason } of beat.trials ?? []) {
      known.answered.add(trial);
      reports.answer({ tenant, trial, instance: id, ok, reason, at });
    }
    return this.#answers.of(known, state, changed);
  }

  async deregister(actor: Actor, id: string): Promise<void> {
    const { sql, audit } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    await this.known(principal, id);
    const work = async (tx: DeliveryTx) => {
      if (!(await rows.deleteInstance(tx, tenant, id))) throw notFound(id);
      const resource = `instances/${id}`;
      await audit.record(tx, { principal, action: "instance.deregister", resource, requestId });
    };
    await change(sql, actor, work, () => this.refreshed(tenant, id, undefined));
  }

  /** Those that the caller may see, of a page by id; `next` is the id to go on behind. */
  async list(
    principal: Principal,
    filter: rows.InstanceFilter,
    { after, limit }: { after?: string | undefined; limit: number },
  ) {
    const { sql, reports } = this.#parts;
    const { tenant } = principal;
    const { config, version, status } = filter;
    const asksOfConfig = version !== undefined || status === "applied" || status === "rejected";
    if (config === undefined && asksOfConfig) throw withoutConfig();
    await reports.flush({ seen: false });
    const page = { after, limit: limit + 1, silentBefore: this.#silentBefore() };
    const { found, states } = await sql.tenant(tenant, async (tx: DeliveryTx) => {
      const found = await rows.selectInstances(tx, tenant, filter, page);
      const ids = found.map(({ id }) => id);
      return { found, states: await rows.selectStates(tx, tenant, ids) };
    });
    const byInstance = Map.groupBy(states, ({ instance }) => instance);
    const shown = found.slice(0, limit);
    const seen = shown.filter(({ environment, labels }) => {
      return decide(principal, "instances.read", { tenant, environment, labels }).allowed;
    });
    const items = await Promise.all(seen.map((row) => this.#show(row, byInstance.get(row.id) ?? [])));
    return { items, next: found.length > limit ? shown.at(-1)!.id : undefined };
  }

  async get(principal: Principal, id: string) {
    const { sql, reports } = this.#parts;
    const { tenant } = principal;
    await reports.flush();
    const { row, states } = await sql.tenant(tenant, async (tx: DeliveryTx) => {
      return {
        row: await rows.selectInstance(tx, tenant, id),
        states: await rows.selectStates(tx, tenant, [id]),
      };
    });
    if (!row) throw notFound(id);
    authorize(principal, "instances.read", { tenant, environment: row.environment, labels: row.labels });
    return this.#show(row, states);
  }

  /** The document that it should have, or one that it is asked to try. */
  async document(
    principal: Principal,
    id: string,
    config: string,
    asked: { version?: number | undefined; trial?: string | undefined },
  ) {
    const { hub, payloads } = this.#parts;
    const known = await this.known(principal, id);
    const { tenant } = known.scope;
    const state = await hub.state(known.scope);
    const wanted = state.configs.get(config);
    if (!wanted) throw notMeant(id, config, asked);
    const desired = versionFor(wanted, known) ?? null;
    const isDesired = asked.trial === undefined && (asked.version ?? desired) === desired;
    const trial = isDesired ? undefined : trialFor(state, known, config, asked);
    const version = isDesired ? desired : (trial?.version ?? null);
    const content = trial
      ? await payloads.tried(tenant, trial)
      : version !== null && isDesired && (await payloads.get(tenant, config, version));
    if (!content) throw notMeant(id, config, asked);
    return { wanted, version, content };
  }

  /** What SQL says of an instance: when it changed last; undefined: it has gone. */
  refreshed(tenant: string, id: string, changedAt: Date | undefined): void {
    const key = keyOf(tenant, id);
    const known = this.#known.get(key);
    if (known && known.changedAt === changedAt?.getTime()) return;
    this.#known.delete(key);
    if (known || !changedAt) this.#parts.onGone(tenant, id);
  }

  /** Checks that the caller may speak for it. Throws `instance_not_found`. */
  async known(principal: Principal, id: string): Promise<Known> {
    const { tenant } = principal;
    const known = this.#known.get(keyOf(tenant, id)) ?? (await this.#load(tenant, id));
    allow(principal, known);
    return known;
  }

  async #load(tenant: string, id: string): Promise<Known> {
    const { row, states } = await this.#parts.sql.tenant(tenant, async (tx: DeliveryTx) => {
      return {
        row: await rows.selectInstance(tx, tenant, id),
        states: await rows.selectStates(tx, tenant, [id]),
      };
    });
    if (!row) throw notFound(id);
    const { service, environment, labels } = row;
    return this.#remember({
      scope: { tenant, service, environment },
      ...{ id, labels, changedAt: row.changed_at.getTime() },
      running: new Map(states.map(({ config, running }) => [config, running ?? undefined])),
    });
  }

  #remember(facts: Omit<Known, "answered">): Known {
    const known: Known = { ...facts, answered: new Set() };
    this.#known.set(keyOf(known.scope.tenant, known.id), known);
    return known;
  }

  /** Of which configurations the instance runs another version than it did. */
  #takeStates(known: Known, { configs }: ScopeState, applied: NonNullable<Heartbeat["applied"]>, at: Date) {
    const { reports, metrics } = this.#parts;
    const { tenant } = known.scope;
    const changed = new Set<string>();
    for (const { config, version, status, reason = "" } of applied) {
      if (!configs.has(config)) continue; // it has been deleted in the meantime
      const report = { tenant, config, instance: known.id, at };
      if (status === "rejected") {
        if (version === null) continue;
        reports.state({ ...report, running: undefined, refused: { version, reason } });
        continue;
      }
      if (known.running.get(config) !== (version ?? undefined)) {
        changed.add(config);
        metrics.applied(known.scope, config, version);
      }
      known.running.set(config, version ?? undefined);
      reports.state({ ...report, running: version, refused: undefined });
    }
    return changed;
  }

  #takeCounts(
    known: Known,
    { configs }: ScopeState,
    metrics: NonNullable<Heartbeat["metrics"]>,
    changed: ReadonlySet<string>,
  ): void {
    const counts = countsBy(known.id, metrics);
    for (const wanted of configs.values()) {
      const { config, rollout } = wanted;
      if (!rollout || changed.has(config)) continue;
      const cohort = cohortOf(wanted, known, known.running.get(config));
      if (!cohort) continue;
      const { deployment } = rollout;
      for (const [metric, by] of counts) {
        this.#parts.reports.count({ tenant: known.scope.tenant, config, deployment, cohort, metric, by });
      }
    }
  }

  async #show(row: InstanceRow, states: readonly StateRow[]) {
    const { id, tenant_id: tenant, service, environment, labels, registered_at, seen_at } = row;
    const state = await this.#parts.hub.state({ tenant, service, environment });
    const said = new Map(states.map((one) => [one.config, one]));
    const configs = [...state.configs.values()]
      .map((wanted) => showConfig(wanted.config, versionFor(wanted, row) ?? null, said.get(wanted.config)))
      .filter(({ desired, running, rejected }) => desired !== null || running !== null || rejected);
    return {
      ...{ instanceId: id, service, environment, labels },
      status: seen_at < this.#silentBefore() ? "silent" : "live",
      registeredAt: registered_at.toISOString(),
      seenAt: seen_at.toISOString(),
      configs: configs.sort((a, b) => (a.config < b.config ? -1 : 1)),
    };
  }

  #silentBefore(): Date {
    return new Date(this.#parts.clock.now() - silentHeartbeats * this.#parts.heartbeatMs);
  }
}

function showConfig(config: string, desired: number | null, state: StateRow | undefined) {
  const { running = null, applied_at = null, refused = null, reason, refused_at } = state ?? {};
  const isRefused = refused !== null && refused === desired;
  return {
    ...{ config, desired, running },
    appliedAt: applied_at?.toISOString() ?? null,
    status: isRefused ? "rejected" : running === desired ? "applied" : "pending",
    ...(refused !== null &&
      refused_at && { rejected: { version: refused, reason: reason ?? "", at: refused_at.toISOString() } }),
  };
}

const notFound = (id: string) => new HotSwapError("instance_not_found", `There is no instance ${id}.`);

function allow(principal: Principal, { scope, labels }: Known): void {
  const { tenant, environment } = scope;
  authorize(principal, "instances.write", { tenant, environment, labels });
}

function notMeant(
  id: string,
  config: string,
  { version, trial }: { version?: number | undefined; trial?: string | undefined },
): HotSwapError {
  const which =
    trial !== undefined ? ` of trial ${trial}` : version === undefined ? "" : ` version ${version}`;
  return new HotSwapError(
    "instance_config_not_found",
    `${config}${which} is not meant for the instance ${id}.`,
  );
}

const withoutConfig = () =>
  new HotSwapError("validation_failed", "query/config is required with a version, applied and rejected.", {
    fields: [{ pointer: "query/config", message: "is required with a version, applied and rejected" }],
  });
