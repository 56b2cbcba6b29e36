/**
 * What every format of documents has in common: the text becomes a JSON value, and each place of the value can be
 * found again in the text. Whatever the format, a value is a tree of plain JSON in which no number has lost a digit.
 */
import { HotSwapError } from "../../core/errors.ts";
import { type Json, pointerToken } from "../../core/json.ts";

export const formats = ["json", "yaml", "toml", "properties"] as const;
export type Format = (typeof formats)[number];

/** Both from 1; a column counts UTF-16 units, as editors do. */
export interface Place {
  line: number;
  column: number;
}

export interface Limits {
  textBytes: number;
  depth: number;
}

export interface Parsed {
  value: Json;
  /** Of the value at this JSON Pointer, or of the nearest one around it. */
  locate(pointer: string): Place;
}

/** Values of a document, after aliases have been followed. */
export const nodesMax = 100_000;

/** A document that cannot be read; `pointer` is undefined where the text has no structure yet. */
export class Unreadable extends Error {
  readonly place: Place;
  readonly pointer: string;

  constructor(message: string, place: Place, pointer = "") {
    super(message);
    this.place = place;
    this.pointer = pointer;
  }
}

/** Lines of a text, for turning offsets into places. `\n`, `\r\n` and `\r` end a line. */
export class Lines {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (const { index, 0: end } of text.matchAll(/\r\n|\r|\n/g)) this.#starts.push(index + end.length);
  }

  at(offset: number): Place {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#starts[low]! + 1 };
  }
}

/** Places by pointer, with the fallback that `Parsed.locate` promises. */
export class Places {
  readonly #offsets = new Map<string, number>();
  readonly #lines: Lines;

  constructor(text: string) {
    this.#lines = new Lines(text);
  }

  set(pointer: string, offset: number): void {
    this.#offsets.set(pointer, offset);
  }

  has(pointer: string): boolean {
    return this.#offsets.has(pointer);
  }

  offsetAt = (offset: number): Place => this.#lines.at(offset);

  locate = (pointer: string): Place => {
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const offset = this.#offsets.get(at);
      if (offset !== undefined) return this.#lines.at(offset);
      if (at === "") return { line: 1, column: 1 };
    }
  };
}

export const below = (pointer: string, token: string | number) => `${pointer}/${pointerToken(token)}`;

/** Throws for names and texts that no value may hold. */
export function refuseName(name: string, place: () => Place, pointer: string): void {
  refuseText(name, place, pointer);
  if (name === "__proto__") throw new Unreadable("__proto__ cannot be a name", place(), pointer);
}

/** Halves of surrogate pairs are no characters, and PostgreSQL has no U+0000. */
export function refuseText(text: string, place: () => Place, pointer: string): void {
  if (text.isWellFormed() && !text.includes("\0")) return;
  throw new Unreadable("must be whole characters, and U+0000 is none here", place(), pointer);
}

/** The number that was written, when a double holds it without loss of whole digits. */
export function exactNumber(written: string, place: () => Place, pointer: string): number {
  const value = Number(written);
  if (!Number.isFinite(value)) throw new Unreadable("is larger than a number can be", place(), pointer);
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/.test(written)) {
    throw new Unreadable("is a whole number beyond 2^53; write it as a string", place(), pointer);
  }
  return Object.is(value, -0) ? 0 : value;
}

export function tooDeep(limit: number, place: Place, pointer: string): Unreadable {
  return new Unreadable(`is nested deeper than ${limit} levels`, place, pointer);
}

export function tooLarge(limit: number): HotSwapError {
  return new HotSwapError("config_too_large", `The document may have ${limit} bytes at most.`);
}
