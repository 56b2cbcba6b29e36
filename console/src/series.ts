/**
 * The last minutes of some numbers, in memory of this tab: what charts and sparklines draw. Rates are
 * differences of the server's totals over differences of its time, so a late poll does not bend them.
 */
import { signal } from "@preact/signals";

/** Five minutes of one sample a second. */
export const spanSeconds = 300;
/** A longer silence than this is drawn as a gap. */
const gapSeconds = 6;

export type Samples<Name extends string> = Record<Name, number | null>;

export class Series<Name extends string> {
  /** Grows with each sample; reading it subscribes. */
  readonly revision = signal(0);
  readonly names: readonly Name[];
  /** Seconds since the epoch. */
  times: number[] = [];
  readonly #values: Record<Name, (number | null)[]>;

  constructor(names: readonly Name[]) {
    this.names = names;
    this.#values = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
      Name,
      (number | null)[]
    >;
  }

  values(name: Name): (number | null)[] {
    return this.#values[name];
  }

  latest(name: Name): number | null {
    return this.#values[name].at(-1) ?? null;
  }

  add(seconds: number, samples: Samples<Name>): void {
    const last = this.times.at(-1);
    if (last !== undefined && seconds <= last) return;
    if (last !== undefined && seconds - last > gapSeconds) this.#append(last + 0.5, undefined);
    this.#append(seconds, samples);
    const keepFrom = this.times.findIndex((time) => time >= seconds - spanSeconds);
    this.times = this.times.slice(keepFrom);
    for (const name of this.names) this.#values[name] = this.#values[name].slice(keepFrom);
    this.revision.value += 1;
  }

  #append(seconds: number, samples: Samples<Name> | undefined): void {
    this.times.push(seconds);
    for (const name of this.names) this.#values[name].push(samples?.[name] ?? null);
  }
}

/** Turns growing totals into rates per second; null at first, and after a restart or a long silence. */
export class Rates<Name extends string> {
  #seconds = 0;
  #totals: Record<Name, number> | undefined;

  of(seconds: number, totals: Record<Name, number>): Samples<Name> {
    const before = this.#totals;
    const elapsed = seconds - this.#seconds;
    this.#seconds = seconds;
    this.#totals = totals;
    const isKnown = before !== undefined && elapsed > 0 && elapsed <= gapSeconds;
    const rateOf = (name: Name) => {
      const difference = isKnown ? totals[name] - before[name] : -1;
      return difference < 0 ? null : difference / elapsed;
    };
    const names = Object.keys(totals) as Name[];
    return Object.fromEntries(names.map((name) => [name, rateOf(name)])) as Samples<Name>;
  }
}
