/**
 * What differs between two documents: as a JSON Patch (RFC 6902) that turns one into the other, and as a list for
 * people. A list of objects that carry `id`, `key` or `name` is told apart by that, so an item that moves is one move
 * and not a change of everything behind it. Literal values whose field is named like a secret are masked in both. Pure.
 */
import { canonicalJson, type Json, pointerToken } from "../core/json.ts";
import { isSecretName, masked } from "../platform/audit/index.ts";

export type PatchStep =
  | { op: "add" | "replace"; path: string; value: Json }
  | { op: "remove"; path: string }
  | { op: "move"; from: string; path: string };

export interface DocumentChange {
  kind: "added" | "removed" | "changed" | "moved";
  /** Into the newer document; for what was removed, into the older one. */
  pointer: string;
  /** For people: `servers[eu].port`. */
  label: string;
  before?: Json;
  after?: Json;
}

export interface DocumentDiff {
  patch: PatchStep[];
  changes: DocumentChange[];
}

type Members = { [name: string]: Json };

/** Where a walk is: in the older document, in the newer one, and for people. */
interface Spot {
  older: string;
  newer: string;
  label: string;
  isSecret: boolean;
}

const identities = ["id", "key", "name"] as const;

export function diffDocuments(before: Json, after: Json): DocumentDiff {
  const diff: DocumentDiff = { patch: [], changes: [] };
  compare(before, after, { older: "", newer: "", label: "", isSecret: false }, diff);
  return diff;
}

export function sameJson(one: Json | undefined, other: Json | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one === other || canonicalJson(one) === canonicalJson(other);
}

export const isObject = (value: Json | undefined): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The member that tells the items of both lists apart, if there is one. */
export function identityOf(
  one: readonly Json[],
  other: readonly Json[],
): (typeof identities)[number] | undefined {
  if (one.length === 0 || other.length === 0) return undefined;
  return identities.find((member) => isUnique(one, member) && isUnique(other, member));
}

function isUnique(list: readonly Json[], member: string): boolean {
  const seen = new Set<Json>();
  for (const item of list) {
    const own = isObject(item) && Object.hasOwn(item, member) ? item[member] : undefined;
    if ((typeof own !== "string" && typeof own !== "number") || seen.has(own)) return false;
    seen.add(own);
  }
  return true;
}

function compare(before: Json, after: Json, spot: Spot, diff: DocumentDiff): void {
  if (sameJson(before, after)) return;
  if (isObject(before) && isObject(after)) compareObjects(before, after, spot, diff);
  else if (Array.isArray(before) && Array.isArray(after)) {
    const identity = identityOf(before, after);
    if (identity) compareKeyed(before as Members[], after as Members[], identity, spot, diff);
    else compareLists(before, after, spot, diff);
  } else {
    diff.patch.push({ op: "replace", path: spot.newer, value: show(after, spot) });
    note("changed", spot, diff, before, after);
  }
}

function compareObjects(before: Members, after: Members, spot: Spot, diff: DocumentDiff): void {
  for (const name of Object.keys(before).sort()) {
    if (Object.hasOwn(after, name)) continue;
    const inner = member(spot, name);
    diff.patch.push({ op: "remove", path: inner.newer });
    note("removed", inner, diff, before[name]);
  }
  for (const name of Object.keys(after).sort()) {
    const inner = member(spot, name);
    if (Object.hasOwn(before, name)) compare(before[name]!, after[name]!, inner, diff);
    else add(after[name]!, inner, diff);
  }
}

