/**
 * The store of the engine in memory, for the simulation: the same promises as SqlStore (store.ts), with every write
 * held against what must be so whatever nodes do. A `lie` leaves one of the promises out, to see that it is noticed.
 */
import type { Gates } from "./decide.ts";
import { aheadOf, groupAllows, groupOf, laterOf } from "./gates.ts";
import { type Event, fold, isEnded } from "./state.ts";
import {
  type Beside,
  type DeploymentStore,
  type Loaded,
  MovedOn,
  TargetTaken,
  type Written,
} from "./store.ts";
import type { DeploymentRow } from "./tables.ts";

export type StoreLie = "seq";

interface Stored {
  readonly seq: number;
  readonly epoch: number;
  readonly at: number;
  readonly event: Event;
}

export class Database {
  readonly rows = new Map<string, DeploymentRow>();
  readonly events = new Map<string, Stored[]>();
  /** By target: the highest generation, and what the last deployment left in force. */
  readonly targets = new Map<string, { generation: number; settled?: { at: number; row: DeploymentRow } }>();
  readonly freezes: { from: number; to: number }[] = [];
  onEvent: (row: DeploymentRow, event: Event) => void = () => {};
  readonly #now: () => number;
  readonly #lies: readonly StoreLie[];

  constructor(now: () => number, lies: readonly StoreLie[]) {
    this.#now = now;
    this.#lies = lies;
  }

  insert(row: DeploymentRow): void {
    this.rows.set(row.id, row);
    this.events.set(row.id, []);
    this.append(row, [{ type: "created" }]);
  }

  get open(): DeploymentRow[] {
    return [...this.rows.values()].filter((row) => !isEnded(row));
  }

  load({ id, epoch }: DeploymentRow): Loaded | undefined {
    const row = this.rows.get(id)!;
    if (row.epoch !== epoch || isEnded(row)) return undefined;
    return { row, gates: this.#gates(row), now: this.#now() };
  }

  #gates(row: DeploymentRow): Gates {
    const now = this.#now();
    const ofTarget = this.open.filter(({ target }) => target === row.target);
    const members = this.othersOf(row);
    const isFrozen = this.freezes.some(({ from, to }) => from <= now && now < to);
    const ahead = row.state.startedAt === undefined ? aheadOf(row, ofTarget) : undefined;
    return {
      approval: "given",
      schedule: undefined,
      freeze: isFrozen ? "It is Friday." : undefined,
      queue: ahead && `Deployment ${ahead.id} is under way.`,
      dependency: { state: "met", detail: "" },
      group: groupOf(members),
      mayRollBack: laterOf(row, members) === undefined,
    };
  }

  othersOf({ group_id: group, id }: DeploymentRow): DeploymentRow[] {
    if (group === null) return [];
    return [...this.rows.values()].filter((other) => other.group_id === group && other.id !== id);
  }

