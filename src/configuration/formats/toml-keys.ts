/**
 * Where the keys of a TOML text stand, as JSON Pointers. For texts that are known to be right: what it does not
 * understand it steps over. Inside of inline tables and lists nothing is located; what stands there is found by what is
 * around it.
 */
import { below } from "./format.ts";

const bareKey = /[A-Za-z0-9_-]+/y;
const basicString = /"(?:[^"\\]|\\.)*"/y;
const literalString = /'[^']*'/y;
const blank = /[ \t]*/y;
const toLineEnd = /[^\r\n]*/y;

export function locateKeys(text: string): Map<string, number> {
  const found = new Map<string, number>();
  const counts = new Map<string, number>();
  let table = "";
  let at = 0;
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at;
    at += pattern.exec(text)?.[0].length ?? 0;
  };
  /** Dotted keys from here, below `base`; each table on the way is known from now on too. */
  const keys = (base: string): string => {
    let pointer = resolve(base, counts);
    for (;;) {
      skip(blank);
      const start = at;
      const name = readKey(text, at);
      if (!name) return pointer;
      at = name.end;
      pointer = below(pointer, name.key);
      if (!found.has(pointer)) found.set(pointer, start);
      skip(blank);
      if (text[at] !== ".") return pointer;
      pointer = resolve(pointer, counts);
      at += 1;
    }
  };
  while (at < text.length) {
    skip(blank);
    const mark = text[at];
    if (mark === "[") {
      const isList = text[at + 1] === "[";
      const start = at;
      at += isList ? 2 : 1;
      table = keys("");
      if (isList) {
        const index = (counts.get(table) ?? -1) + 1;
        counts.set(table, index);
        table = below(table, index);
        found.set(table, start);
      }
    } else if (mark !== "#" && mark !== "\n" && mark !== "\r" && mark !== undefined) {
      keys(table);
      if (text[at] === "=") at = skipValue(text, at + 1);
    }
    skip(toLineEnd);
    while (text[at] === "\r" || text[at] === "\n") at += 1;
  }
  return found;
}

/** Of a list of tables the last one is meant. */
function resolve(pointer: string, counts: ReadonlyMap<string, number>): string {
  const index = counts.get(pointer);
  return index === undefined ? pointer : below(pointer, index);
}

function readKey(text: string, at: number): { key: string; end: number } | undefined {
  for (const pattern of [bareKey, basicString, literalString]) {
    pattern.lastIndex = at;
    const match = pattern.exec(text)?.[0];
    if (match === undefined) continue;
    return { key: keyText(match), end: at + match.length };
  }
  return undefined;
}

function keyText(written: string): string {
  if (written[0] === "'") return written.slice(1, -1);
  if (written[0] !== '"') return written;
  const hex = (_: string, short?: string, long?: string) =>
    String.fromCodePoint(Number.parseInt(short ?? long!, 16));
  const inside = written.slice(1, -1).replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, hex);
  return inside.replace(
    /\\(.)/g,
    (_, mark: string) => ({ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" })[mark] ?? mark,
  );
}

/** To the end of a value: over strings of any kind, and over lists and inline tables with what is in them. */
function skipValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const mark = text[at]!;
    if (mark === '"' || mark === "'") at = skipString(text, at) - 1;
    else if (mark === "[" || mark === "{") depth += 1;
    else if (mark === "]" || mark === "}") depth -= 1;
    else if (mark === "#") while (at + 1 < text.length && text[at + 1] !== "\n") at += 1;
    else if (mark === "\n" && depth === 0) return at;
  }
  return text.length;
}

function skipString(text: string, at: number): number {
  const quote = text[at]!;
  const triple = quote.repeat(3);
  if (!text.startsWith(triple, at)) {
    const pattern = quote === '"' ? basicString : literalString;
    pattern.lastIndex = at;
    return at + (pattern.exec(text)?.[0].length ?? 1);
  }
  for (let end = at + 3; end < text.length; end++) {
    if (quote === '"' && text[end] === "\\") end += 1;
    else if (text.startsWith(triple, end)) {
      end += 3;
      while (text[end] === quote) end += 1; // up to two quotes may stand before the closing three
      return end;
    }
  }
  return text.length;
}
