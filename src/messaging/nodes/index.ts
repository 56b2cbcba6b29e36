/** Several broker nodes over one log. See README.md for the protocol. */
import type { Clock } from "../../core/clock.ts";
import type { MakeId } from "../../core/ids.ts";
import type { Route } from "../../platform/http/route.ts";
import type { Metrics, Usage } from "../../platform/telemetry/index.ts";
import type { Caller, Usage as SchemaUsage } from "../../schemas/index.ts";
import type { Kv } from "../../stores/kv/port.ts";
import type { LogStore } from "../../stores/log/port.ts";
import type { Sql } from "../../stores/sql/port.ts";
import { delayLogName } from "../delivery/delay-log.ts";
import type { Registry } from "../delivery/registry.ts";
import type { Serving } from "../delivery/topic.ts";
import type { Messages } from "../messages.ts";
import type { Whereabouts } from "../stream/remotes.ts";
import { Cluster, type NodeSettings } from "./cluster.ts";
import { Forwarder, isPassedOn } from "./forward.ts";
import { gatherUses } from "./gather.ts";
import { HealthMeter } from "./health.ts";
import { Monitor } from "./monitor.ts";
import type { HealthLimits } from "./node.ts";
import { nodeRoutes } from "./nodes.routes.ts";
import { Places } from "./places.ts";
import { relayOf } from "./relay.ts";
import { Roll } from "./roll.ts";
import { type NodeList, SoleNode } from "./sole-node.ts";
import { spread } from "./spread.ts";
import { Sync } from "./sync.ts";
import { topicsOf, type Unit, unitOf } from "./unit.ts";

export type { NodeSettings } from "./cluster.ts";
export type { HealthLimits } from "./node.ts";

export interface NodesParts {
  sql: Sql;
  kv: Kv;
  log: LogStore;
  clock: Clock;
  makeId: MakeId;
  metrics: Metrics;
  settings: NodeSettings & HealthLimits;
  usage: () => Usage;
  /** The unit is served here from now on. */
  onServed: (unit: Unit) => void;
  /** It is not, once this has resolved. */
  onYield: (unit: Unit) => Promise<void>;
  onError: (error: unknown) => void;
}

export class Nodes {
  readonly #parts: NodesParts;
  readonly #registry: Registry;
  readonly #meter: HealthMeter;
  readonly #list: NodeList;
  readonly #cluster: Cluster | undefined;
  readonly #forwarder = new Forwarder();
  readonly #places: Places | undefined;
  readonly #monitor: Monitor;

  constructor(parts: NodesParts, registry: Registry) {
    this.#parts = parts;
    this.#registry = registry;
    const { log, clock, settings, makeId, metrics, usage, onError } = parts;
    this.#meter = new HealthMeter(registry, clock, usage);
    if (log.shared) this.#cluster = this.#openCluster();
    this.#places = this.#cluster && new Places(this.#cluster, registry);
    this.#list = this.#cluster ?? new SoleNode(makeId(), clock, this.#meter);
    this.#monitor = new Monitor({ nodes: this.#list, clock, limits: settings, metrics, onError });
  }

  /** For the registry of live topics; undefined on a single node. */
  get serving(): Serving | undefined {
    const cluster = this.#cluster;
    if (!cluster) return undefined;
    return {
      tenureOf: (topic) => cluster.tenureOf(unitOf(topic), topic.name),
      holds: (tenure) => cluster.holds(tenure),
    };
  }

  /** For streams; undefined on a single node. */
  get whereabouts(): Whereabouts | undefined {
    return this.#places;
  }

  /** Makes known here what other nodes have changed. */
  async refresh(): Promise<void> {
    await this.#cluster?.refresh();
  }

  /** The routes with those of nodes, so that each answers on every node. */
  routes(routes: readonly Route[], messages: Messages): Route[] {
    const own = nodeRoutes(this.#list, this.#parts.settings);
    const cluster = this.#cluster;
    const places = this.#places;
    if (!cluster || !places) return [...routes, ...own];
    const forwarder = this.#forwarder;
    const registry = this.#registry;
    messages.relay = relayOf(messages, places, forwarder);
    return [...spread(routes, { cluster, registry, forwarder, places }), ...own];
  }

  /** Consumers of the schema version that other nodes have heard of. */
  async usesElsewhere(caller: Caller, id: string): Promise<SchemaUsage> {
    const cluster = this.#cluster;
    if (!cluster || isPassedOn(caller.headers)) return { uses: [], total: 0, missing: [] };
    return gatherUses(caller, id, { cluster, forwarder: this.#forwarder, clock: this.#parts.clock });
  }

  /** Takes part from now on; `address` is where other nodes reach this one. */
  async join(address: string): Promise<void> {
    if (this.#list instanceof SoleNode) this.#list.address = address;
    this.#cluster?.onGone((node) => this.#forwarder.gone(node));
    await this.#cluster?.join(address);
    this.#monitor.start();
  }

  /** Hands over what is served here, and resolves when no request should come here any more. */
  async leave(): Promise<void> {
    await this.#cluster?.leave();
  }

  async stop(): Promise<void> {
    this.#monitor.stop();
    await this.#cluster?.stop();
    this.#forwarder.close();
  }

  #openCluster(): Cluster {
    const { sql, kv, log, clock, makeId, settings, onServed, onYield, onError } = this.#parts;
    const registry = this.#registry;
    const live = (unit: Unit) => topicsOf(unit).flatMap((name) => registry.find(unit.tenant, name) ?? []);
    const cluster = new Cluster({
      roll: new Roll(sql),
      sync: new Sync(sql, registry),
      kv,
      clock,
      makeId,
      settings,
      health: () => this.#meter.read(),
      close: async (unit, reason) => {
        await onYield(unit);
        await Promise.all(live(unit).map((topic) => topic.suspend(reason)));
      },
      prepare: async (unit) => {
        for (const topic of live(unit)) topic.hasDelays = await log.has(delayLogName(topic.spec.number));
      },
      served: (unit) => {
        for (const topic of live(unit)) topic.delays().catch(onError);
        onServed(unit);
      },
      onError,
    });
    log.onEnded((name, reason) => {
      const topic = registry.byPartition(name);
      if (topic) cluster.lost(unitOf(topic.spec), reason).catch(onError);
    });
    return cluster;
  }
}
