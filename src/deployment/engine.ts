/**
 * Carries every deployment to its end, together with the engines of the other nodes. There is no leader: each engine
 * claims what nobody holds, for the time of a lease that it renews, and the epoch of a deployment grows with every new
 * owner (leases.sql.ts). A dead node's deployments move on after one lease; a node that was frozen and thaws finds
 * that its appends are refused and that its generations are old.
 *
 * Looks are made by local timers while a lease is held, sooner when somebody pokes: a change on this node, or a hint
 * from another through the key-value store. A lost hint costs a second, never a change.
 */
import type { Timer } from "../core/clock.ts";
import type { MakeId } from "../core/ids.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Kv } from "../stores/kv/port.ts";
import { Run, type RunParts } from "./run.ts";
import type { DeploymentRow } from "./tables.ts";
import type { Kind, Target } from "./target.ts";

export interface EngineSettings {
  /** How long a deployment stays with a node that says nothing any more. */
  leaseMs: number;
  /** How often deployments that nobody holds are looked for. */
  pollMs: number;
  /** Deployments that one node carries at once. */
  heldMax: number;
  /** Samples are kept so long, at most. */
  healthDays: number;
  /** Deployments that have ended are kept so long. */
  historyDays: number;
}

export interface EngineParts extends Omit<RunParts, "targetOf" | "onChange"> {
  kv: Pick<Kv, "publish" | "subscribe">;
  makeId: MakeId;
  settings: EngineSettings;
}

/** What changed, for who watches. */
export interface Changed {
  readonly tenant: string;
  readonly id: string;
}

interface Held {
  readonly run: Run;
  timer: Timer | undefined;
  isLooking: boolean;
  /** Somebody poked while it looked. */
  again: boolean;
}

const CHANNEL = "deployment/changed";
/** Looks at once; each uses connections of the pool that requests need too. */
const CONCURRENCY = 4;
const SWEEP_MS = 600_000;
const CLAIM_MAX = 50;

