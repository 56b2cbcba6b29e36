/**
 * Seeded histories of deployments by the product's own engine (engine.ts, run.ts, decide.ts) on one to three nodes,
 * over a store in memory with the transactions of the real one, a target with its fence, and units that apply,
 * refuse, end or say nothing. Nodes are killed and frozen before and after each call that leaves them, people ask for
 * things, clocks disagree. What must never be is checked at every write; at the end everything must have become what
 * it becomes when nobody disturbs it.
 *
 *   node src/deployment/simulation.ts                       10,000 histories from a random seed
 *   SEED=42 HISTORIES=1 node src/deployment/simulation.ts   replays one, with its events
 *
 * A history is a pure function of its seed.
 */
import { HotSwapError, hasCode } from "../core/errors.ts";
import { type Random, seededRandom } from "../core/random.ts";
import { Metrics } from "../platform/telemetry/index.ts";
import { Engine } from "./engine.ts";
import { isCommitted } from "./gates.ts";
import { policyOf } from "./judge/policy.ts";
import { endOf, type Outcome } from "./simulation.end.ts";
import { type Asked, type Planned, type Schedule, scheduleOf } from "./simulation.schedule.ts";
import { broken, Database, type StoreLie, storeOf } from "./simulation.store.ts";
import { SimulatedTarget, targetOf, versionOf } from "./simulation.target.ts";
import { type Fault, Node, World } from "./simulation.world.ts";
import { type Event, fold, initial, isEnded, type State } from "./state.ts";
import { MovedOn, TargetTaken } from "./store.ts";
import type { DeploymentRow } from "./tables.ts";

export interface SimulationOptions {
  /** What does not keep its promise: to see whether the simulation notices. */
  lie?: StoreLie | "fence";
  trace?: (line: string) => void;
}

export interface Stats {
  deployments: number;
  events: number;
  calls: number;
  kills: number;
  freezes: number;
  takeovers: number;
  refused: number;
  fenced: number;
  rolledBack: number;
  /** By call and moment, how often a node ended there. */
  readonly boundaries: Map<string, number>;
}

const leaseMs = 5_000;
const pollMs = 900;
const limitMs = 30 * 60_000;
/** Of two calls, and of what the poll waits for. */
const slackMs = 100;

class History {
  readonly #schedule: Schedule;
  readonly #faults: readonly Fault[];
  readonly #random: Random;
  readonly #world: World;
  readonly #database: Database;
  readonly #targets = new Map<string, SimulatedTarget>();
  readonly #qualities = new Map<string, Planned["quality"]>();
  readonly #plans = new Map<string, Planned>();
  readonly #nodes: { node: Node; engine: Engine }[] = [];
  readonly #stats: Stats;
  readonly #trace: (line: string) => void;
  #calls = 0;
  readonly #callsOf = new Map<string, number>();
  #ids = 0;
  #owners = 0;
  #asking = 0;
  #outageUntil = 0;
  #problem: unknown;

  constructor(
    seed: number,
    schedule: Schedule,
    isDisturbed: boolean,
    stats: Stats,
    options: SimulationOptions,
  ) {
    this.#schedule = schedule;
    this.#faults = isDisturbed ? schedule.faults : [];
    this.#random = seededRandom(seed ^ (isDisturbed ? 0x5eed : 0));
    this.#stats = stats;
    this.#trace = options.trace ?? (() => {});
    this.#world = new World(this.#random);
    const { lie } = options;
    this.#database = new Database(() => this.#world.now, lie && lie !== "fence" ? [lie] : []);
    this.#database.onEvent = (row, event) => this.#happened(row, event);
    for (const { target } of schedule.first) {
      const qualityOf = (version: string) => this.#qualities.get(version)!;
      const simulated = new SimulatedTarget(
        target,
        schedule.inventory,
        () => this.#world.now,
        qualityOf,
        lie === "fence",
      );
      simulated.current = "v1";
      for (const { id, delayMs } of schedule.units) simulated.join(id, delayMs);
      this.#targets.set(target, simulated);
    }
  }

