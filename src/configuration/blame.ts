/**
 * Which version brought each value of a document: the versions are folded oldest first into a tree of the document's
 * shape, in which what did not change keeps who brought it. Items of a list that carry an identity (diff.ts) keep
 * theirs when they move. Pure; the memory is that of one document.
 */
import { type Json, pointerToken } from "../core/json.ts";
import { identityOf, isObject, sameJson } from "./diff.ts";
import { isReference } from "./secret-references.ts";

/** A value with its origin. */
export type Blame<By> =
  | { kind: "leaf"; value: Json; by: By }
  | { kind: "list"; value: Json[]; by: By; items: Blame<By>[] }
  | { kind: "object"; value: { [name: string]: Json }; by: By; members: Map<string, Blame<By>> };

/** The tree after a version with this value; `before` is that of the version before, if there was one. */
export function blame<By>(before: Blame<By> | undefined, value: Json, by: By): Blame<By> {
  if (before && sameJson(before.value, value)) return before;
  if (isObject(value) && !isReference(value)) {
    const known = before?.kind === "object" ? before : undefined;
    const members = Object.keys(value)
      .sort()
      .map((name) => {
        const inner = value[name]!;
        return [name, blame(known?.members.get(name), inner, by)] as const;
      });
    return { kind: "object", value, by: known?.by ?? by, members: new Map(members) };
  }
  if (Array.isArray(value)) {
    const known = before?.kind === "list" ? before : undefined;
    const find = finder(known?.value ?? [], value);
    const items = value.map((inner, index) => blame(known?.items[find(inner, index)], inner, by));
    return { kind: "list", value, by: known?.by ?? by, items };
  }
  return { kind: "leaf", value, by };
}

/** Where an item of the new list was in the old one; -1 when it is new. */
function finder(before: readonly Json[], after: readonly Json[]): (item: Json, index: number) => number {
  const identity = identityOf(before, after);
  if (identity) {
    const places = new Map(
      before.map((item, index) => [(item as { [name: string]: Json })[identity], index]),
    );
    return (item) => places.get((item as { [name: string]: Json })[identity]) ?? -1;
  }
  // What both begin and end with stays who it is; in between the order tells.
  let head = 0;
  while (head < before.length && head < after.length && sameJson(before[head], after[head])) head += 1;
  const shift = after.length - before.length;
  let tail = after.length;
  while (tail > head && tail - shift > head && sameJson(before[tail - shift - 1], after[tail - 1])) tail -= 1;
  return (_, index) => {
    if (index >= tail) return index - shift;
    return index < tail - shift ? index : -1;
  };
}

/** The leaves, and what is empty, by JSON Pointer, members by name. */
export function* leavesOf<By>(tree: Blame<By>, pointer = ""): Generator<{ pointer: string; by: By }> {
  const isEmpty = tree.kind === "leaf" || tree.value.length === 0 || Object.keys(tree.value).length === 0;
  if (isEmpty) {
    yield { pointer, by: tree.by };
    return;
  }
  if (tree.kind === "list") {
    for (const [index, inner] of tree.items.entries()) yield* leavesOf(inner, `${pointer}/${index}`);
  } else {
    for (const [name, inner] of tree.members) yield* leavesOf(inner, `${pointer}/${pointerToken(name)}`);
  }
}
