/**
 * Strings: lengths and patterns, decided. Patterns are automata, so "matches these, does not match those, and
 * is so long" is a search through the product of their states: breadth first, so that the text found is a
 * shortest one, and an exhausted search is a proof that there is none.
 */
import { Automaton, dead, literal, matched } from "../patterns/automaton.ts";
import { type Atom, empty, found, type Outcome, unknown } from "./goal.ts";
import type { Work } from "./work.ts";

interface TextGoal {
  /** In code points. */
  min: number;
  max: number;
  matching: Automaton[];
  avoiding: Automaton[];
  excluded: Set<string>;
}

const lengthMax = 10_000;

export function solveString(atoms: readonly Atom[], work: Work): Outcome {
  const goal = textGoalOf(atoms);
  if (goal.min > goal.max) return empty;
  if (goal.matching.some((automaton) => goal.avoiding.includes(automaton))) return empty;
  if (goal.matching.length + goal.avoiding.length === 0) return anyText(goal);
  if (goal.min > lengthMax) return unknown("the text would be too long");
  for (const text of goal.excluded) {
    const isNear = goal.matching.every((automaton) => automaton.test(text));
    if (isNear) goal.avoiding.push(new Automaton(text, literal(text)));
  }
  return search(goal, work);
}

function textGoalOf(atoms: readonly Atom[]): TextGoal {
  const goal: TextGoal = {
    min: 0,
    max: Number.POSITIVE_INFINITY,
    matching: [],
    avoiding: [],
    excluded: new Set(),
  };
  for (const { part, sign } of atoms) {
    if (part.kind === "minLength" && sign) goal.min = Math.max(goal.min, part.value);
    if (part.kind === "minLength" && !sign) goal.max = Math.min(goal.max, Math.ceil(part.value) - 1);
    if (part.kind === "maxLength" && sign) goal.max = Math.min(goal.max, part.value);
    if (part.kind === "maxLength" && !sign) goal.min = Math.max(goal.min, Math.floor(part.value) + 1);
    if (part.kind === "pattern") goal[sign ? "matching" : "avoiding"].push(part.automaton);
    if (part.kind === "values" && !sign)
      for (const value of part.values) if (typeof value === "string") goal.excluded.add(value);
  }
  goal.matching = [...new Set(goal.matching)];
  goal.avoiding = [...new Set(goal.avoiding)];
  return goal;
}

function anyText({ min, max, excluded }: TextGoal): Outcome {
  if (min > lengthMax) return unknown("the text would be too long");
  if (min === 0 && !excluded.has("")) return found("");
  if (max === 0) return empty;
  const length = Math.max(1, Math.ceil(min));
  // One more than are excluded, so one of them is not.
  for (let i = 0; i <= excluded.size; i++) {
    const text = String.fromCodePoint(0x61 + (i % 26), ...(i < 26 ? [] : [0x100 + i])).padEnd(length, "a");
    const fits = [...text].length <= max;
    if (fits && !excluded.has(text)) return found(text);
  }
  const single = String.fromCodePoint(0x4e00 + excluded.size).padEnd(length, "a");
  return excluded.has(single) ? unknown("no text was found that is not excluded") : found(single);
}

interface Node {
  states: readonly number[];
  length: number;
  from: Node | undefined;
  character: string;
}

function search({ min, max, matching, avoiding }: TextGoal, work: Work): Outcome {
  const automata = [...matching, ...avoiding];
  const alphabet = representatives(automata);
  // Beyond this length all lengths are alike.
  const cap = Number.isFinite(max) ? max + 1 : Math.ceil(min);
  const generations = automata.map(({ generation }) => generation);
  const first: Node = {
    states: automata.map(({ start }) => start),
    length: 0,
    from: undefined,
    character: "",
  };
  const seen = new Set([keyOf(first)]);
  const queue = [first];
  for (let at = 0; at < queue.length; at++) {
    const node = queue[at]!;
    if (node.length >= min && isEnd(node.states, automata, matching.length)) return found(textOf(node));
    if (node.length >= max) continue;
    work.spend(alphabet.length);
    for (const point of alphabet) {
      const states = automata.map((automaton, i) => automaton.step(node.states[i]!, point));
      if (isHopeless(states, matching.length)) continue;
      const length = Math.min(node.length + 1, cap);
      const next: Node = { states, length, from: node, character: String.fromCodePoint(point) };
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push(next);
    }
    if (automata.some(({ generation }, i) => generation !== generations[i]))
      return unknown("the patterns have too many states together");
  }
  return empty;
}

const keyOf = ({ states, length }: Node) => `${states.join()};${length}`;

function isHopeless(states: readonly number[], matching: number): boolean {
  return states.some((state, i) => (i < matching ? state === dead : state === matched));
}

function isEnd(states: readonly number[], automata: readonly Automaton[], matching: number): boolean {
  return states.every((state, i) => automata[i]!.endsIn(state) === i < matching);
}

function textOf(node: Node): string {
  let text = "";
  for (let at: Node | undefined = node; at; at = at.from) text = at.character + text;
  return text;
}

/** One character of each range that the patterns tell apart, one that reads well where there is one. */
function representatives(automata: readonly Automaton[]): number[] {
  const starts = new Set(automata.flatMap(({ boundaries }) => boundaries));
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.flatMap((low, i) => {
    const high = (sorted[i + 1] ?? 0x110000) - 1;
    return readable(low, high) ?? [];
  });
}

function readable(low: number, high: number): number | undefined {
  for (const point of [0x61, 0x30, 0x41, 0x20]) if (point >= low && point <= high) return point;
  if (low < 0x7f && high >= 0x21) return Math.max(low, 0x21);
  const isSurrogate = low >= 0xd800 && low <= 0xdfff;
  if (!isSurrogate) return low;
  return high > 0xdfff ? 0xe000 : undefined;
}
