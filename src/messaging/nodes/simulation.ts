/**
 * Ownership under seeded schedules: nodes whose clocks run apart and whose every message may be late or lost, that
 * freeze in the middle of anything and wake up; a database whose clock jumps; a log that refuses by epoch. The nodes
 * run the code that servers run (Tenancy); roll and log are the rules of roll.ts and redis.scripts.ts in memory.
 *
 *     HISTORIES=100000 node src/messaging/nodes/simulation.ts      SEED=42 HISTORIES=1 replays one, with its trace
 *
 * What must hold, whatever happens:
 * - an epoch of a unit is given to one session, once
 * - the log takes appends of the largest epoch only, and what it takes is dense and in the order of epochs
 * - what was acknowledged is in the log at the end, where the receipt says
 * - while the database's clock does not jump, no two sessions may serve a unit at the same moment
 * - when faults end, the unit is served again within five seconds
 */
import { type Random, seededRandom } from "../../core/random.ts";
import { holds, marginShare, Tenancy, type Tenure } from "./tenancy.ts";
import type { Unit } from "./unit.ts";

const leaseMs = 3000;
const beatMs = 750;
const lookMs = 500;
const unit: Unit = { tenant: "t", topic: "a" };
const calmMs = 5000;

/** What is left out, to see that its absence is noticed: the log's fence, or that a node minds its lease. */
export type Lie = "fence" | "lease";

export interface Outcome {
  acknowledged: number;
  refused: number;
  takeovers: number;
  /** Moments at which two nodes were sure to own the unit; only ever after a jump of the database's clock. */
  overlaps: number;
  trace: string[];
}

interface Event {
  at: number;
  order: number;
  run: () => void;
}

interface Append {
  epoch: number;
  base: number;
  message: number;
}

/** The roll's rules: see roll.ts. */
class SimulatedRoll {
  readonly sessions = new Map<string, { heartbeatAt: number; isDead: boolean }>();
  owner: { session: string; epoch: number } | undefined;
  readonly given = new Map<number, string>();

  enter(id: string, now: number): void {
    this.sessions.set(id, { heartbeatAt: now, isDead: false });
  }

  beat(id: string, now: number): boolean {
    const session = this.sessions.get(id);
    if (!session || session.isDead || now - session.heartbeatAt >= leaseMs) return false;
    session.heartbeatAt = now;
    return true;
  }

  mark(now: number): void {
    for (const session of this.sessions.values()) {
      if (now - session.heartbeatAt >= leaseMs) session.isDead = true;
    }
  }

  /** Claims when nobody owns it; says who does. */
  claim(id: string, now: number): { session: string; epoch: number } | undefined {
    this.mark(now);
    const me = this.sessions.get(id);
    const holder = this.owner && this.sessions.get(this.owner.session);
    if (holder && !holder.isDead) return this.owner;
    if (!me || me.isDead) return this.owner;
    this.owner = { session: id, epoch: (this.owner?.epoch ?? 0) + 1 };
    if (this.given.has(this.owner.epoch)) throw new Error(`epoch ${this.owner.epoch} was given twice`);
    this.given.set(this.owner.epoch, id);
    return this.owner;
  }
}

/** The log's rules: see redis.scripts.ts. */
class SimulatedLog {
  epoch = 0;
  readonly #isFenced: boolean;
  readonly records: (Append & { under: number })[] = [];

  open(epoch: number): number | undefined {
    if (epoch < this.epoch) return undefined;
    this.epoch = epoch;
    return this.records.length;
  }

  constructor(isFenced: boolean) {
    this.#isFenced = isFenced;
  }

  append(append: Append): "fine" | "fenced" | "elsewhere" {
    if (this.#isFenced && append.epoch !== this.epoch) return "fenced";
    if (append.base !== this.records.length) return "elsewhere";
    this.records.push({ ...append, under: this.epoch });
    return "fine";
  }
}

class SimulatedNode {
  readonly #world: World;
  readonly #name: string;
  readonly #speed: number;
  readonly #offset: number;
  readonly tenancy: Tenancy;
  frozenUntil = 0;
  #sessions = 0;
  /** Of the open log, under the tenure. */
  #open: { tenure: Tenure; end: number } | undefined;
  #isAppending = false;

  constructor(world: World, index: number) {
    this.#world = world;
    this.#name = `n${index}`;
    // Clocks run apart by less than the margin between any two of node and database.
    this.#speed = 1 + (world.random.number() - 0.5) * marginShare;
    this.#offset = world.random.number() * 1e6;
    this.tenancy = new Tenancy(world.lie === "lease" ? 3 * leaseMs : leaseMs);
  }

  /** This node's monotonic clock. */
  get now(): number {
    return this.#offset + this.#world.now * this.#speed;
  }