  append(
    row: DeploymentRow,
    events: readonly Event[],
    { beside = {}, now = this.#now() }: { beside?: Beside; now?: number } = {},
  ): Written {
    const before = this.rows.get(row.id)!;
    if ((before.seq !== row.seq || before.epoch !== row.epoch) && !this.#lies.includes("seq"))
      throw new MovedOn();
    const state = events.reduce((folded, event) => fold(folded, event, now), row.state);
    const occupies = state.startedAt !== undefined && !isEnded(state);
    const after: DeploymentRow = {
      ...{ ...before, ...beside, state, status: state.status, occupies, seq: row.seq + events.length },
      ...(isEnded(state) && { lease_owner: null, lease_until: null, ended_at: new Date(now) }),
    };
    const other = [...this.rows.values()].find(
      ({ id, target, occupies }) => id !== row.id && target === row.target && occupies,
    );
    if (occupies && other) throw new TargetTaken();
    if (isEnded(before)) broken(`${row.id} has ended and goes on with ${events.map(({ type }) => type)}`);
    this.rows.set(row.id, after);
    for (const [index, event] of events.entries()) this.#keep(after, event, row.seq + index + 1, now);
    for (const event of events) this.onEvent(after, event);
    return { row: after, events, now };
  }

  #keep({ id, epoch }: DeploymentRow, event: Event, seq: number, at: number): void {
    const log = this.events.get(id)!;
    const last = log.at(-1) ?? { seq: 0, epoch: 0, at: 0 };
    if (seq !== last.seq + 1) broken(`${id}: event ${seq} follows ${last.seq}`);
    if (epoch < last.epoch) broken(`${id}: epoch ${epoch} writes after ${last.epoch}`);
    if (at < last.at) broken(`${id}: time goes back`);
    log.push({ seq, epoch, at, event });
  }

  save({ row, now }: Loaded, events: readonly Event[], beside: Beside): Written {
    if (!groupAllows(row, events, this.othersOf(row))) throw new MovedOn();
    const settled = this.targets.get(row.target)?.settled;
    const isStart = events.some(({ type }) => type === "started");
    const isOld = isStart && settled && settled.at > row.created_at.getTime();
    const from = isOld ? { version_from: settled.row.version_from } : {};
    return this.append(row, events, { beside: { ...beside, ...from }, now });
  }

  expose(row: DeploymentRow, bound: number): Written {
    const target = this.targets.get(row.target) ?? { generation: 0 };
    const generation = target.generation + 1;
    const written = this.append(row, [{ type: "exposed", bound, generation }]);
    this.targets.set(row.target, { ...target, generation });
    return written;
  }

  end(row: DeploymentRow, version: "from" | "to"): Written {
    const status = version === "to" ? "succeeded" : "rolled_back";
    const written = this.append(row, [{ type: "ended", status }]);
    const inForce = version === "to" ? row.version_to : row.version_from;
    const { generation = 0 } = this.targets.get(row.target) ?? {};
    const settled = { at: this.#now(), row: { ...row, version_from: inForce } };
    this.targets.set(row.target, { generation, settled });
    return written;
  }

  claim(owner: string, leaseMs: number, limit: number): DeploymentRow[] {
    const now = this.#now();
    const isFree = ({ lease_until }: DeploymentRow) => lease_until === null || lease_until.getTime() <= now;
    return this.open
      .filter(isFree)
      .slice(0, limit)
      .map((row) => {
        const epoch = row.lease_owner === owner ? row.epoch : row.epoch + 1;
        const claimed = { ...row, epoch, lease_owner: owner, lease_until: new Date(now + leaseMs) };
        this.rows.set(row.id, claimed);
        return claimed;
      });
  }

  renew(owner: string, leaseMs: number): string[] {
    const ours = this.open.filter(({ lease_owner }) => lease_owner === owner);
    for (const row of ours) this.rows.set(row.id, { ...row, lease_until: new Date(this.#now() + leaseMs) });
    return ours.map(({ id }) => id);
  }

  release(owner: string): void {
    for (const row of this.rows.values())
      if (row.lease_owner === owner) this.rows.set(row.id, { ...row, lease_owner: null, lease_until: null });
  }
}

/** What must never be. */
export class Broken extends Error {}

export function broken(what: string): never {
  throw new Broken(what);
}

/** As one node reaches it. */
export function storeOf(
  database: Database,
  call: <Value>(boundary: string, work: () => Value) => Promise<Value>,
): DeploymentStore {
  return {
    load: (row) => call("load", () => database.load(row)),
    save: (loaded, events, beside) => call("save", () => database.save(loaded, events, beside)),
    expose: (row, bound) => call("expose", () => database.expose(row, bound)),
    append: (row, events) => call("append", () => database.append(row, events)),
    end: (row, version) => call("end", () => database.end(row, version)),
    claim: (owner, leaseMs, limit) => call("claim", () => database.claim(owner, leaseMs, limit)),
    renew: (owner, leaseMs) => call("renew", () => database.renew(owner, leaseMs)),
    release: (owner) => call("release", () => database.release(owner)),
    breakGlass: async () => false,
    sweep: async () => {},
  };
}
