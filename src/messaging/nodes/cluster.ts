/**
 * This node among the others: keeps its session alive, looks at who else is there, takes the units that nobody
 * serves, and gives up what should be elsewhere. What it may serve is decided in tenancy.ts, who owns what in
 * roll.ts; here are the loops between them, and the order in which things happen.
 *
 * - A unit is served only between `grant` and `yield`; it is closed before anybody is told that it is free.
 * - Nothing here is on the path of a message: that is a comparison of two numbers (`holds`).
 */
import { type Clock, sleep, type Timer } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import type { MakeId } from "../../core/ids.ts";
import type { Kv } from "../../stores/kv/port.ts";
import { type BrokerNode, type NodeHealth, statusOf, takesUnits } from "./node.ts";
import { preferred } from "./placement.ts";
import type { Owned, Roll } from "./roll.ts";
import type { Sync } from "./sync.ts";
import { holds, moved, type Session, Tenancy, type Tenure } from "./tenancy.ts";
import { keyOf, type Unit } from "./unit.ts";

export interface NodeSettings {
  name: string;
  /** How long nobody may take over after the last heartbeat. */
  leaseMs: number;
  /** How long a stopping node passes requests on after it has handed everything over. */
  lingerMs: number;
}

export interface ClusterParts {
  roll: Roll;
  sync: Sync;
  kv: Kv;
  clock: Clock;
  makeId: MakeId;
  settings: NodeSettings;
  health: () => NodeHealth;
  /** Closes what is live of the unit, once what is under way has ended. */
  close: (unit: Unit, reason: HotSwapError) => Promise<void>;
  /** Finds out what must be known of the unit before it is served. */
  prepare: (unit: Unit) => Promise<void>;
  /** The unit is served from now on: what waits for its time goes on. */
  served: (unit: Unit) => void;
  onError: (error: unknown) => void;
}

/** Where a unit is served. */
export type Place = "here" | BrokerNode;

const channel = "messaging:nodes";
/** Between two looks at the roll, unless somebody gives a hint. */
const lookMs = 500;
/** Every so many looks everything is looked at, whether or not something seems to have changed. */
const wholeEvery = 10;
/** A request waits this long beyond a lease for a unit to be served again. */
const patienceMs = 2500;
const pauseMs = 50;
/** Units closed and handed over at a time. */
const handoverMax = 50;
/** A node that has just come gets no units of others for this long: it may go again. */
const settledMs = 3000;
/** Owners remembered for passing requests on. */
const routesMax = 50_000;