  start(): void {
    this.#enter();
    this.#every(beatMs, () => this.#beat());
    this.#every(lookMs, () => this.#look());
  }

  /** Whether it would answer for the unit at this moment. */
  get serves(): boolean {
    return this.#open !== undefined && holds(this.#open.tenure, this.now);
  }

  publish(message: number): void {
    const open = this.#open;
    if (open && holds(open.tenure, this.now) && !this.#isAppending) this.#append(open, message);
    else this.#world.refuse();
  }

  #append(open: { tenure: Tenure; end: number }, message: number): void {
    this.#isAppending = true;
    const append = { epoch: open.tenure.epoch, base: open.end, message };
    // However late it arrives, also after the node is long dead to the others.
    this.#world.send(
      this,
      () => this.#world.log.append(append),
      (outcome) => {
        this.#isAppending = false;
        if (outcome === "fine") {
          open.end = append.base + 1;
          return this.#world.acknowledge(append);
        }
        this.#world.refuse();
        this.tenancy.yield(open.tenure);
        if (this.#open === open) this.#open = undefined;
      },
      () => {
        // No answer: it asks anew what is there before it appends again.
        this.#isAppending = false;
        if (this.#open === open) this.#open = undefined;
        this.tenancy.yield(open.tenure);
      },
    );
  }

  #every(periodMs: number, work: () => void): void {
    this.#world.after(periodMs / this.#speed, this, () => {
      work();
      this.#every(periodMs, work);
    });
  }

  #enter(): void {
    const id = `${this.#name}.${++this.#sessions}`;
    const askedAt = this.now;
    this.#open = undefined;
    this.tenancy.end();
    this.#world.send(
      this,
      () => this.#world.roll.enter(id, this.#world.databaseNow),
      () => this.tenancy.begin(id, askedAt),
    );
  }

  #beat(): void {
    const { session } = this.tenancy;
    if (session) this.#prolong(session.id);
    else this.#enter();
  }

  #prolong(id: string): void {
    const askedAt = this.now;
    this.#world.send(
      this,
      () => this.#world.roll.beat(id, this.#world.databaseNow),
      (alive) => {
        if (alive) this.tenancy.prolong(id, askedAt);
        else if (this.tenancy.session?.id === id) this.#enter();
      },
    );
  }

  #look(): void {
    const { session } = this.tenancy;
    if (!session || !this.tenancy.isValid(this.now) || this.tenancy.get(unit)) return;
    this.#world.send(
      this,
      () => this.#world.roll.claim(session.id, this.#world.databaseNow),
      (owner) => {
        if (owner?.session !== session.id) return;
        const tenure = this.tenancy.grant(session.id, unit, owner.epoch);
        if (tenure) this.#openLog(tenure);
      },
    );
  }

  #openLog(tenure: Tenure): void {
    this.#world.send(
      this,
      () => this.#world.log.open(tenure.epoch),
      (end) => {
        if (end === undefined || tenure.isOver) return this.tenancy.yield(tenure);
        this.#open = { tenure, end };
        this.#world.took(`${tenure.session.id} serves under ${tenure.epoch} from ${end}`);
      },
      () => this.tenancy.yield(tenure),
    );
  }
}

class World {
  now = 0;
  databaseNow = 0;
  readonly random: Random;
  readonly roll = new SimulatedRoll();
  readonly log: SimulatedLog;
  readonly lie: Lie | undefined;
  readonly acknowledged: Append[] = [];
  readonly outcome: Outcome = { acknowledged: 0, refused: 0, takeovers: 0, overlaps: 0, trace: [] };
  isCalm = false;
  #databaseJump = 0;
  readonly #events: Event[] = [];
  #order = 0;

  constructor(seed: number, lie: Lie | undefined) {
    this.random = seededRandom(seed);
    this.lie = lie;
    this.log = new SimulatedLog(lie !== "fence");
  }

  get hasJumped(): boolean {
    return this.#databaseJump !== 0;
  }

  jump(byMs: number): void {
    this.#databaseJump += byMs;
    this.outcome.trace.push(`${Math.round(this.now)} the database's clock jumps by ${Math.round(byMs)} ms`);
  }

  note(text: string): void {
    this.outcome.trace.push(`${Math.round(this.now)} ${text}`);
  }

  took(text: string): void {
    this.outcome.takeovers += 1;
    this.note(text);
  }

  refuse(): void {
    this.outcome.refused += 1;
  }

  acknowledge(append: Append): void {
    this.outcome.acknowledged += 1;
    this.acknowledged.push(append);
  }

  /** At that time, or when the node that is to run it has woken up. */
  after(delayMs: number, node: SimulatedNode | undefined, work: () => void): void {
    const run = () => {
      if (node && this.now < node.frozenUntil) return this.after(node.frozenUntil - this.now, node, work);
      work();
    };
    this.#push({ at: this.now + delayMs, order: this.#order++, run });
  }

