/**
 * A pattern as an automaton: its NFA (Thompson) is made at once, the states of the DFA only as texts lead to
 * them. Matching is linear in the text, whatever the pattern: a character costs a look into a table, or at
 * worst a walk over the NFA, whose size is bounded. The same automaton answers questions about the language
 * (compatibility/strings.ts), which no engine of a library offers.
 *
 * `test` means what JSON Schema means: the pattern may match anywhere, so the start state is added at every
 * position, and the first match decides.
 */
import { type CharSet, has, pairsOf, wordCharacters } from "./charset.ts";
import { type Assertion, PatternError, parsePattern, type Regex } from "./parse.ts";

const nfaMax = 3000;
/** Cells of the DFA's tables that are kept; beyond it they are made anew, which stays linear. */
const cellsMax = 1 << 20;
const dfaMax = 4000;

type NfaState =
  | { kind: "set"; set: CharSet; next: number }
  | { kind: "split"; next: number[] }
  | { kind: "assertion"; assertion: Assertion; next: number }
  | { kind: "match" };

/** What stands before the position: decides assertions. */
type Before = 0 | 1 | 2; // at the start, after a word character, after another

interface DfaState {
  kernel: readonly number[];
  before: Before;
  /** By class of the next character; -1 is not known yet. */
  next: Int32Array;
  /** Whether the text may end here; undefined is not known yet. */
  ends: boolean | undefined;
}

/** Told of work beyond a look into the table, so that a caller can bound it. */
export interface Meter {
  spend(steps: number): void;
}

const unmetered: Meter = { spend: () => {} };

/** The state from which everything matches, whatever comes. */
export const matched = 0;
/** The state from which nothing matches any more. */
export const dead = 1;
const start = 2;

let automata = 0;

export class Automaton {
  /** Unique in this thread. */
  readonly id = ++automata;
  readonly source: string;
  /** Lower ends of the ranges that the pattern tells apart, ascending, beginning with 0. */
  readonly boundaries: readonly number[];
  readonly #nfa: readonly NfaState[];
  readonly #start: number;
  readonly #meter: Meter;
  readonly #ascii = new Uint16Array(128);
  /** Grows when the DFA is made anew: states from before mean nothing then. */
  generation = 0;
  #states: DfaState[] = [];
  #byKey = new Map<string, number>();