function compareKeyed(
  before: readonly Members[],
  after: readonly Members[],
  identity: string,
  spot: Spot,
  diff: DocumentDiff,
): void {
  const keyOf = (item: Members) => item[identity]!;
  const wanted = new Set(after.map(keyOf));
  const indexes = new Map(before.map((item, index) => [keyOf(item), index]));
  for (let index = before.length - 1; index >= 0; index--) {
    const key = keyOf(before[index]!);
    if (wanted.has(key)) continue;
    const inner = { ...spot, older: `${spot.older}/${index}`, label: `${spot.label}[${key}]` };
    diff.patch.push({ op: "remove", path: `${spot.newer}/${index}` });
    note("removed", inner, diff, before[index]!);
  }
  /** The list as it is after the steps so far. */
  const current = before.map(keyOf).filter((key) => wanted.has(key));
  after.forEach((item, index) => {
    const key = keyOf(item);
    const from = indexes.get(key);
    const older = `${spot.older}/${from ?? index}`;
    const inner = { ...spot, older, newer: `${spot.newer}/${index}`, label: `${spot.label}[${key}]` };
    if (from === undefined) {
      current.splice(index, 0, key);
      add(item, inner, diff);
      return;
    }
    const at = current.indexOf(key, index);
    if (at !== index) {
      current.splice(at, 1);
      current.splice(index, 0, key);
      diff.patch.push({ op: "move", from: `${spot.newer}/${at}`, path: inner.newer });
      note("moved", inner, diff);
    }
    compare(before[from]!, item, inner, diff);
  });
}

/** What both begin and end with stays; in between items are compared in their order. */
function compareLists(before: readonly Json[], after: readonly Json[], spot: Spot, diff: DocumentDiff): void {
  let head = 0;
  const shorter = Math.min(before.length, after.length);
  while (head < shorter && sameJson(before[head], after[head])) head += 1;
  let tail = 0;
  const same = () => sameJson(before[before.length - 1 - tail], after[after.length - 1 - tail]);
  while (tail < shorter - head && same()) tail += 1;
  const beforeEnd = before.length - tail;
  const afterEnd = after.length - tail;
  const both = Math.min(beforeEnd, afterEnd);
  for (let index = head; index < both; index++)
    compare(before[index]!, after[index]!, item(spot, index), diff);
  for (let index = beforeEnd - 1; index >= both; index--) {
    diff.patch.push({ op: "remove", path: `${spot.newer}/${index}` });
    note("removed", item(spot, index), diff, before[index]!);
  }
  for (let index = both; index < afterEnd; index++) add(after[index]!, item(spot, index), diff);
}

function add(value: Json, spot: Spot, diff: DocumentDiff): void {
  diff.patch.push({ op: "add", path: spot.newer, value: show(value, spot) });
  note("added", spot, diff, undefined, value);
}

function note(
  kind: DocumentChange["kind"],
  spot: Spot,
  { changes }: DocumentDiff,
  before?: Json,
  after?: Json,
) {
  changes.push({
    kind,
    pointer: kind === "removed" ? spot.older : spot.newer,
    label: spot.label,
    ...(before !== undefined && { before: show(before, spot) }),
    ...(after !== undefined && { after: show(after, spot) }),
  });
}

function member({ older, newer, label, isSecret }: Spot, name: string): Spot {
  const step = `/${pointerToken(name)}`;
  const isPlain = /^[\w-]+$/.test(name);
  const shown = isPlain ? `${label === "" ? "" : "."}${name}` : `[${JSON.stringify(name)}]`;
  return {
    older: older + step,
    newer: newer + step,
    label: label + shown,
    isSecret: isSecret || isSecretName(name),
  };
}

function item(spot: Spot, index: number): Spot {
  const step = `/${index}`;
  return { ...spot, older: spot.older + step, newer: spot.newer + step, label: `${spot.label}[${index}]` };
}

const show = (value: Json, { isSecret }: Spot) => maskSecrets(value, isSecret);

/** A copy in which texts below names like `password` are masked. A reference to a secret tells nothing and stays. */
export function maskSecrets(value: Json, isSecret = false): Json {
  if (typeof value === "string") return isSecret && !isWholeReference(value) ? masked : value;
  if (Array.isArray(value)) return value.map((inner) => maskSecrets(inner, isSecret));
  if (!isObject(value) || Object.hasOwn(value, "$secret")) return value;
  const members = Object.entries(value).map(([name, inner]) => {
    return [name, maskSecrets(inner, isSecret || isSecretName(name))] as const;
  });
  return Object.fromEntries(members);
}

const isWholeReference = (text: string) => /^\$\{secret:[^}]*\}$/.test(text);