  async run(): Promise<Outcome> {
    for (const planned of this.#schedule.first) this.#create(planned);
    const count = this.#faults.length > 0 ? this.#schedule.nodes : 1;
    for (let i = 0; i < count; i++) await this.#startNode();
    const isOver = () =>
      this.#problem !== undefined || (this.#database.open.length === 0 && this.#asking === 0);
    const isDone = await this.#world.run(isOver, limitMs);
    if (isDone && this.#problem === undefined) {
      // Those that are frozen thaw, and may do no harm.
      const last = Math.max(...this.#nodes.map(({ node }) => node.frozenUntil), this.#world.now);
      await this.#world.run(() => this.#problem !== undefined, last - this.#world.now + 2_000);
    }
    for (const { node } of this.#nodes) node.kill();
    if (this.#problem !== undefined) throw this.#problem;
    if (!isDone) broken(`it does not end: ${this.#database.open.map(describe)}`);
    const { isGroup } = this.#schedule;
    this.#stats.deployments += this.#database.rows.size;
    for (const { status } of this.#database.rows.values())
      if (status === "rolled_back") this.#stats.rolledBack += 1;
    return endOf({ database: this.#database, targets: this.#targets, plans: this.#plans, isGroup });
  }

  // Nodes

  async #startNode(): Promise<void> {
    const index = this.#owners++;
    const { skewsMs } = this.#schedule;
    const node = new Node(this.#world, this.#faults.length > 0 ? skewsMs[index % skewsMs.length]! : 0);
    const call = <Value>(boundary: string, work: () => Value) => this.#call(node, boundary, work);
    const engine = new Engine({
      store: storeOf(this.#database, call),
      clock: node.clock,
      random: this.#random,
      traces: { enabled: false, span: (_name, _options, work) => work(), record: () => {} },
      metrics,
      onError: (error) => this.#heard(error),
      kv: { subscribe: async () => async () => {}, publish: async () => {} },
      makeId: () => `node-${index}`,
      settings: { leaseMs, pollMs, heldMax: 100, healthDays: 1, historyDays: 1 },
    });
    engine.register(targetOf(this.#targets, call));
    this.#nodes.push({ node, engine });
    void engine.start();
  }

  #call<Value>(node: Node, boundary: string, work: () => Value): Promise<Value> {
    const nth = this.#callsOf.get(boundary) ?? 0;
    const fault = this.#faults.find(
      ({ of, call }) => call === (of === "any" ? this.#calls : of === boundary ? nth : -1),
    );
    this.#calls += 1;
    this.#callsOf.set(boundary, nth + 1);
    this.#stats.calls += 1;
    if (this.#calls > 20_000) this.#fail(`it goes round and round: ${this.#database.open.map(describe)}`);
    const strike = (when: Fault["when"]) => {
      if (fault?.when === when) this.#strike(node, fault, boundary);
    };
    const attempt = () => {
      if (this.#world.now < this.#outageUntil) throw new HotSwapError("store_unavailable", "It is away.");
      return this.#checked(work);
    };
    return node.call(
      attempt,
      () => strike("before"),
      () => strike("after"),
    );
  }

  /** What is broken ends the history, whoever catches it. */
  #checked<Value>(work: () => Value): Value {
    try {
      return work();
    } catch (error) {
      if (error instanceof MovedOn || error instanceof TargetTaken) this.#stats.refused += 1;
      else if (hasCode(error, "deployment_fenced")) this.#stats.fenced += 1;
      else this.#problem ??= error;
      throw error;
    }
  }

  #strike(node: Node, { kind, when, forMs }: Fault, boundary: string): void {
    if (!node.isAlive || node.isFrozen) return;
    const { boundaries } = this.#stats;
    const key = `${kind} ${when} ${boundary}`;
    boundaries.set(key, (boundaries.get(key) ?? 0) + 1);
    this.#trace(`        ${key} for ${forMs} ms`);
    if (kind === "outage") {
      this.#outageUntil = this.#world.now + forMs;
      return;
    }
    if (kind === "freeze") {
      this.#stats.freezes += 1;
      node.freeze(forMs);
    } else {
      this.#stats.kills += 1;
      node.kill();
      this.#world.after(forMs, () => void this.#startNode());
    }
    if (kind === "kill" || forMs > leaseMs + 1_000 + slackMs) this.#expectTakeover(node);
  }

  /** What it held is held by another within a lease and a second, when there is another the whole time. */
  #expectTakeover(gone: Node): void {
    const index = this.#nodes.findIndex(({ node }) => node === gone);
    const held = this.#database.open.filter(({ lease_owner }) => lease_owner === `node-${index}`);
    const witnesses = this.#nodes.filter(({ node }) => node.isAlive && !node.isFrozen);
    const until = this.#world.now + leaseMs + 1_000 + slackMs;
    this.#world.after(until - this.#world.now, () => {
      const isFit = ({ node }: { node: Node }) =>
        node.isAlive && node.frozenUntil < until - leaseMs - 1_000 - slackMs;
      if (!witnesses.some(isFit) || this.#outageUntil > until - leaseMs - 1_000 - slackMs) return;
      for (const { id } of held) {
        const row = this.#database.rows.get(id)!;
        if (!isEnded(row) && row.lease_owner === `node-${index}`) this.#fail(`nobody took ${id} over`);
        this.#stats.takeovers += 1;
      }
    });
  }

  #heard(error: unknown): void {
    const isExpected =
      error instanceof MovedOn || hasCode(error, "store_unavailable") || hasCode(error, "deployment_fenced");
    if (!isExpected) this.#problem ??= error;
  }

  #fail(what: string): void {
    this.#problem ??= new Error(what);
  }

  // People

  #create(planned: Planned): void {
    const id = `d${++this.#ids}`;
    const now = new Date(this.#world.now);
    const { version, target, strategy, failureBudget, onInconclusive, onInsufficient } = planned;
    this.#qualities.set(version, planned.quality);
    this.#plans.set(id, planned);
    const { inventory, isGroup } = this.#schedule;
    const group = isGroup ? "group" : null;
    this.#database.insert({
      ...{ tenant_id: "t", id, kind: "config", target, environment: null, strategy: strategy.strategy },
      ...{ status: "pending", occupies: false, version_from: versionOf(this.#targets.get(target)!.current!) },
      spec: {
        ...{ summary: id, inventory, seed: `seed of ${id}`, strategy, failureBudget, requires: [] },
        ...{ needsApproval: false, analysis: { ...analysis, onInconclusive, onInsufficient } },
      },
      ...{
        version_to: versionOf(version),
        state: initial,
        seq: 0,
        epoch: 0,
        group_id: group,
        group_name: group,
      },
      ...{ progress: null, judge: null, verdicts: [], cursor: null, trouble: null, trace: null },
      ...{ freeze_override: null, created_by: "somebody", created_at: now, started_at: null, ended_at: null },
      ...{ wake_at: now, lease_owner: null, lease_until: null },
    });
    this.#poke(id);
    if (this.#schedule.isTimed)
      for (const asked of planned.asks) this.#later(asked.at, () => this.#ask(id, asked));
  }

  #later(delayMs: number, work: () => void): void {
    this.#asking += 1;
    this.#world.after(delayMs, () => {
      this.#asking -= 1;
      try {
        this.#checked(work);
      } catch {
        // is the history's problem now
      }
    });
  }

  #happened(row: DeploymentRow, event: Event): void {
    this.#stats.events += 1;
    this.#trace(
      `${this.#world.now % 1e7} ${row.id} ${row.seq} @${row.epoch} ${JSON.stringify(event).slice(0, 160)}`,
    );
    if (
      event.type === "held" &&
      (event.reason === "manual" || event.reason === "inconclusive") &&
      !event.detail?.startsWith("by")
    )
      this.#later(700, () => this.#tell(row.id, { type: "promoted", by: "somebody", full: false }));
    if (event.type !== "step" || this.#schedule.isTimed) return;
    // At once, but in a transaction of its own.
    for (const asked of this.#plans.get(row.id)!.asks)
      if (asked.at === event.index) this.#later(0, () => this.#ask(row.id, asked));
  }

  #ask(id: string, asked: Asked): void {
    const row = this.#database.rows.get(id)!;
    this.#trace(`${this.#world.now % 1e7} ${id} ${JSON.stringify(asked).slice(0, 100)}`);
    const target = this.#targets.get(row.target)!;
    const by = "somebody";
    switch (asked.ask) {
      case "pause":
        this.#tell(id, { type: "held", reason: "manual", detail: "by somebody" });
        this.#later(asked.resumeAfterMs, () => this.#tell(id, { type: "released", reason: "manual", by }));
        break;
      case "promote":
        this.#tell(id, { type: "promoted", by, full: asked.full });
        break;
      case "rollback":
        this.#tell(id, { type: "rollback", cause: "manual", reason: "somebody wants it", by });
        break;
      case "supersede":
        this.#create(asked.next);
        this.#tell(id, { type: "rollback", cause: "superseded", reason: "a newer one", by });
        break;
      case "queue":
        this.#create(asked.next);
        break;
      case "freeze":
        this.#database.freezes.push({ from: this.#world.now, to: this.#world.now + asked.forMs });
        break;
      case "join":
        target.join(asked.unit, 100);
        break;
      case "leave":
        target.leave(asked.unit);
        break;
    }
  }

  /** As a route does: on the row as it is, whoever holds it. */
  #tell(id: string, event: Event): void {
    const row = this.#database.rows.get(id)!;
    if (fold(row.state, event, this.#world.now) === row.state) return;
    if (event.type === "rollback" && isCommitted(row, this.#database.othersOf(row))) return;
    this.#database.append(row, [event]);
    this.#poke(id);
  }

  /** The node that was asked knows at once. */
  #poke(id: string): void {
    const awake = this.#nodes.filter(({ node }) => node.isAlive && !node.isFrozen);
    if (awake.length > 0) awake[this.#random.below(awake.length)]!.engine.poke(id);
  }
}

const describe = ({ id, state }: DeploymentRow) =>
  `${id} ${JSON.stringify({ ...state, plan: state.plan.map(({ kind }) => kind) } as unknown as State)}`;
const metrics = new Metrics();
const analysis = policyOf({ minRequests: 20, warmUpSeconds: 0 });

export const nothing = (): Stats => ({
  ...{ deployments: 0, events: 0, calls: 0, kills: 0, freezes: 0, takeovers: 0, refused: 0, fenced: 0 },
  ...{ rolledBack: 0, boundaries: new Map() },
});

/** Throws when anything is broken; the message says what, the caller knows the seed. */
export async function simulate(
  seed: number,
  options: SimulationOptions = {},
  stats = nothing(),
): Promise<Stats> {
  const schedule = scheduleOf(seed);
  const disturbed = await new History(seed, schedule, true, stats, options).run();
  if (schedule.isTimed) return stats;
  const trace = options.trace;
  trace?.("undisturbed");
  const undisturbed = await new History(seed, schedule, false, nothing(), trace ? { trace } : {}).run();
  const [one, other] = [JSON.stringify(disturbed), JSON.stringify(undisturbed)];
  if (one !== other) broken(`it ended as ${one}, undisturbed as ${other}`);
  return stats;
}

if (import.meta.main) {
  const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const histories = Number(process.env.HISTORIES ?? 10_000);
  const stats = nothing();
  const trace = histories === 1 ? { trace: (line: string) => void process.stdout.write(`${line}\n`) } : {};
  const started = performance.now();
  let seed = first;
  try {
    for (; seed < first + histories; seed++) await simulate(seed, trace, stats);
  } catch (error) {
    process.stderr.write(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n`);
    process.exitCode = 1;
  }
  const seconds = (performance.now() - started) / 1000;
  const boundaries = Object.fromEntries([...stats.boundaries].sort());
  process.stdout.write(
    `${JSON.stringify({ first, histories: seed - first, seconds, ...stats, boundaries }, undefined, 1)}\n`,
  );
}