  /** A request and its answer, either of which may be late; without an answer `lost` runs, much later. */
  send<Answer>(
    node: SimulatedNode,
    request: () => Answer,
    answered: (answer: Answer) => void,
    lost: () => void = () => {},
  ): void {
    const isLost = !this.isCalm && this.random.number() < 0.03;
    const arrives = !isLost || this.random.number() < 0.5;
    if (arrives) {
      this.after(this.#delay(), undefined, () => {
        const answer = request();
        if (!isLost) this.after(this.#delay(), node, () => answered(answer));
      });
    }
    if (isLost) this.after(2000, node, lost);
  }

  run(untilMs: number, eachStep: () => void): void {
    for (;;) {
      const next = this.#events[0];
      if (!next || next.at > untilMs) break;
      this.#pop();
      this.now = next.at;
      this.databaseNow = this.now + this.#databaseJump;
      next.run();
      eachStep();
    }
    this.now = untilMs;
    this.databaseNow = this.now + this.#databaseJump;
  }

  #delay(): number {
    if (this.isCalm) return this.random.number() * 5;
    // Most are quick; some take longer than a lease.
    return this.random.number() < 0.9 ? this.random.number() * 30 : this.random.number() * 5000;
  }

  #push(event: Event): void {
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order);

/** One history; throws at the first thing that must not be. The same for the same seed. */
export function simulate(seed: number, lie?: Lie): Outcome {
  const world = new World(seed, lie);
  const { random } = world;
  const nodes = Array.from({ length: 2 + random.below(2) }, (_, index) => new SimulatedNode(world, index));
  const faultyMs = 15_000 + random.below(15_000);
  const jumps = random.number() < 0.3;
  for (const node of nodes) world.after(random.number() * 100, node, () => node.start());
  let messages = 0;
  const publish = () => {
    nodes[random.below(nodes.length)]!.publish(messages++);
    world.after(20 + random.number() * 100, undefined, publish);
  };
  publish();
  for (let i = 0; i < 6; i++) {
    world.after(random.number() * faultyMs, undefined, () =>
      freeze(world, nodes[random.below(nodes.length)]!),
    );
  }
  if (jumps)
    world.after(random.number() * faultyMs, undefined, () => world.jump((random.number() - 0.3) * 20_000));
  const check = () => {
    const serving = nodes.filter((node) => node.serves && world.now >= node.frozenUntil).length;
    if (serving < 2) return;
    world.outcome.overlaps += 1;
    if (!world.hasJumped)
      throw new Error(`seed ${seed}: two nodes serve the unit at ${Math.round(world.now)}`);
  };
  world.run(faultyMs, check);
  world.isCalm = true;
  for (const node of nodes) node.frozenUntil = 0;
  // What was on the way before may still come; a jump back of the clock lengthens leases by as much.
  world.run(faultyMs + 25_000, check);
  const acknowledged = world.outcome.acknowledged;
  world.run(faultyMs + 25_000 + calmMs, check);
  if (world.outcome.acknowledged === acknowledged) throw new Error(`seed ${seed}: nobody serves the unit`);
  judge(world, seed);
  return world.outcome;
}

function freeze(world: World, node: SimulatedNode): void {
  const forMs = world.random.number() * 8000;
  node.frozenUntil = Math.max(node.frozenUntil, world.now + forMs);
  world.note(`a node freezes for ${Math.round(forMs)} ms`);
}

function judge(world: World, seed: number): void {
  const { records } = world.log;
  for (const [offset, record] of records.entries()) {
    if (record.base !== offset)
      throw new Error(`seed ${seed}: offset ${offset} holds what was meant for ${record.base}`);
    if (record.epoch !== record.under) throw new Error(`seed ${seed}: an old epoch wrote at ${offset}`);
    if (!world.roll.given.has(record.epoch))
      throw new Error(`seed ${seed}: epoch ${record.epoch} was never given`);
  }
  for (const { base, message, epoch } of world.acknowledged) {
    const stored = records[base];
    if (stored?.message !== message || stored.epoch !== epoch) {
      throw new Error(`seed ${seed}: message ${message} was acknowledged at ${base} and is not there`);
    }
  }
}

if (import.meta.main) {
  const histories = Number(process.env.HISTORIES ?? 10_000);
  const first = Number(process.env.SEED ?? Math.floor(performance.timeOrigin) % 1_000_000_000);
  const sum = { acknowledged: 0, refused: 0, takeovers: 0, overlaps: 0 };
  for (let seed = first; seed < first + histories; seed++) {
    const outcome = simulate(seed);
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += outcome[name];
    if (histories === 1) process.stdout.write(`${outcome.trace.join("\n")}\n`);
  }
  process.stdout.write(`${histories} histories from seed ${first}: ${JSON.stringify(sum)}\n`);
}
