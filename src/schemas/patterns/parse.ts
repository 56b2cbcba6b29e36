/**
 * Regular expressions as JSON Schema means them (ECMA-262 with the `u` flag, §22.2.1), as far as they are
 * regular: what needs a memory or looks around (backreferences, lookahead, lookbehind) is refused, because no
 * automaton can take it and a backtracking engine can be made to hang by it.
 */
import {
  type CharSet,
  charSet,
  complement,
  digits,
  lineEnds,
  unicodeProperty,
  union,
  whiteSpace,
  wordCharacters,
} from "./charset.ts";

export type Regex =
  | { type: "set"; set: CharSet }
  | { type: "sequence"; items: Regex[] }
  | { type: "choice"; items: Regex[] }
  /** `max` is Infinity where there is none. */
  | { type: "repeat"; item: Regex; min: number; max: number }
  | { type: "assertion"; kind: Assertion };

export type Assertion = "start" | "end" | "word" | "notWord";

/** Why a pattern cannot be used. */
export class PatternError extends Error {}

const depthMax = 100;
const repeatMax = 1000;

export function parsePattern(source: string): Regex {
  try {
    new RegExp(source, "u"); // the language's own judgement of what is well formed
  } catch (error) {
    throw new PatternError((error as Error).message);
  }
  return new Parser(source).parse();
}

const dot = complement(lineEnds);
const single = (point: number): CharSet => charSet([[point, point]]);
const controls: Record<string, number> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d, "0": 0 };

class Parser {
  readonly #points: string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#points = [...source];
  }

  parse(): Regex {
    const regex = this.#choice();
    if (this.#at < this.#points.length) throw new PatternError(`unexpected ${this.#points[this.#at]}`);
    return regex;
  }

  #choice(): Regex {
    if (++this.#depth > depthMax) throw new PatternError(`is nested deeper than ${depthMax} levels`);
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    this.#depth -= 1;
    return items.length === 1 ? items[0]! : { type: "choice", items };
  }

  #sequence(): Regex {
    const items: Regex[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      items.push(this.#term());
    }
    return items.length === 1 ? items[0]! : { type: "sequence", items };
  }

  #term(): Regex {
    const atom = this.#atom();
    const bounds = this.#quantifier();
    if (!bounds) return atom;
    this.#take("?"); // lazy or greedy is the same to a test
    return { type: "repeat", item: atom, ...bounds };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (!this.#take("{")) return undefined;
    const min = this.#number();
    const max = this.#take(",") ? (this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#number()) : min;
    this.#take("}");
    if (min > repeatMax || (max !== Number.POSITIVE_INFINITY && max > repeatMax))
      throw new PatternError(`repeats more than ${repeatMax} times; say it with minLength and maxLength`);
    return { min, max };
  }

  #number(): number {
    let text = "";
    for (let next = this.#peek(); next !== undefined && /\d/.test(next); next = this.#peek())
      text += this.#next();
    return Number(text);
  }

  #atom(): Regex {
    const next = this.#next();
    switch (next) {
      case "^":
        return { type: "assertion", kind: "start" };
      case "$":
        return { type: "assertion", kind: "end" };
      case ".":
        return { type: "set", set: dot };
      case "(":
        return this.#group();
      case "[":
        return { type: "set", set: this.#class() };
      case "\\":
        return this.#escape();
      default:
        return { type: "set", set: single(next.codePointAt(0)!) };
    }
  }

  #group(): Regex {
    if (this.#take("?")) {
      const kind = this.#next();
      if (kind === "=" || kind === "!") throw new PatternError("uses lookahead, which is not regular");
      if (kind === "<") {
        const name = this.#peek();
        if (name === "=" || name === "!") throw new PatternError("uses lookbehind, which is not regular");
        while (this.#next() !== ">");
      } else if (kind !== ":") throw new PatternError("changes flags, which is not supported");
    }
    const inner = this.#choice();
    this.#take(")");
    return inner;
  }

  #escape(): Regex {
    const next = this.#peek();
    if (next === "b" || next === "B") {
      this.#next();
      return { type: "assertion", kind: next === "b" ? "word" : "notWord" };
    }
    if (next === "k" || (next !== undefined && /[1-9]/.test(next)))
      throw new PatternError("uses a backreference, which is not regular");
    return { type: "set", set: this.#escapedSet() };
  }

  /** After the backslash, in a class or outside. */
  #escapedSet(): CharSet {
    const next = this.#next();
    switch (next) {
      case "d":
        return digits;
      case "D":
        return complement(digits);
      case "w":
        return wordCharacters;
      case "W":
        return complement(wordCharacters);
      case "s":
        return whiteSpace;
      case "S":
        return complement(whiteSpace);
      case "p":
      case "P": {
        let name = "";
        while (!name.endsWith("}")) name += this.#next();
        return unicodeProperty(`\\${next}${name}`);
      }
      case "c":
        return single(this.#next().codePointAt(0)! % 32);
      case "x":
        return single(this.#hex(2));
      case "u":
        return single(this.#unicode());
      default:
        return single(controls[next] ?? next.codePointAt(0)!);
    }
  }

  #unicode(): number {
    if (this.#take("{")) {
      let text = "";
      while (this.#peek() !== "}") text += this.#next();
      this.#next();
      return Number.parseInt(text, 16);
    }
    const unit = this.#hex(4);
    const isHigh = unit >= 0xd800 && unit < 0xdc00;
    if (!isHigh || this.#peek() !== "\\" || this.#points[this.#at + 1] !== "u") return unit;
    const start = this.#at;
    this.#at += 2;
    const low = this.#peek() === "{" ? 0 : this.#hex(4);
    if (low >= 0xdc00 && low < 0xe000) return (unit - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
    this.#at = start;
    return unit;
  }

  #hex(length: number): number {
    const text = this.#points.slice(this.#at, this.#at + length).join("");
    this.#at += length;
    return Number.parseInt(text, 16);
  }

  #class(): CharSet {
    const isNegated = this.#take("^");
    const sets: CharSet[] = [];
    while (!this.#take("]")) {
      const low = this.#classAtom();
      if (this.#peek() === "-" && this.#points[this.#at + 1] !== "]") {
        this.#next();
        const high = this.#classAtom();
        sets.push(charSet([[low.point!, high.point!]]));
      } else sets.push(low.set);
    }
    const set = union(...sets);
    return isNegated ? complement(set) : set;
  }

  #classAtom(): { set: CharSet; point?: number } {
    const next = this.#next();
    if (next !== "\\") return { set: single(next.codePointAt(0)!), point: next.codePointAt(0)! };
    if (this.#take("b")) return { set: single(8), point: 8 };
    if (this.#take("-")) return { set: single(0x2d), point: 0x2d };
    const set = this.#escapedSet();
    return set.length === 2 && set[0] === set[1] ? { set, point: set[0]! } : { set };
  }

  #peek(): string | undefined {
    return this.#points[this.#at];
  }

  #next(): string {
    const next = this.#points[this.#at];
    if (next === undefined) throw new PatternError("ends early");
    this.#at += 1;
    return next;
  }

  #take(text: string): boolean {
    if (this.#points[this.#at] !== text) return false;
    this.#at += 1;
    return true;
  }
}
