/**
 * Pins: instances with certain labels have a version by hand, whatever is deployed. They are no units of a
 * deployment, so neither does it move them nor are they compared. Of several that fit, the one with most labels
 * counts.
 */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { guard } from "./access.ts";
import {
  type ConfigFacts,
  moveRevision,
  requireConfig,
  requireVersion,
  wasReleased,
} from "./assignments.sql.ts";
import type { DeliveryTx, Labels, PinRow } from "./delivery.tables.ts";
import { bySpecificity } from "./desired.ts";
import type { Hub } from "./hub.ts";
import { type ScopeName, selectPins } from "./scopes.sql.ts";

export interface PinsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
  hub: Hub;
  /** Of an environment: whether versions come into force there only after somebody else has approved. */
  needsApproval(environment: string): boolean;
}

export interface NewPin {
  labels: Labels;
  version: number;
  reason: string;
}

/** Of one configuration. */
const pinsMax = 100;

export class Pins {
  readonly #parts: PinsParts;

  constructor(parts: PinsParts) {
    this.#parts = parts;
  }

  /** The most specific first. */
  list(principal: Principal, config: string): Promise<PinRow[]> {
    const { tenant } = principal;
    return this.#parts.sql.tenant(tenant, async (tx: DeliveryTx) => {
      guard(principal, "configs.read", await requireConfig(tx, tenant, config));
      return bySpecificity(await selectPins(tx, tenant, [config]));
    });
  }

  set(actor: Actor, config: string, { labels, version, reason }: NewPin): Promise<PinRow[]> {
    const { clock } = this.#parts;
    const { subject, tenant } = actor.principal;
    if (Object.keys(labels).length === 0) {
      throw new HotSwapError("validation_failed", "/labels must name at least one label.", {
        fields: [{ pointer: "/labels", message: "must name at least one label; for all instances, deploy" }],
      });
    }
    const key = canonicalJson(labels);
    return this.#change(
      actor,
      config,
      "config.pin",
      { labels, version, reason },
      async (tx, { environment }) => {
        await requireVersion(tx, tenant, config, version, "/version");
        if (this.#parts.needsApproval(environment) && !(await wasReleased(tx, tenant, config, version))) {
          throw new HotSwapError(
            "config_version_unreleased",
            `Version ${version} of ${config} has not been deployed in ${environment}.`,
            { fields: [{ pointer: "/version", message: "has not been deployed there" }] },
          );
        }
        const known = await selectPins(tx, tenant, [config]);
        if (known.length >= pinsMax && !known.some((pin) => pin.key === key)) {
          throw new HotSwapError("validation_failed", `A configuration may have ${pinsMax} pins.`);
        }
        const values = { version, reason, subject, created_at: new Date(clock.now()) };
        await tx
          .insertInto("config_pins")
          .values({ tenant_id: tenant, config, key, labels: JSON.stringify(labels), ...values })
          .onConflict((conflict) => conflict.columns(["tenant_id", "config", "key"]).doUpdateSet(values))
          .execute();
      },
    );
  }

  /** The pin of exactly these labels; without labels all of them. Throws `config_pin_not_found`. */
  remove(actor: Actor, config: string, labels: Labels | undefined): Promise<PinRow[]> {
    const { tenant } = actor.principal;
    return this.#change(actor, config, "config.unpin", { labels: labels ?? null }, async (tx) => {
      let query = tx.deleteFrom("config_pins").where("tenant_id", "=", tenant).where("config", "=", config);
      if (labels) query = query.where("key", "=", canonicalJson(labels));
      const { numDeletedRows } = await query.executeTakeFirst();
      if (labels && numDeletedRows === 0n) {
        throw new HotSwapError("config_pin_not_found", `${config} has no pin of ${canonicalJson(labels)}.`);
      }
    });
  }

  async #change(
    actor: Actor,
    config: string,
    action: string,
    detail: object,
    work: (tx: DeliveryTx, config: ConfigFacts) => Promise<void>,
  ): Promise<PinRow[]> {
    const { sql, audit, hub } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    let scope: ScopeName | undefined;
    const apply = async (tx: DeliveryTx) => {
      const facts = await requireConfig(tx, tenant, config);
      guard(principal, "configs.pin", facts);
      scope = { tenant, service: facts.service, environment: facts.environment };
      await work(tx, facts);
      await moveRevision(tx, scope, config);
      await audit.record(tx, { principal, requestId, action, resource: `configs/${config}/pins`, detail });
      return bySpecificity(await selectPins(tx, tenant, [config]));
    };
    return change(sql, actor, apply, () => hub.changed(scope!));
  }
}
