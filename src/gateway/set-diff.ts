/** What would change when a route set becomes another: by route, and within a route by place. Pure. */
import { canonicalJson, pointerToken } from "../core/json.ts";
import type { RouteSpec } from "./routes.schema.ts";

export interface PlaceChange {
  /** JSON Pointer into the route. */
  pointer: string;
  /** Absent where there was nothing. */
  before?: unknown;
  /** Absent where nothing is left. */
  after?: unknown;
}

export interface SetDiff {
  added: string[];
  changed: { name: string; changes: PlaceChange[] }[];
  removed: string[];
  unchanged: number;
}

const changesMax = 100;

export function diffSets(
  current: readonly { name: string; spec: RouteSpec }[],
  wanted: readonly RouteSpec[],
  mode: "replace" | "merge",
): SetDiff {
  const before = new Map(current.map(({ name, spec }) => [name, spec]));
  const diff: SetDiff = { added: [], changed: [], removed: [], unchanged: 0 };
  for (const spec of wanted) {
    const known = before.get(spec.name);
    before.delete(spec.name);
    if (known === undefined) diff.added.push(spec.name);
    else {
      const changes = diffValues(known, spec);
      if (changes.length === 0) diff.unchanged += 1;
      else diff.changed.push({ name: spec.name, changes });
    }
  }
  if (mode === "replace") diff.removed = [...before.keys()];
  else diff.unchanged += before.size;
  return diff;
}

/** Lists are compared as a whole where their lengths differ: a list has no names to tell its members apart. */
export function diffValues(before: unknown, after: unknown): PlaceChange[] {
  const changes: PlaceChange[] = [];
  const visit = (one: unknown, other: unknown, pointer: string): void => {
    if (changes.length >= changesMax || same(one, other)) return;
    const lists = Array.isArray(one) && Array.isArray(other);
    if (lists ? one.length === other.length : isObject(one) && isObject(other)) {
      const [from, to] = [one as Record<string, unknown>, other as Record<string, unknown>];
      for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
        visit(from[name], to[name], `${pointer}/${pointerToken(name)}`);
      }
      return;
    }
    changes.push({
      pointer,
      ...(one !== undefined && { before: one }),
      ...(other !== undefined && { after: other }),
    });
  };
  visit(before, after, "");
  return changes;
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

function same(one: unknown, other: unknown): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one === other || canonicalJson(one) === canonicalJson(other);
}