export class Engine implements Service {
  readonly name = "deployment engine";
  readonly #parts: EngineParts;
  readonly #owner: string;
  readonly #targets = new Map<Kind, Target>();
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(changed: Changed) => void>();
  readonly #waiting: Held[] = [];
  readonly #timers = new Map<string, Timer>();
  /** As the gauge has them; what is gone counts 0. */
  readonly #carried = new Map<string, { kind: string; strategy: string; count: number }>();
  #looking = 0;
  #idle: (() => void) | undefined;
  #claiming: Promise<void> | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;
  #forgetGauge: (() => void) | undefined;
  #isHintLost = false;
  #state: "new" | "running" | "stopped" = "new";

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#owner = parts.makeId(); // of this process: a node that starts again is another owner
  }

  /** Before `start`. */
  register(target: Target): void {
    if (this.#targets.has(target.kind)) throw new Error(`there is a target of kind ${target.kind} already`);
    this.#targets.set(target.kind, target);
  }

  targetOf(kind: Kind): Target | undefined {
    return this.#targets.get(kind);
  }

  async start(): Promise<void> {
    const { kv, settings, metrics, onError } = this.#parts;
    this.#state = "running";
    const hear = (message: string) => {
      const [tenant, id, what] = message.split(" ");
      if (tenant && id) this.#hear({ tenant, id }, what === "asked");
    };
    this.#unsubscribe = await kv.subscribe(CHANNEL, hear, { onResume: () => this.poke() }).catch((error) => {
      onError(error); // the poll goes on without it
      return undefined;
    });
    this.#forgetGauge = metrics.onCollect(() => this.#setGauges());
    this.#every("claim", settings.pollMs, () => this.#claim());
    this.#every("renew", settings.leaseMs / 3, () => this.#renew());
    this.#every("sweep", SWEEP_MS, () => this.#sweep());
    await this.#claim().catch(onError); // the poll tries again
  }

  /** Resolves when no look is under way; what this node held is free for others at once. */
  async stop(): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "stopped";
    for (const timer of this.#timers.values()) timer.cancel();
    for (const held of this.#held.values()) held.timer?.cancel();
    this.#waiting.length = 0;
    this.#forgetGauge?.();
    await this.#unsubscribe?.().catch(this.#parts.onError); // the store may be away
    await this.#claiming?.catch(() => {}); // told already
    if (this.#looking > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#parts.store.release(this.#owner).catch(this.#parts.onError); // its lease runs out by itself
  }

  /** Called by whoever has changed something of this deployment, once it is committed. */
  changed(changed: Changed): void {
    this.#tell(changed, "asked");
    this.poke(changed.id);
  }

  /** There is something new to see of a deployment: whoever carries it need not wait. */
  look(id: string): void {
    const held = this.#held.get(id);
    if (held) this.#wake(held);
  }

  /** Looks at this deployment, or for new ones, without waiting for the time. */
  poke(id?: string): void {
    const held = id === undefined ? undefined : this.#held.get(id);
    if (held) this.#wake(held);
    else if (this.#state === "running") void this.#claim().catch(this.#parts.onError);
  }

  /** Calls back with every change of a deployment on any node. Returns its end. */
  onChanged(listener: (changed: Changed) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell({ tenant, id }: Changed, what: "asked" | "seen"): void {
    if (this.#state !== "running") return;
    // A hint: who does not get it looks a little later. Told once for as long as the store is away.
    this.#parts.kv.publish(CHANNEL, `${tenant} ${id} ${what}`).then(
      () => {
        this.#isHintLost = false;
      },
      (error) => {
        if (!this.#isHintLost) this.#parts.onError(error);
        this.#isHintLost = true;
      },
    );
  }

  /**
   * From any node, this one included. What an engine has seen is news for watchers; what was asked for, for engines.
   */
  #hear(changed: Changed, isAsked: boolean): void {
    for (const listener of this.#listeners) listener(changed);
    const held = isAsked ? this.#held.get(changed.id) : undefined;
    if (held) this.#wake(held);
  }

  #every(name: string, ms: number, work: () => Promise<void>): void {
    if (this.#state !== "running") return;
    const again = () => this.#every(name, ms, work);
    const timer = this.#parts.clock.after(ms, () => void work().catch(this.#parts.onError).then(again));
    this.#timers.set(name, timer);
  }

  /** One at a time; who comes during one is content with it, as the next follows soon. */
  #claim(): Promise<void> {
    this.#claiming ??= this.#claimNow().finally(() => (this.#claiming = undefined));
    return this.#claiming;
  }

  async #claimNow(): Promise<void> {
    const { store, settings } = this.#parts;
    const room = Math.min(CLAIM_MAX, settings.heldMax - this.#held.size);
    if (room <= 0 || this.#state !== "running") return;
    const claimed = await store.claim(this.#owner, settings.leaseMs, room);
    for (const row of claimed) this.#take(row);
  }

  #take(row: DeploymentRow): void {
    this.#held.get(row.id)?.timer?.cancel();
    const run = new Run(
      {
        ...this.#parts,
        targetOf: (kind) => this.#targets.get(kind),
        onChange: ({ tenant_id: tenant, id }) => this.#tell({ tenant, id }, "seen"),
      },
      row,
    );
    const held: Held = { run, timer: undefined, isLooking: false, again: false };
    this.#held.set(row.id, held);
    this.#wake(held);
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0) return;
    const { store, settings } = this.#parts;
    const before = [...this.#held];
    const renewed = await store.renew(this.#owner, settings.leaseMs);
    const ours = new Set(renewed);
    for (const [id, held] of before) if (!ours.has(id)) this.#drop(id, held);
  }

  #drop(id: string, held: Held): void {
    held.timer?.cancel();
    if (this.#held.get(id) === held) this.#held.delete(id);
  }

  #wake(held: Held): void {
    if (this.#state !== "running") return;
    held.timer?.cancel();
    held.timer = undefined;
    if (held.isLooking) held.again = true;
    else if (!this.#waiting.includes(held)) this.#waiting.push(held);
    this.#lookAround();
  }

  #lookAround(): void {
    while (this.#looking < CONCURRENCY && this.#waiting.length > 0) {
      const held = this.#waiting.shift()!;
      this.#looking += 1;
      held.isLooking = true;
      held.again = false;
      void this.#look(held)
        .catch(this.#parts.onError)
        .finally(() => {
          this.#looking -= 1;
          if (this.#looking === 0) this.#idle?.();
          this.#lookAround();
        });
    }
  }

  async #look(held: Held): Promise<void> {
    const next = await held.run.look().finally(() => (held.isLooking = false));
    if (next === "gone") {
      this.#drop(held.run.id, held);
      this.poke(); // what waited for it
      return;
    }
    if (this.#state !== "running" || this.#held.get(held.run.id) !== held) return;
    if (held.again || next <= 0) return this.#wake(held);
    held.timer = this.#parts.clock.after(next, () => this.#wake(held));
  }

  async #sweep(): Promise<void> {
    const { healthDays, historyDays } = this.#parts.settings;
    await this.#parts.store.sweep(healthDays, historyDays);
  }

  #setGauges(): void {
    for (const one of this.#carried.values()) one.count = 0;
    for (const { run } of this.#held.values()) {
      const { kind, strategy } = run;
      const one = this.#carried.get(`${kind} ${strategy}`) ?? { kind, strategy, count: 0 };
      this.#carried.set(`${kind} ${strategy}`, { ...one, count: one.count + 1 });
    }
    for (const { count, ...labels } of this.#carried.values())
      this.#parts.metrics.gauge("active_deployments").labels(labels).set(count);
  }
}
