/**
 * Services whose instances register themselves: each has a time to live, which its heartbeats move on. An instance that
 * is silent for that long is taken away by the sweep (sweep.ts), never while heartbeats could not be taken: as long as
 * SQL was away, nobody's silence counts.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import { canonicalJson } from "../core/json.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { type GatewayTx, nextRevision } from "./revisions.sql.ts";
import { originOf } from "./route-checks.ts";
import * as rows from "./services.sql.ts";

export interface NewInstance {
  id?: string;
  url: string;
  weight?: number;
  labels?: Record<string, string>;
  ttlSeconds?: number;
}

export interface ServicesParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  served: { changed(tenant: string): Promise<void> };
  /** Of one tenant. */
  instancesMax: number;
}

const ttlSecondsDefault = 30;

export class Services {
  readonly #parts: ServicesParts;

  constructor(parts: ServicesParts) {
    this.#parts = parts;
  }

  /** Registers an instance, or brings one of that id up to date. */
  async register(actor: Actor, service: string, input: NewInstance): Promise<rows.InstanceRow> {
    const { sql, clock, makeId, audit, instancesMax } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const { url, weight = 1, labels = {}, ttlSeconds = ttlSecondsDefault } = input;
    if (originOf(url) === undefined) {
      throw new HotSwapError("validation_failed", "/url is not a URL.", {
        fields: [{ pointer: "/url", message: "is not a URL" }],
      });
    }
    const values = { service, id: input.id ?? makeId(), url, weight, labels, ttlSeconds };
    const work = async (tx: GatewayTx) => {
      const now = new Date(clock.now());
      const before = await rows.selectInstance(tx, tenant, service, values.id);
      if (!before && (await rows.countInstances(tx, tenant)) >= instancesMax) {
        throw new HotSwapError("gateway_instances_full", `A tenant may have ${instancesMax} instances here.`);
      }
      const row = await rows.upsertInstance(tx, tenant, values, now);
      if (before && shape(before) === shape(row)) return row;
      await nextRevision(tx, tenant, "instances", now);
      const resource = `gateway/services/${service}/instances/${values.id}`;
      await audit.record(tx, { principal, action: "instance.register", resource, requestId, after: values });
      return row;
    };
    return change(sql, actor, work, () => this.#parts.served.changed(tenant));
  }

  /** Throws `gateway_instance_not_found`, upon which the instance should register again. */
  heartbeat(tenant: string, service: string, id: string): Promise<rows.InstanceRow> {
    const { sql, clock } = this.#parts;
    return sql.tenant(tenant, async (tx: GatewayTx) => {
      const row = await rows.touchInstance(tx, tenant, service, id, new Date(clock.now()));
      if (!row) throw notFound(service, id);
      return row;
    });
  }

  async deregister(actor: Actor, service: string, id: string): Promise<void> {
    const { sql, clock, audit } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: GatewayTx) => {
      if (!(await rows.deleteInstance(tx, tenant, service, id))) throw notFound(service, id);
      await nextRevision(tx, tenant, "instances", new Date(clock.now()));
      const resource = `gateway/services/${service}/instances/${id}`;
      await audit.record(tx, { principal, action: "instance.deregister", resource, requestId });
    };
    await change(sql, actor, work, () => this.#parts.served.changed(tenant));
  }

  list(
    tenant: string,
    filter: { service?: string | undefined; after?: readonly [string, string] | undefined; limit?: number },
  ): Promise<rows.InstanceRow[]> {
    return this.#parts.sql.tenant(tenant, (tx: GatewayTx) => rows.selectInstances(tx, tenant, filter));
  }
}

const shape = ({ url, weight, labels, ttl_seconds }: rows.InstanceRow) =>
  canonicalJson([url, weight, labels, ttl_seconds]);

const notFound = (service: string, id: string) =>
  new HotSwapError("gateway_instance_not_found", `The service ${service} has no instance ${id}.`);
