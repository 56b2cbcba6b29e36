/**
 * Sets of code points as sorted, disjoint, closed ranges in one flat array: [low, high, low, high, …]. All of
 * Unicode but the surrogates, which are no characters.
 */
export type CharSet = readonly number[];

const last = 0x10ffff;
const surrogates: CharSet = [0xd800, 0xdfff];

/** Sorts, merges what touches, and leaves the surrogates out. */
export function charSet(ranges: readonly (readonly [number, number])[]): CharSet {
  return subtract(merge(ranges), surrogates);
}

function merge(ranges: readonly (readonly [number, number])[]): CharSet {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const set: number[] = [];
  for (const [low, high] of sorted) {
    const end = set.length - 1;
    if (end > 0 && low <= set[end]! + 1) set[end] = Math.max(set[end]!, high);
    else set.push(low, high);
  }
  return set;
}

export const pairsOf = (set: CharSet): [number, number][] =>
  Array.from({ length: set.length / 2 }, (_, i) => [set[2 * i]!, set[2 * i + 1]!]);

export function union(...sets: readonly CharSet[]): CharSet {
  return merge(sets.flatMap(pairsOf));
}

export function complement(set: CharSet): CharSet {
  return subtract([0, last], union(set, surrogates));
}

function subtract(from: CharSet, set: CharSet): CharSet {
  const result: number[] = [];
  for (const [low, high] of pairsOf(from)) {
    let start = low;
    for (const [cutLow, cutHigh] of pairsOf(set)) {
      if (cutHigh < start || cutLow > high) continue;
      if (cutLow > start) result.push(start, cutLow - 1);
      start = cutHigh + 1;
    }
    if (start <= high) result.push(start, high);
  }
  return result;
}

export function has(set: CharSet, point: number): boolean {
  let low = 0;
  let high = set.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (point < set[2 * middle]!) high = middle - 1;
    else if (point > set[2 * middle + 1]!) low = middle + 1;
    else return true;
  }
  return false;
}

export const everything: CharSet = charSet([[0, last]]);
export const digits: CharSet = charSet([[0x30, 0x39]]);
export const wordCharacters: CharSet = charSet([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
/** WhiteSpace and LineTerminator of ECMA-262. */
export const whiteSpace: CharSet = charSet([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
export const lineEnds: CharSet = charSet([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]);

const properties = new Map<string, CharSet>();
let allText: string | undefined;

/** The set of a property escape such as `\p{L}`; throws SyntaxError when the engine does not know it. */
export function unicodeProperty(sought: string): CharSet {
  const known = properties.get(sought);
  if (known) return known;
  const runs = new RegExp(`${sought}+`, "gu");
  allText ??= pairsOf(everything).map(textOf).join("");
  const ranges: [number, number][] = [];
  for (const [run] of allText.matchAll(runs)) {
    let start = run.codePointAt(0)!;
    let before = start - 1;
    for (const character of run) {
      const point = character.codePointAt(0)!;
      if (point !== before + 1) {
        ranges.push([start, before]);
        start = point;
      }
      before = point;
    }
    ranges.push([start, before]);
  }
  const set = charSet(ranges);
  if (properties.size < 64) properties.set(sought, set);
  return set;
}

function textOf([low, high]: readonly [number, number]): string {
  let text = "";
  for (let point = low; point <= high; point++) text += String.fromCodePoint(point);
  return text;
}
