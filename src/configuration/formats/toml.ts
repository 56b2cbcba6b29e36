/**
 * TOML 1.1. Dates and times become strings as RFC 3339 writes them. The library does not say where a value stands, so
 * the keys are found again by walking over a text that is known to be right (toml-keys.ts).
 */
import { parse, TomlDate, TomlError } from "smol-toml";
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
import { locateKeys } from "./toml-keys.ts";

export function parseToml(text: string, limits: Limits): Parsed {
  let table: unknown;
  try {
    table = parse(text, { integersAsBigInt: true, useLegacyDate: true, maxDepth: limits.depth + 1 });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n", 1);
    const message = first.replace(/^Invalid TOML document: /, "");
    throw new Unreadable(message, { line: error.line, column: error.column });
  }
  const places = new Places(text);
  for (const [pointer, offset] of locateKeys(text)) places.set(pointer, offset);
  let nodes = 0;
  const toJson = (value: unknown, pointer: string, depth: number): Json => {
    const place = () => places.locate(pointer);
    if (++nodes > nodesMax) throw new Unreadable(`has more than ${nodesMax} values`, place(), pointer);
    if (typeof value === "string") {
      refuseText(value, place, pointer);
      return value;
    }
    if (typeof value === "bigint") return exactNumber(value.toString(), place, pointer);
    if (typeof value === "number") {
      if (!Number.isFinite(value))
        throw new Unreadable("inf and nan are no numbers of JSON", place(), pointer);
      return Object.is(value, -0) ? 0 : value;
    }
    if (typeof value === "boolean") return value;
    if (value instanceof TomlDate) return value.toISOString();
    if (depth >= limits.depth) throw tooDeep(limits.depth, place(), pointer);
    if (Array.isArray(value))
      return value.map((item, index) => toJson(item, below(pointer, index), depth + 1));
    const members: { [name: string]: Json } = {};
    for (const [name, member] of Object.entries(value as object)) {
      const inner = below(pointer, name);
      refuseName(name, () => places.locate(inner), inner);
      members[name] = toJson(member, inner, depth + 1);
    }
    return members;
  };
  return { value: toJson(table, "", 0), locate: places.locate };
}
