/**
 * Webhooks of subscriptions as people manage them: a row each, changed in one transaction with its audit entry, and
 * secrets in the store of secrets, which are shown once, when they are made, and never again. What runs are pushers,
 * one for each row that is not disabled, on the node that serves the topic: they come and go with it.
 */
import { type Clock, sleep } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { Audit } from "../../platform/audit/index.ts";
import { type Actor, change } from "../../platform/http/change.ts";
import type { SecretStore } from "../../stores/secrets/port.ts";
import type { Sql, Tx } from "../../stores/sql/port.ts";
import type { Registry } from "../delivery/registry.ts";
import type { MessagingMetrics } from "../metrics.ts";
import { keyOf, topicsOf, type Unit, unitOf } from "../nodes/unit.ts";
import { selectSubscription } from "../subscriptions.sql.ts";
import type { MessagingTables } from "../tables.ts";
import type { Tracer } from "../traces.ts";
import { checkTarget, type Resolve } from "./address.ts";
import { freshPace, type Pace, type Patience, pausedBy } from "./pace.ts";
import * as rows from "./push.sql.ts";
import { Pusher, type PushTarget } from "./pusher.ts";
import { makeSecret, secretsMax } from "./signature.ts";

export interface PushParts {
  sql: Sql;
  secrets: Pick<SecretStore, "get" | "set" | "delete">;
  audit: Pick<Audit, "record">;
  registry: Registry;
  metrics: MessagingMetrics;
  tracer: Tracer;
  clock: Clock;
  random: Random;
  resolve: Resolve;
  /** Webhooks may lead to private and loopback addresses, over http too. */
  privateAllowed: boolean;
  patience: Patience;
  /** Makes known here what other nodes have changed. */
  refresh: () => Promise<void>;
  onError: (error: unknown) => void;
}

export interface ShownPush extends PushTarget {
  subscriptionId: string;
  pace: Pace;
  createdAt: string;
  updatedAt: string;
}

type MessagingTx = Tx<MessagingTables>;

/** When the database could not be asked for the webhooks of units that are new here. */
const lookAgainMs = 1_000;

const secretName = (subscription: string) => `messaging/push/${subscription}`;

export class Pushes {
  readonly #parts: PushParts;
  readonly #pushers = new Map<string, Pusher>();
  /** Units that are served since a moment, whose webhooks are to be looked for. */
  readonly #served = new Set<string>();
  #isLooking = false;
  #stopped = false;

  constructor(parts: PushParts) {
    this.#parts = parts;
  }

