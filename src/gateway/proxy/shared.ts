/**
 * What all workers must know of a backend, in memory that they share. Counts of what a worker has open have a cell
 * per worker, written by it alone, so a worker that dies takes nothing with it: its cells are zeroed. Health, breaker
 * and ejection are one cell per backend for everybody; the state machines beside this file change them with
 * compare-and-exchange.
 *
 * Slots are given out by the main thread. Times are milliseconds since the proxy started, the same in all threads.
 */

export const SLOTS = 16_384;
const CELLS = 16;
const TIMES = 4;

/** Cells of a backend that everybody shares. */
export const CELL = {
  breakerState: 0,
  breakerFailures: 1,
  breakerPermits: 2,
  breakerSuccesses: 3,
  unhealthy: 4,
  ejected: 5,
  failuresInRow: 6,
  ejections: 7,
} as const;

export const TIME = { breakerUntil: 0, ejectedUntil: 1, usableSince: 2, halfOpenSince: 3 } as const;

export interface SharedMemory {
  readonly cells: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  /** See limits.ts. */
  readonly limits: SharedArrayBuffer;
  readonly workers: number;
}

export function allocateShared(workers: number, limitBytes: number): SharedMemory {
  return {
    cells: new SharedArrayBuffer(SLOTS * CELLS * 4),
    times: new SharedArrayBuffer(SLOTS * TIMES * 8),
    counts: new SharedArrayBuffer(workers * SLOTS * 2 * 4),
    limits: new SharedArrayBuffer(limitBytes),
    workers,
  };
}

/** The shared cells of one backend, as one worker sees them. */
export class BackendCells {
  readonly #cells: Int32Array;
  readonly #times: Float64Array;
  readonly #counts: Int32Array;
  readonly #cellAt: number;
  readonly #timeAt: number;
  readonly #ownAt: number;
  readonly #slot: number;
  readonly #workers: number;

  constructor(memory: SharedMemory, slot: number, worker: number) {
    this.#cells = new Int32Array(memory.cells);
    this.#times = new Float64Array(memory.times);
    this.#counts = new Int32Array(memory.counts);
    this.#cellAt = slot * CELLS;
    this.#timeAt = slot * TIMES;
    this.#ownAt = (worker * SLOTS + slot) * 2;
    this.#slot = slot;
    this.#workers = memory.workers;
  }

  get(cell: number): number {
    return Atomics.load(this.#cells, this.#cellAt + cell);
  }

  set(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#cellAt + cell, value);
  }

  /** Returns what it was before. */
  add(cell: number, value: number): number {
    return Atomics.add(this.#cells, this.#cellAt + cell, value);
  }

  /** True when it was `from` and is `to` now. */
  swap(cell: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#cellAt + cell, from, to) === from;
  }

  time(which: number): number {
    return this.#times[this.#timeAt + which]!;
  }

  setTime(which: number, value: number): void {
    this.#times[this.#timeAt + which] = value;
  }

  /** Requests that this worker has with the backend. */
  addInFlight(change: number): void {
    this.#counts[this.#ownAt]! += change;
  }

  addConnections(change: number): void {
    this.#counts[this.#ownAt + 1]! += change;
  }

  /** Of all workers. */
  get inFlight(): number {
    return this.#sum(0);
  }

  get connections(): number {
    return this.#sum(1);
  }

  #sum(which: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      sum += this.#counts[(worker * SLOTS + this.#slot) * 2 + which]!;
    }
    return sum;
  }
}

/** A worker is gone; what it had open is too. */
export function forgetWorker(memory: SharedMemory, worker: number): void {
  new Int32Array(memory.counts).fill(0, worker * SLOTS * 2, (worker + 1) * SLOTS * 2);
}

/** A slot that begins anew. */
export function clearSlot(memory: SharedMemory, slot: number): void {
  new Int32Array(memory.cells).fill(0, slot * CELLS, (slot + 1) * CELLS);
  new Float64Array(memory.times).fill(0, slot * TIMES, (slot + 1) * TIMES);
}
