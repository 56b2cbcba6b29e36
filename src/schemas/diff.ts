/**
 * What changed between two schemas, keyword by keyword, for people: lists whose order means nothing (`required`,
 * `enum`, `type`) are compared as sets, and what only speaks to the reader is told apart. Whether a change breaks
 * anything is not read off it: the checker proves that.
 */
import { canonicalJson, type Json, pointerToken } from "../core/json.ts";

export interface SchemaChange {
  /** Into the schema. */
  pointer: string;
  kind: "added" | "removed" | "changed";
  before?: Json;
  after?: Json;
  /** True where no document is any more or less valid by it. */
  annotation: boolean;
}

const annotations = new Set([
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "$comment",
  "contentMediaType",
  "contentEncoding",
  "contentSchema",
]);
const sets = new Set(["required", "enum", "type"]);
/** Below these, names are names of users and no keywords. */
const maps = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]);

export const changesMax = 500;

/** At most `changesMax` of them. */
export function diffSchemas(before: Json, after: Json): SchemaChange[] {
  const changes: SchemaChange[] = [];
  compare({ pointer: "", isMap: false, annotation: false, keyword: "" }, before, after, changes);
  return changes.slice(0, changesMax);
}

interface Place {
  pointer: string;
  isMap: boolean;
  annotation: boolean;
  keyword: string;
}

function compare(
  place: Place,
  before: Json | undefined,
  after: Json | undefined,
  changes: SchemaChange[],
): void {
  const { pointer, annotation, keyword } = place;
  if (before === undefined && after === undefined) return;
  if (before === undefined) changes.push({ pointer, kind: "added", after: after!, annotation });
  else if (after === undefined) changes.push({ pointer, kind: "removed", before, annotation });
  else if (canonicalJson(before) !== canonicalJson(after)) {
    if (isObject(before) && isObject(after)) compareMembers(place, before, after, changes);
    else if (Array.isArray(before) && Array.isArray(after)) {
      if (sets.has(keyword)) compareSets(place, before, after, changes);
      else compareLists(place, before, after, changes);
    } else changes.push({ pointer, kind: "changed", before, after, annotation });
  }
}

function compareMembers(
  place: Place,
  before: { [name: string]: Json },
  after: { [name: string]: Json },
  changes: SchemaChange[],
): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const isKeyword = !place.isMap;
    const inner = {
      pointer: `${place.pointer}/${pointerToken(name)}`,
      isMap: isKeyword && maps.has(name),
      annotation: place.annotation || (isKeyword && annotations.has(name)),
      keyword: isKeyword ? name : "",
    };
    compare(inner, own(before, name), own(after, name), changes);
  }
}

const own = (object: { [name: string]: Json }, name: string) =>
  Object.hasOwn(object, name) ? object[name] : undefined;

function compareSets(
  { pointer, annotation }: Place,
  before: Json[],
  after: Json[],
  changes: SchemaChange[],
): void {
  const [old, now] = [before, after].map((list) => new Set(list.map(canonicalJson)));
  for (const value of before)
    if (!now!.has(canonicalJson(value)))
      changes.push({ pointer, kind: "removed", before: value, annotation });
  for (const value of after)
    if (!old!.has(canonicalJson(value))) changes.push({ pointer, kind: "added", after: value, annotation });
}

function compareLists(place: Place, before: Json[], after: Json[], changes: SchemaChange[]): void {
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const inner = { ...place, pointer: `${place.pointer}/${i}`, isMap: false, keyword: "" };
    compare(inner, before[i], after[i], changes);
  }
}

function isObject(value: Json): value is { [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