  /** On a single node, which serves everything. */
  async start(): Promise<void> {
    for (const row of await this.#all()) await this.#run(row).catch(this.#parts.onError);
  }

  /** This node serves the unit from now on: what it has to push is pushed here. */
  serve(unit: Unit): void {
    this.#served.add(keyOf(unit));
    if (!this.#isLooking) void this.#look();
  }

  /** Resolves when nothing of the unit is pushed here any more. */
  async yield(unit: Unit): Promise<void> {
    this.#served.delete(keyOf(unit));
    const { registry } = this.#parts;
    const topics = topicsOf(unit).flatMap((name) => registry.find(unit.tenant, name) ?? []);
    const ids = topics.flatMap(({ subscriptions }) => subscriptions.map(({ id }) => id));
    await Promise.all(ids.map((id) => this.#end(id)));
  }

  /** One look for all units that have come since the last: after a take-over there are thousands. */
  async #look(): Promise<void> {
    const { clock, registry, refresh, onError } = this.#parts;
    this.#isLooking = true;
    while (this.#served.size > 0 && !this.#stopped) {
      const served = new Set(this.#served);
      this.#served.clear();
      try {
        await refresh();
        for (const row of await this.#all()) {
          const topic = registry.bySubscriptionId(row.tenant_id, row.subscription_id);
          // One that runs was set since, by a row that is no older than this one.
          const isIdle = !this.#pushers.has(row.subscription_id);
          const isOurs = topic && served.has(keyOf(unitOf(topic.spec)));
          if (isOurs && isIdle) await this.#run(row).catch(onError); // one that cannot run stops no other
        }
      } catch (error) {
        onError(error);
        for (const key of served) this.#served.add(key);
        await sleep(clock, lookAgainMs);
      }
    }
    this.#isLooking = false;
  }

  #all(): Promise<rows.PushRow[]> {
    return this.#parts.sql.system((tx: MessagingTx) => tx.selectFrom("messaging_push").selectAll().execute());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#pushers.values()].map((pusher) => pusher.stop()));
  }

  /** Throws `push_not_found`, `subscription_not_found`. */
  async get(tenant: string, id: string): Promise<ShownPush> {
    const row = await this.#parts.sql.tenant(tenant, async (tx: MessagingTx) => {
      await foundSubscription(tx, tenant, id);
      return found(await rows.selectPush(tx, tenant, id));
    });
    return this.#show(row);
  }

  /** Sets it, and begins anew when it was paused. Resolves to the secret when one was made. */
  async set(actor: Actor, id: string, target: PushTarget, given: readonly string[] | undefined) {
    const { sql, audit, clock, secrets, random, privateAllowed } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    checkTarget(target.url, privateAllowed);
    if (target.format === "cloudevents-binary" && target.batch > 1) {
      const fields = [{ pointer: "/batch", message: "must be 1 for cloudevents-binary" }];
      throw new HotSwapError("validation_failed", "A binary event is a request of its own.", { fields });
    }
    const had = await this.#secretsOf(id);
    const made = given === undefined && had.length === 0 ? makeSecret(random) : undefined;
    const wanted = given ?? (made === undefined ? had : [made]);
    const work = async (tx: MessagingTx) => {
      const { topic, name } = await foundSubscription(tx, tenant, id);
      const row = await rows.upsertPush(tx, tenant, id, target, freshPace, new Date(clock.now()));
      const resource = `topics/${topic}/subscriptions/${name}`;
      await audit.record(tx, { principal, action: "push.set", resource, requestId, after: { ...target } });
      // Last, so that what fails before it keeps the old ones; and before the row counts, so that none goes unsigned.
      if (!actor.dryRun) await secrets.set(secretName(id), JSON.stringify(wanted));
      return row;
    };
    const row = await change(sql, actor, work, (row) => this.#run(row));
    return { push: this.#show(row), secret: made };
  }

  async delete(actor: Actor, id: string): Promise<void> {
    const { sql, audit, secrets } = this.#parts;
    const { principal, requestId } = actor;
    const work = async (tx: MessagingTx) => {
      const { topic, name } = await foundSubscription(tx, principal.tenant, id);
      found(await rows.deletePush(tx, principal.tenant, id));
      const resource = `topics/${topic}/subscriptions/${name}`;
      await audit.record(tx, { principal, action: "push.delete", resource, requestId });
    };
    await change(sql, actor, work, async () => {
      await this.#end(id);
      await secrets.delete(secretName(id));
    });
  }

  /** Asks the receiver nothing until somebody says so; what waits is kept, and other consumers may have it. */
  pause(actor: Actor, id: string): Promise<ShownPush> {
    return this.#setPace(actor, id, "push.pause", pausedBy(actor.principal.subject));
  }

  /** Goes on at once, whatever it was paused or disabled for. */
  resume(actor: Actor, id: string): Promise<ShownPush> {
    return this.#setPace(actor, id, "push.resume", freshPace);
  }

  async #setPace(actor: Actor, id: string, action: string, pace: Pace): Promise<ShownPush> {
    const { sql, audit } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    let ended: rows.PushRow | undefined;
    const work = async (tx: MessagingTx) => {
      const { topic, name } = await foundSubscription(tx, tenant, id);
      const row = found(await rows.selectPush(tx, tenant, id));
      if (!actor.dryRun) {
        ended = { ...row, pace: this.#paceOf(row) };
        await this.#end(id); // first, as what it has to keep of its own pace must not come after this
      }
      await rows.updatePace(tx, tenant, id, pace);
      const resource = `topics/${topic}/subscriptions/${name}`;
      await audit.record(tx, { principal, action, resource, requestId });
      return { ...row, pace };
    };
    try {
      const row = await change(sql, actor, work, (row) => this.#run(row));
      return this.#show(row, actor.dryRun ? pace : undefined);
    } catch (error) {
      if (ended) await this.#run(ended).catch(this.#parts.onError);
      throw error;
    }
  }

  /** A new secret beside the former ones, so that the receiver can change over; resolves to it. */
  async rotate(actor: Actor, id: string): Promise<string> {
    const { sql, audit, secrets, random } = this.#parts;
    const { principal, requestId } = actor;
    const made = makeSecret(random);
    const work = async (tx: MessagingTx) => {
      const { topic, name } = await foundSubscription(tx, principal.tenant, id);
      const row = found(await rows.selectPush(tx, principal.tenant, id));
      const resource = `topics/${topic}/subscriptions/${name}`;
      await audit.record(tx, { principal, action: "push.rotate", resource, requestId });
      const former = await this.#secretsOf(id);
      if (!actor.dryRun)
        await secrets.set(secretName(id), JSON.stringify([made, ...former].slice(0, secretsMax)));
      return row;
    };
    await change(sql, actor, work, async (row) => this.#run({ ...row, pace: this.#paceOf(row) }));
    return made;
  }

  async #secretsOf(id: string): Promise<string[]> {
    return JSON.parse((await this.#parts.secrets.get(secretName(id))) ?? "[]") as string[];
  }

  /** Takes the place of the pusher that may run for it. */
  async #run(row: rows.PushRow): Promise<void> {
    const { sql, registry, metrics, tracer, clock, resolve, privateAllowed, patience, onError } = this.#parts;
    const { tenant_id: tenant, subscription_id: id, pace } = row;
    const known = await this.#secretsOf(id);
    while (this.#pushers.has(id)) await this.#end(id);
    const topic = registry.bySubscriptionId(tenant, id);
    const name = topic?.subscriptions.find((spec) => spec.id === id)?.name;
    if (!topic || name === undefined) return; // its topic is being deleted
    if (this.#stopped || !topic.isServed) return;
    const pusher = new Pusher({
      topic: () => topic.spec,
      subscription: name,
      tracer,
      live: () => registry.subscription(tenant, topic.spec.name, name),
      target: targetOf(row),
      secrets: known,
      pace,
      patience,
      privateAllowed,
      resolve,
      clock,
      count: metrics.pushes(topic.spec, name),
      keep: (changed) => sql.tenant(tenant, (tx: MessagingTx) => rows.updatePace(tx, tenant, id, changed)),
      onError,
    });
    this.#pushers.set(id, pusher);
    pusher.start();
  }

  async #end(id: string): Promise<void> {
    const pusher = this.#pushers.get(id);
    this.#pushers.delete(id);
    await pusher?.stop();
  }

  /** As it is now; the row knows changes of the status only. */
  #paceOf(row: rows.PushRow): Pace {
    return this.#pushers.get(row.subscription_id)?.pace ?? row.pace;
  }

  #show(row: rows.PushRow, pace = this.#paceOf(row)): ShownPush {
    return {
      subscriptionId: row.subscription_id,
      ...targetOf(row),
      pace,
      createdAt: row.created_at.toISOString(),
      updatedAt: row.updated_at.toISOString(),
    };
  }
}

function targetOf({
  url,
  format,
  batch,
  concurrency,
  timeout_seconds: timeoutSeconds,
}: rows.PushRow): PushTarget {
  return { url, format, batch, concurrency, timeoutSeconds };
}

async function foundSubscription(tx: MessagingTx, tenant: string, id: string) {
  const row = await selectSubscription(tx, tenant, id);
  if (!row) throw new HotSwapError("subscription_not_found", "There is no subscription with this id.");
  return row;
}

function found(row: rows.PushRow | undefined): rows.PushRow {
  if (!row) throw new HotSwapError("push_not_found");
  return row;
}
