/**
 * What instances say, on its way to SQL. A heartbeat is answered at once; what it said is written with that of all
 * the others a moment later, in one statement for each kind of row, so that every node comes to know it. Until then
 * it is in memory, and later words of an instance replace earlier ones, so that there is never more than one of each.
 * That it was heard of at all is in less of a hurry than what it said, and waits for longer.
 * What is lost with the node is said again: an instance tells the whole of its state with each heartbeat.
 *
 * A registration waits until it is written.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Service } from "../core/lifecycle.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import * as rows from "./reports.sql.ts";

export interface ReportsOptions {
  sql: Sql;
  clock: Clock;
  instancesMax: number;
  /** A version must be run for so long before its instance counts as sound. */
  provingMs: number;
  /** The instance is not as it was remembered: it has changed at this time, or is gone. */
  onChanged(tenant: string, id: string, changedAt: Date | undefined): void;
  onError(error: unknown): void;
}

interface Waiting {
  registration: rows.Registration;
  resolve(row: rows.RegisteredRow): void;
  reject(error: unknown): void;
}

class Batch {
  readonly registrations = new Map<string, Waiting[]>();
  sightings = new Map<string, rows.Sighting>();
  readonly states = new Map<string, rows.StateReport>();
  readonly counts = new Map<string, rows.Count>();
  readonly answers = new Map<string, rows.TrialAnswer>();

  isDue(withSightings: boolean): boolean {
    const { registrations, sightings, states, counts, answers } = this;
    const others = registrations.size + states.size + counts.size + answers.size;
    return others > 0 || (withSightings && sightings.size > 0);
  }

  addState(report: rows.StateReport): void {
    const key = keyOf(report.tenant, report.instance, report.config);
    const before = this.states.get(key);
    if (!before) return void this.states.set(key, report);
    const { running = before.running, refused = before.refused } = report;
    // Applied after it was refused: it is not refused any more.
    const still = refused && refused.version !== report.running ? refused : undefined;
    this.states.set(key, { ...report, running, refused: report.refused ?? still });
  }

  addCount(count: rows.Count): void {
    const { tenant, config, deployment, cohort, metric } = count;
    const key = keyOf(tenant, config, deployment, cohort, metric);
    this.counts.set(key, { ...count, by: count.by + (this.counts.get(key)?.by ?? 0) });
  }

  /** They are not written with the rest of `batch`. */
  keepSightings(batch: Batch): void {
    [this.sightings, batch.sightings] = [batch.sightings, this.sightings];
  }

  /** What could not be written, beneath what has come since. */
  takeBack({ sightings, states, counts, answers }: Batch): void {
    for (const [key, sighting] of sightings) if (!this.sightings.has(key)) this.sightings.set(key, sighting);
    const later = [...this.states.values()];
    this.states.clear();
    for (const report of [...states.values(), ...later]) this.addState(report);
    for (const count of counts.values()) this.addCount(count);
    for (const [key, answer] of answers) if (!this.answers.has(key)) this.answers.set(key, answer);
  }
}

/** Names of all kinds have no line ends. */
const keyOf = (first: string, second: string, ...others: readonly string[]) =>
  others.length === 0 ? `${first}\n${second}` : `${first}\n${second}\n${others.join("\n")}`;

const delayMs = 200;
/** Or a quarter of a heartbeat. */
const seenDelayMs = 1_000;
const registrationDelayMs = 5;
const retryMs = 1_000;

export class Reports implements Service {
  readonly name = "configuration reports";
  readonly #options: ReportsOptions;
  #batch = new Batch();
  #timer: Timer | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  /** Monotonic; when sightings are to be written that wait now. */
  #seenDueAt = Number.POSITIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  /** Monotonic; since when writing has succeeded without a break. */
  #soundSince: number;
  #failed = false;

  constructor(options: ReportsOptions) {
    this.#options = options;
    this.#soundSince = options.clock.monotonic();
  }

  async start(): Promise<void> {
    this.#soundSince = this.#options.clock.monotonic();
  }

