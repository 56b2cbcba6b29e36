/**
 * What a measured stretch yields: a latency histogram, a ledger of the messages seen, and CPU time from /proc.
 * The histogram is log-linear like HdrHistogram: 64 steps per power of two, so a value read back is at most
 * 1.6 % off, in constant memory. Linux only, because CPU time is read per process tree.
 */
import { readdirSync, readFileSync } from "node:fs";

const stepBits = 6;
const steps = 1 << stepBits;

/** Counts durations in whole microseconds, from 0 to about one hour. */
export class Histogram {
  readonly #counts = new Uint32Array(steps * 27);
  #total = 0;

  record(milliseconds: number): void {
    const value = Math.max(0, Math.round(milliseconds * 1000));
    const shift = Math.max(0, 31 - Math.clz32(value) - stepBits);
    const index = Math.min(this.#counts.length - 1, shift * steps + (value >>> shift));
    this.#counts[index]! += 1;
    this.#total += 1;
  }

  get total(): number {
    return this.#total;
  }

  /** The duration in milliseconds that `share` (0..1) of the records do not exceed; 0 when empty. */
  quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let index = 0; index < this.#counts.length; index++) {
      left -= this.#counts[index]!;
      if (left <= 0 && this.#total > 0) return upperBound(index) / 1000;
    }
    return 0;
  }
}

/** Values below 128 µs have a bucket each; bucket `steps·(shift+1) + k` covers `(steps + k) << shift`. */
function upperBound(index: number): number {
  const shift = Math.max(0, Math.floor(index / steps) - 1);
  return (index - shift * steps + 1) * 2 ** shift - 1;
}

/** Which message numbers have been confirmed or consumed: finds what is missing and counts repeats. */
export class Ledger {
  readonly #seen: Uint8Array;
  distinct = 0;
  repeated = 0;

  constructor(capacity: number) {
    this.#seen = new Uint8Array(capacity);
  }

  mark(number: number): void {
    if (!(number >= 0 && number < this.#seen.length)) throw new Error(`a message nobody sent: ${number}`);
    if (this.#seen[number]) this.repeated += 1;
    else this.distinct += 1;
    this.#seen[number] = 1;
  }
}

const ticksPerSecond = 100; // USER_HZ, fixed by the kernel's ABI

interface Stat {
  readonly parent: number;
  readonly ticks: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    // utime, stime, and those of children that have already been waited for.
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return { parent: Number(fields[1]), ticks };
  } catch {
    return undefined; // the process ended between listing and reading
  }
}

/** CPU seconds used so far by a process and all its descendants. */
export function cpuSecondsOfTree(root: number): number {
  const stats = new Map<number, Stat>();
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? statOf(Number(entry)) : undefined;
    if (stat) stats.set(Number(entry), stat);
  }
  let ticks = 0;
  for (const [pid, stat] of stats) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== root) ancestor = stats.get(ancestor)?.parent;
    if (ancestor === root) ticks += stat.ticks;
  }
  return ticks / ticksPerSecond;
}

/** CPU seconds the whole machine has been busy, time stolen by the hypervisor included, waiting for disk not. */
export function cpuSecondsOfMachine(): number {
  const fields = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]!.trim().split(/\s+/).slice(1);
  const [user, nice, system, , , irq, softirq, steal] = fields.map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / ticksPerSecond;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