export class Cluster {
  readonly #parts: ClusterParts;
  readonly #tenancy: Tenancy;
  readonly #closing = new Map<string, Promise<void>>();
  readonly #routes = new Map<string, string>();
  #nodes: readonly BrokerNode[] = [];
  #address = "";
  #isDraining = false;
  #isOpen = false;
  #isLapsed = false;
  #membership = "";
  #looks = 0;
  /** Somebody may have handed a unit over to this node. */
  #isHinted = true;
  #since: string | undefined;
  #looking: Promise<void> | undefined;
  #beating: Promise<void> | undefined;
  #timers: { beat?: Timer; look?: Timer } = {};
  #leaveChannel: (() => Promise<void>) | undefined;
  readonly #gone = new Set<(node: BrokerNode) => void>();

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    this.#tenancy = new Tenancy(parts.settings.leaseMs);
  }

  /** Of this node's session; undefined while it has none. */
  get id(): string | undefined {
    return this.#tenancy.session?.id;
  }

  get nodes(): readonly BrokerNode[] {
    return this.#nodes;
  }

  /** Takes part from now on. `address` is where other nodes reach this one. */
  async join(address: string): Promise<void> {
    this.#address = address;
    this.#isOpen = true;
    await this.#enter();
    this.#since = (await this.#parts.roll.changes(undefined)).upTo;
    this.#leaveChannel = await this.#parts.kv
      .subscribe(channel, () => this.#hinted(), { onResume: () => this.#hinted() })
      .catch((error) => {
        this.#parts.onError(error); // hints only: without them it takes half a second longer
        return undefined;
      });
    await this.#look();
    this.#beatLater();
    this.#lookSoon(lookMs);
    this.#hint();
  }

  /** Hands everything over, and passes on what still comes. Resolves when nobody should ask this node any more. */
  async leave(): Promise<void> {
    if (!this.#isOpen || this.#isDraining) return;
    this.#isDraining = true;
    await this.#beat();
    this.#hint();
    await this.#lookNow();
    await this.#handOver(this.#tenancy.all());
    const { clock, settings } = this.#parts;
    if (this.#takers().length > 0) await sleep(clock, settings.lingerMs);
  }

  /** Ends the session: what is still owned here is free for others at once. */
  async stop(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timers.beat?.cancel();
    this.#timers.look?.cancel();
    await Promise.all([this.#looking, this.#beating]);
    const id = this.id;
    await this.#closeAll(this.#tenancy.end(), new HotSwapError("shutting_down"));
    if (id) await this.#parts.roll.leave(id).catch(this.#parts.onError); // the lease ends by itself
    this.#hint();
    await this.#leaveChannel?.();
  }

  /** The right to serve the topic. Throws `topic_moved` when this node has not got it. */
  tenureOf(unit: Unit, topic: string): Tenure {
    const tenure = this.#tenancy.get(unit);
    if (!tenure || !this.holds(tenure)) throw moved(topic);
    return tenure;
  }

  holds(tenure: Tenure): boolean {
    return holds(tenure, this.#parts.clock.monotonic());
  }

  serves(unit: Unit): boolean {
    const tenure = this.#tenancy.get(unit);
    return tenure !== undefined && this.holds(tenure);
  }

  /**
   * Finds who serves the unit, and takes it when nobody does and it should be here. With `mayPassOn` false it is here
   * or nowhere. Rejects with `topic_moved` when the unit is not served in time.
   */
  async place(unit: Unit, mayPassOn: boolean): Promise<Place> {
    const { clock, settings } = this.#parts;
    for (const until = clock.monotonic() + settings.leaseMs + patienceMs; ; ) {
      const place = await this.#find(unit, mayPassOn);
      if (place) return place;
      if (clock.monotonic() >= until || !mayPassOn || !this.#isOpen) throw moved(unit.topic);
      await sleep(clock, pauseMs);
    }
  }

  /** Before the same thing is tried again. */
  pause(): Promise<void> {
    return sleep(this.#parts.clock, pauseMs);
  }

  /** The node that was said to serve the unit does not, or cannot be reached. */
  misplaced(unit: Unit): void {
    this.#routes.delete(keyOf(unit));
  }

  /** The log says that somebody else writes to the unit, or that it lost records: it is closed and looked up anew. */
  async lost(unit: Unit, reason: HotSwapError): Promise<void> {
    const tenure = this.#tenancy.get(unit);
    if (!tenure) return;
    this.#tenancy.yield(tenure);
    await this.#closeAll([tenure], reason);
  }

  /** Calls the listener when a node is found dead. Returns the function that ends it. */
  onGone(listener: (node: BrokerNode) => void): () => void {
    this.#gone.add(listener);
    return () => this.#gone.delete(listener);
  }

  /** Looks now for what other nodes have changed; resolves when it is known here. */
  async refresh(): Promise<void> {
    if (this.#isOpen) await this.#lookNow();
  }

  /** Tells the others that something has changed. They would see it by themselves, later. */
  #hint(): void {
    this.#parts.kv.publish(channel, this.id ?? "").catch(() => {}); // what is lost is found by looking
  }

  #hinted(): void {
    this.#isHinted = true;
    this.#lookSoon(0);
  }

  async #find(unit: Unit, mayPassOn: boolean): Promise<Place | undefined> {
    const key = keyOf(unit);
    await this.#closing.get(key);
    if (this.serves(unit)) return "here";
    const session = this.#tenancy.session;
    if (!session || !this.#tenancy.isValid(this.#parts.clock.monotonic())) return undefined;
    const known = mayPassOn ? this.#living(this.#routes.get(key)) : undefined;
    if (known && known.id !== session.id) return known;
    const owner = await this.#parts.roll.ownerOf(unit);
    if (owner?.node === session.id) return this.#grant(session, { unit, epoch: owner.epoch });
    if (owner && !this.#nodes.some(({ id }) => id === owner.node)) await this.#lookNow();
    const node = this.#living(owner?.node);
    if (node) return mayPassOn ? this.#passOn(key, node) : undefined;
    const best = preferred(key, this.#takers());
    if (best && best.id !== session.id && mayPassOn) return best; // it takes the unit when it is asked
    if (this.#isDraining) return undefined;
    const [claimed] = await this.#parts.roll.claim(session.id, [unit]);
    return claimed && this.#grant(session, claimed);
  }

  #passOn(key: string, node: BrokerNode): BrokerNode {
    if (this.#routes.size >= routesMax) this.#routes.clear();
    this.#routes.set(key, node.id);
    return node;
  }

  async #grant(session: Session, { unit, epoch }: Owned): Promise<Place | undefined> {
    const { prepare, served } = this.#parts;
    await prepare(unit);
    await this.#closing.get(keyOf(unit)); // what is left of an older tenure
    const before = this.#tenancy.get(unit);
    const tenure = this.#tenancy.grant(session.id, unit, epoch);
    if (tenure && tenure !== before) served(unit);
    return tenure && "here";
  }

  /** The node unless it is known to be gone. */
  #living(id: string | undefined): BrokerNode | undefined {
    const node = this.#nodes.find((candidate) => candidate.id === id);
    return node && ["started", "draining", "suspect"].includes(statusOf(node)) ? node : undefined;
  }

  /** Nodes that take units, this one only as long as it stays. */
  #takers(): BrokerNode[] {
    return this.#nodes.filter((node) => takesUnits(node) && !(node.id === this.id && this.#isDraining));
  }

  async #enter(): Promise<void> {
    const { roll, clock, makeId, settings, health } = this.#parts;
    const id = makeId();
    const askedAt = clock.monotonic();
    const { name, leaseMs } = settings;
    await roll.enter({ id, name, address: this.#address, leaseMs, health: health() });
    await this.#closeAll(this.#tenancy.begin(id, askedAt), moved("?"));
    this.#membership = "";
  }

  #beatLater(): void {
    if (!this.#isOpen) return;
    const { clock, settings, onError } = this.#parts;
    this.#timers.beat = clock.after(settings.leaseMs / 4, () => {
      this.#lapse().catch(onError);
      // One that hangs must not keep the next from noticing that the lease has lapsed.
      this.#beating ??= this.#beat().finally(() => {
        this.#beating = undefined;
      });
      this.#beatLater();
    });
  }

  async #beat(): Promise<void> {
    const { roll, clock, health, onError } = this.#parts;
    const { session } = this.#tenancy;
    try {
      if (!session) return await this.#enter();
      const askedAt = clock.monotonic();
      const alive = await roll.beat(session.id, this.#isDraining ? "draining" : "started", health());
      if (alive) {
        this.#tenancy.prolong(session.id, askedAt);
        this.#goOn();
        return;
      }
      await this.#closeAll(this.#tenancy.end(), moved("?"));
      if (!this.#isDraining) await this.#enter();
    } catch (error) {
      onError(error); // the next one tries again, until the lease lapses
    }
  }

  /** What was closed when the lease lapsed is served again, if it has: nobody has taken it meanwhile. */
  #goOn(): void {
    if (!this.#isLapsed) return;
    this.#isLapsed = false;
    for (const { unit } of this.#tenancy.all()) this.#parts.served(unit);
  }

  /** Closes everything once the lease has lapsed without an answer: others may be serving it by now. */
  async #lapse(): Promise<void> {
    if (this.#isLapsed || this.#tenancy.isValid(this.#parts.clock.monotonic())) return;
    this.#isLapsed = true;
    await this.#closeAll(this.#tenancy.all(), moved("?"));
  }

  async #closeAll(tenures: readonly Tenure[], reason: HotSwapError): Promise<void> {
    await Promise.all(tenures.map((tenure) => this.#close(tenure.unit, reason)));
  }

  #close(unit: Unit, reason: HotSwapError): Promise<void> {
    const key = keyOf(unit);
    const before = this.#closing.get(key) ?? Promise.resolve();
    const closing = before
      .then(() => this.#parts.close(unit, reason))
      .catch(this.#parts.onError)
      .finally(() => {
        if (this.#closing.get(key) === closing) this.#closing.delete(key);
      });
    this.#closing.set(key, closing);
    return closing;
  }

  #lookSoon(delayMs: number): void {
    if (!this.#isOpen) return;
    this.#timers.look?.cancel();
    this.#timers.look = this.#parts.clock.after(delayMs, () => {
      this.#looking ??= this.#looked();
    });
  }

  /** A look that begins after this call. */
  async #lookNow(): Promise<void> {
    await this.#looking;
    this.#looking ??= this.#looked();
    await this.#looking;
  }

  async #looked(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      this.#parts.onError(error);
    } finally {
      this.#looking = undefined;
      this.#lookSoon(lookMs);
    }
  }

  async #look(): Promise<void> {
    const { roll, sync } = this.#parts;
    const before = this.#nodes;
    const isHinted = this.#isHinted;
    this.#isHinted = false;
    this.#nodes = await roll.nodes();
    this.#tellGone(before);
    if (this.#since !== undefined) {
      const { upTo, topics } = await roll.changes(this.#since);
      await sync.apply(topics);
      this.#since = upTo;
    }
    const { session } = this.#tenancy;
    if (!session || this.#isDraining || !this.#tenancy.isValid(this.#parts.clock.monotonic())) return;
    const membership = this.#nodes.map((node) => `${node.id} ${node.state}`).join();
    const isWhole = membership !== this.#membership || this.#looks % wholeEvery === 0;
    this.#looks += 1;
    if (isWhole) {
      await this.#takeOrphans(session);
      this.#membership = membership;
    }
    if (isWhole || isHinted) {
      for (const owned of await roll.ownedBy(session.id)) {
        if (!this.#tenancy.get(owned.unit)) await this.#grant(session, owned);
      }
    }
    if (isWhole) await this.#rebalance();
  }

  #tellGone(before: readonly BrokerNode[]): void {
    for (const node of this.#nodes) {
      const known = before.find(({ id }) => id === node.id);
      const isGone = node.state === "dead" || node.state === "stopped";
      if (!known || known.state === node.state || !isGone) continue;
      this.#routes.clear();
      for (const listener of this.#gone) listener(node);
    }
  }

  async #takeOrphans(session: Session): Promise<void> {
    const { roll } = this.#parts;
    const takers = this.#takers();
    const wanted = (await roll.orphans()).filter((unit) => preferred(keyOf(unit), takers)?.id === session.id);
    if (wanted.length === 0) return;
    for (const owned of await roll.claim(session.id, wanted)) await this.#grant(session, owned);
  }

  /** Gives a few units at a time to the nodes that should have them. */
  async #rebalance(): Promise<void> {
    const settled = this.#takers().filter(({ id, aliveMs }) => id === this.id || aliveMs > settledMs);
    const elsewhere = this.#tenancy
      .all()
      .filter(({ unit }) => preferred(keyOf(unit), settled)?.id !== this.id)
      .slice(0, handoverMax);
    await this.#handOver(elsewhere, settled);
    // More of it at the next look.
    if (elsewhere.length === handoverMax) this.#membership = "";
  }

  async #handOver(tenures: readonly Tenure[], takers = this.#takers()): Promise<void> {
    const { roll } = this.#parts;
    const byTarget = new Map<string, Tenure[]>();
    for (const tenure of tenures) {
      const target = preferred(keyOf(tenure.unit), takers);
      if (!target || target.id === this.id) continue;
      byTarget.set(target.id, [...(byTarget.get(target.id) ?? []), tenure]);
    }
    for (const [target, all] of byTarget) {
      for (let from = 0; from < all.length; from += handoverMax) {
        const some = all.slice(from, from + handoverMax);
        for (const tenure of some) this.#tenancy.yield(tenure);
        const given = this.#closeAndAssign(roll, target, some);
        for (const { unit } of some) this.#closing.set(keyOf(unit), given);
        await given;
        this.#hint();
      }
    }
  }

  async #closeAndAssign(roll: Roll, target: string, tenures: readonly Tenure[]): Promise<void> {
    const { close, onError } = this.#parts;
    try {
      await Promise.all(tenures.map(({ unit }) => close(unit, moved(unit.topic)).catch(onError)));
      const session = tenures[0]!.session.id;
      const given = await roll.assign(session, target, tenures);
      for (const { unit } of given) this.#routes.set(keyOf(unit), target);
    } catch (error) {
      onError(error); // still this node's: whoever asks next opens it again
    } finally {
      for (const { unit } of tenures) this.#closing.delete(keyOf(unit));
    }
  }
}