  async stop(): Promise<void> {
    await this.flush().catch(this.#options.onError);
    this.#timer?.cancel();
  }

  /** For so long nothing that instances said was lost or late: who was silent in this time was silent. */
  get soundMs(): number {
    return this.#failed ? 0 : this.#options.clock.monotonic() - this.#soundSince;
  }

  /** Throws `instances_full`. */
  register(registration: rows.Registration): Promise<rows.RegisteredRow> {
    const key = keyOf(registration.tenant, registration.id);
    return new Promise((resolve, reject) => {
      const waiting = this.#batch.registrations.get(key) ?? [];
      waiting.push({ registration, resolve, reject });
      this.#batch.registrations.set(key, waiting);
      this.#arm(registrationDelayMs);
    });
  }

  seen(sighting: rows.Sighting): void {
    const { sightings } = this.#batch;
    if (sightings.size === 0) {
      const { clock, provingMs } = this.#options;
      const delayMs = Math.min(seenDelayMs, provingMs / 12);
      this.#seenDueAt = clock.monotonic() + delayMs;
      this.#arm(delayMs);
    }
    sightings.set(keyOf(sighting.tenant, sighting.id), sighting);
  }

  state(report: rows.StateReport): void {
    this.#batch.addState(report);
    this.#arm(delayMs);
  }

  count(count: rows.Count): void {
    if (count.by > 0) this.#batch.addCount(count);
    this.#arm(delayMs);
  }

  answer(answer: rows.TrialAnswer): void {
    const key = keyOf(answer.tenant, answer.trial, answer.instance);
    if (!this.#batch.answers.has(key)) this.#batch.answers.set(key, answer);
    this.#arm(delayMs);
  }

  /** Resolves when everything said so far is in SQL; `seen`: also when who was heard of. */
  async flush({ seen = true } = {}): Promise<void> {
    await this.#writing.catch(() => {}); // is in the batch again
    if (this.#batch.isDue(seen)) await this.#write(seen);
  }

  #arm(inMs: number): void {
    const { clock, onError } = this.#options;
    const dueAt = clock.monotonic() + inMs;
    if (dueAt >= this.#dueAt) return;
    this.#timer?.cancel();
    this.#dueAt = dueAt;
    this.#timer = clock.after(inMs, () => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#flushDue().catch((error) => {
        if (!this.#failed) onError(error); // told once; how SQL is, /ready says
        this.#failed = true;
        this.#arm(retryMs);
      });
    });
  }

  async #flushDue(): Promise<void> {
    const { clock } = this.#options;
    await this.flush({ seen: clock.monotonic() >= this.#seenDueAt });
    if (this.#batch.sightings.size > 0) this.#arm(Math.max(0, this.#seenDueAt - clock.monotonic()));
  }

  #write(withSightings: boolean): Promise<void> {
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        const batch = this.#batch;
        if (!batch.isDue(withSightings)) return;
        this.#batch = new Batch();
        if (!withSightings) this.#batch.keepSightings(batch);
        try {
          await this.#writeBatch(batch);
        } catch (error) {
          for (const { reject } of [...batch.registrations.values()].flat()) reject(error);
          this.#batch.takeBack(batch);
          throw error;
        }
        if (this.#failed) this.#soundSince = this.#options.clock.monotonic();
        this.#failed = false;
      });
    return this.#writing;
  }

  async #writeBatch(batch: Batch): Promise<void> {
    const { sql, provingMs, onChanged } = this.#options;
    const { registrations, sightings, states, counts, answers } = batch;
    const full = new HotSwapError(
      "instances_full",
      `A tenant may have ${this.#options.instancesMax} instances here.`,
    );
    const { registered, changed } = await sql.system(async (tx: DeliveryTx) => {
      if (registrations.size === 0) await rows.commitWithoutWaiting(tx);
      const last = [...registrations.values()].map((waiting) => waiting.at(-1)!.registration);
      const fitting = last.length > 0 ? await this.#fitting(tx, last) : [];
      const registered = fitting.length > 0 ? await rows.registerInstances(tx, fitting, provingMs) : [];
      const changed = sightings.size > 0 ? await rows.touchInstances(tx, [...sightings.values()]) : [];
      if (states.size > 0) await rows.writeStates(tx, [...states.values()]);
      if (counts.size > 0) await rows.addCounts(tx, [...counts.values()]);
      if (answers.size > 0) await rows.writeAnswers(tx, [...answers.values()]);
      return { registered, changed };
    });
    for (const row of registered) {
      const key = keyOf(row.tenant, row.id);
      for (const { resolve } of registrations.get(key) ?? []) resolve(row);
      registrations.delete(key);
    }
    for (const { reject } of [...registrations.values()].flat()) reject(full);
    for (const { tenant, id, changed_at } of changed) onChanged(tenant, id, changed_at ?? undefined);
  }

  /** Those that are there already, and of the new ones as many as there is room for. */
  async #fitting(tx: DeliveryTx, given: readonly rows.Registration[]): Promise<rows.Registration[]> {
    const found = await rows.findRegistered(tx, given);
    const known = new Set(found.map(({ tenant, id }) => keyOf(tenant, id)));
    if (known.size === given.length) return [...given];
    const counts = await rows.countInstances(tx, [...new Set(given.map(({ tenant }) => tenant))]);
    return given.filter(({ tenant, id }) => {
      if (known.has(keyOf(tenant, id))) return true;
      const count = (counts.get(tenant) ?? 0) + 1;
      counts.set(tenant, count);
      return count <= this.#options.instancesMax;
    });
  }
}