  /** Throws PatternError. */
  constructor(source: string, regex: Regex = parsePattern(source), meter: Meter = unmetered) {
    this.source = source;
    this.#meter = meter;
    const builder = new NfaBuilder();
    const match = builder.add({ kind: "match" });
    this.#start = builder.compile(regex, match);
    this.#nfa = builder.states;
    const points = new Set([0]);
    const sets = this.#nfa.flatMap((state) => (state.kind === "set" ? [state.set] : []));
    if (this.#nfa.some(({ kind }) => kind === "assertion")) sets.push(wordCharacters);
    for (const [low, high] of sets.flatMap(pairsOf)) points.add(low).add(high + 1);
    this.boundaries = [...points].filter((point) => point <= 0x10ffff).sort((a, b) => a - b);
    for (let point = 0; point < 128; point++) this.#ascii[point] = this.#findClass(point);
    this.#reset();
  }

  /** As a RegExp writes itself, which is what the library tells patterns apart by. */
  toString(): string {
    return `/${this.source}/u`;
  }

  /** Linear in the length of the text. */
  test(text: string): boolean {
    let state = start;
    for (let i = 0; i < text.length; i++) {
      let point = text.charCodeAt(i);
      if (point >= 0xd800 && point < 0xdc00) {
        point = text.codePointAt(i)!;
        if (point > 0xffff) i += 1;
      }
      state = this.step(state, point);
      if (state === matched) return true;
      if (state === dead) return false;
    }
    return this.endsIn(state);
  }

  get start(): number {
    return start;
  }

  step(state: number, point: number): number {
    if (state < start) return state;
    const kind = point < 128 ? this.#ascii[point]! : this.#findClass(point);
    const from = this.#states[state]!;
    const known = from.next[kind]!;
    return known >= 0 ? known : this.#makeStep(from, kind, point);
  }

  /** Whether a text that led to this state matches when it ends here. */
  endsIn(state: number): boolean {
    if (state < start) return state === matched;
    const from = this.#states[state]!;
    from.ends ??= this.#closure(from, undefined).includes(-1);
    return from.ends;
  }

  #findClass(point: number): number {
    let low = 0;
    let high = this.boundaries.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.boundaries[middle]! <= point) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #makeStep(from: DfaState, kind: number, point: number): number {
    const kernel = new Set<number>();
    let next: number | undefined;
    for (const index of this.#closure(from, point)) {
      if (index === -1) {
        next = matched;
        break;
      }
      const state = this.#nfa[index]!;
      if (state.kind === "set" && has(state.set, point)) kernel.add(state.next);
    }
    next ??= this.#intern(
      [...kernel].sort((a, b) => a - b),
      has(wordCharacters, point) ? 1 : 2,
    );
    from.next[kind] = next;
    return next;
  }

  /** NFA states that can be entered here without a character, -1 among them when the match is complete. */
  #closure({ kernel, before }: DfaState, point: number | undefined): number[] {
    const seen = new Set<number>();
    const stack = [...kernel, this.#start];
    const found: number[] = [];
    while (stack.length > 0) {
      const index = stack.pop()!;
      if (seen.has(index)) continue;
      seen.add(index);
      const state = this.#nfa[index]!;
      if (state.kind === "match") found.push(-1);
      else if (state.kind === "set") found.push(index);
      else if (state.kind === "split") stack.push(...state.next);
      else if (holds(state.assertion, before, point)) stack.push(state.next);
    }
    this.#meter.spend(seen.size);
    return found;
  }

  #intern(kernel: number[], before: Before): number {
    const anchored = kernel.length === 0 && this.#isAnchored;
    if (anchored) return dead;
    const key = `${before}:${kernel.join()}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const classes = this.boundaries.length;
    if (this.#states.length >= Math.min(dfaMax, cellsMax / classes)) this.#reset();
    const next = new Int32Array(classes).fill(-1);
    const made = this.#states.push({ kernel, before, next, ends: undefined }) - 1;
    this.#byKey.set(key, made);
    return made;
  }

  #reset(): void {
    const none: DfaState = { kernel: [], before: 0, next: new Int32Array(0), ends: undefined };
    const first = { ...none, next: new Int32Array(this.boundaries.length).fill(-1) };
    this.#states = [none, none, first];
    this.#byKey = new Map([["0:", start]]);
    this.generation += 1;
  }

  /** Whether a match can begin at the start of the text only. */
  get #isAnchored(): boolean {
    this.#anchored ??= ([1, 2] as const).every((before) =>
      [0x61, 0x20, undefined].every((point) => {
        const later = { kernel: [], before, next: new Int32Array(0), ends: undefined };
        return this.#closure(later, point).length === 0;
      }),
    );
    return this.#anchored;
  }

  #anchored: boolean | undefined;
}

/** Exactly this text. */
export function literal(text: string): Regex {
  const items: Regex[] = [...text].map((character) => {
    const point = character.codePointAt(0)!;
    return { type: "set", set: [point, point] };
  });
  const end: Regex = { type: "assertion", kind: "end" };
  return { type: "sequence", items: [{ type: "assertion", kind: "start" }, ...items, end] };
}

function holds(assertion: Assertion, before: Before, point: number | undefined): boolean {
  if (assertion === "start") return before === 0;
  if (assertion === "end") return point === undefined;
  const wordBefore = before === 1;
  const wordAfter = point !== undefined && has(wordCharacters, point);
  return (wordBefore !== wordAfter) === (assertion === "word");
}

class NfaBuilder {
  readonly states: NfaState[] = [];

  add(state: NfaState): number {
    if (this.states.length >= nfaMax)
      throw new PatternError(
        "is too large once its repetitions are written out; use minLength and maxLength",
      );
    return this.states.push(state) - 1;
  }

  /** The state from which `regex` leads to `next`. */
  compile(regex: Regex, next: number): number {
    switch (regex.type) {
      case "set":
        return this.add({ kind: "set", set: regex.set, next });
      case "assertion":
        return this.add({ kind: "assertion", assertion: regex.kind, next });
      case "sequence":
        return regex.items.reduceRight((after, item) => this.compile(item, after), next);
      case "choice":
        return this.add({ kind: "split", next: regex.items.map((item) => this.compile(item, next)) });
      case "repeat":
        return this.#repeat(regex, next);
    }
  }

  #repeat({ item, min, max }: Extract<Regex, { type: "repeat" }>, next: number): number {
    let after = next;
    if (max === Number.POSITIVE_INFINITY) {
      const loop: NfaState = { kind: "split", next: [next] };
      after = this.add(loop);
      loop.next.push(this.compile(item, after));
    } else {
      for (let i = min; i < max; i++) {
        after = this.add({ kind: "split", next: [next, this.compile(item, after)] });
      }
    }
    for (let i = 0; i < min; i++) after = this.compile(item, after);
    return after;
  }
}
