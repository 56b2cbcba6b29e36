/**
 * JSON as RFC 8259 has it, strictly, with the place of every value. The language's own parser says neither where a
 * value stands nor that a member came twice or a number lost digits.
 */
import type { Json } from "../../core/json.ts";
import {
  below,
  exactNumber,
  type Limits,
  nodesMax,
  type Parsed,
  Places,
  refuseName,
  refuseText,
  tooDeep,
  Unreadable,
} from "./format.ts";

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
// The inside of a string up to its end, an escape or what may not be there.
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 §7 names exactly these
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const spacePattern = /[ \t\n\r]*/y;
const words: Readonly<Record<string, Json>> = { true: true, false: false, null: null };
const escapes: Readonly<Record<string, string>> = {
  ...{ '"': '"', "\\": "\\", "/": "/" },
  ...{ b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" },
};

export function parseJsonText(text: string, limits: Limits): Parsed {
  const reader = new Reader(text, limits);
  return { value: reader.document(), locate: reader.places.locate };
}

class Reader {
  readonly places: Places;
  readonly #text: string;
  readonly #depthMax: number;
  #at = 0;
  #nodes = 0;

  constructor(text: string, limits: Limits) {
    this.places = new Places(text);
    this.#text = text;
    this.#depthMax = limits.depth;
  }

  document(): Json {
    this.#space();
    const value = this.#value("", 0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong("there is more after the end of the document");
    return value;
  }

  #value(pointer: string, depth: number): Json {
    this.places.set(pointer, this.#at);
    if (++this.#nodes > nodesMax) throw this.#wrong(`has more than ${nodesMax} values`, pointer);
    const first = this.#text[this.#at];
    if (first === "{" || first === "[") {
      if (depth >= this.#depthMax) throw tooDeep(this.#depthMax, this.#place(), pointer);
      return first === "{" ? this.#object(pointer, depth + 1) : this.#list(pointer, depth + 1);
    }
    if (first === '"') return this.#string(pointer);
    const number = this.#match(numberPattern);
    if (number !== "") {
      const start = this.#at - number.length;
      return exactNumber(number, () => this.places.offsetAt(start), pointer);
    }
    for (const [word, value] of Object.entries(words)) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    throw this.#wrong(
      first === undefined ? "the text ends too early" : `${shown(first)} begins no value`,
      pointer,
    );
  }

  #object(pointer: string, depth: number): Json {
    const members: { [name: string]: Json } = {};
    this.#at += 1;
    this.#space();
    if (this.#take("}")) return members;
    for (;;) {
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#wrong("a member begins with its name in quotes", pointer);
      const name = this.#string(pointer);
      const inner = below(pointer, name);
      const place = () => this.places.offsetAt(start);
      refuseName(name, place, inner);
      if (Object.hasOwn(members, name)) throw new Unreadable("is there twice", place(), inner);
      this.#space();
      if (!this.#take(":")) throw this.#wrong("a colon is missing after the name", inner);
      this.#space();
      members[name] = this.#value(inner, depth);
      this.#space();
      if (this.#take("}")) return members;
      if (!this.#take(",")) throw this.#wrong("a comma or } is missing", pointer);
      this.#space();
    }
  }

  #list(pointer: string, depth: number): Json {
    const items: Json[] = [];
    this.#at += 1;
    this.#space();
    if (this.#take("]")) return items;
    for (;;) {
      items.push(this.#value(below(pointer, items.length), depth));
      this.#space();
      if (this.#take("]")) return items;
      if (!this.#take(",")) throw this.#wrong("a comma or ] is missing", pointer);
      this.#space();
    }
  }

  #string(pointer: string): string {
    const start = this.#at;
    this.#at += 1;
    let value = "";
    for (;;) {
      value += this.#match(plainPattern);
      const next = this.#text[this.#at];
      if (next === '"') break;
      if (next !== "\\") {
        const what = next === undefined ? "the text ends inside of a string" : "must be written as an escape";
        throw this.#wrong(what, pointer);
      }
      value += this.#escape(pointer);
    }
    this.#at += 1;
    refuseText(value, () => this.places.offsetAt(start), pointer);
    return value;
  }

  #escape(pointer: string): string {
    const letter = this.#text[this.#at + 1] ?? "";
    const hex = this.#text.slice(this.#at + 2, this.#at + 6);
    if (letter === "u" && /^[0-9a-fA-F]{4}$/.test(hex)) {
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    const value = escapes[letter];
    if (value === undefined) throw this.#wrong("is no escape of JSON", pointer);
    this.#at += 2;
    return value;
  }

  #space(): void {
    this.#match(spacePattern);
  }

  #take(mark: string): boolean {
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #place() {
    return this.places.offsetAt(this.#at);
  }

  #wrong(message: string, pointer = ""): Unreadable {
    return new Unreadable(message, this.#place(), pointer);
  }
}

const shown = (mark: string) => JSON.stringify(mark);
