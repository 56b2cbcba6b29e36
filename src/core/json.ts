/** What HotSwap needs of JSON beyond the language: canonical text, depth, and JSON Pointers. */
import { HotSwapError } from "./errors.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Canonical text by RFC 8785 (JCS): keys in UTF-16 order, no white space, numbers as ECMAScript writes them.
 * Throws for what JSON cannot say (NaN, Infinity, undefined, functions).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError("a number that JSON cannot hold");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  throw new TypeError(`a ${typeof value} that JSON cannot hold`);
}

/** Escapes one reference token of a JSON Pointer (RFC 6901 §3). */
export function pointerToken(token: string | number): string {
  return String(token).replaceAll("~", "~0").replaceAll("/", "~1");
}

/**
 * Refuses JSON text nested deeper than `limit`, before it is parsed: a deep document costs the parser's
 * stack and every later walk. Works on bytes, skips strings, allocates nothing. What has no more brackets than it may
 * have levels, as most messages, is not walked.
 */
export function refuseDeepJson(text: Uint8Array, limit: number): void {
  if (!hasMoreBrackets(text, Math.min(limit, 16))) return;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === 0x22) {
      for (i++; i < text.length && text[i] !== 0x22; i++) if (text[i] === 0x5c) i++;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > limit) {
        throw new HotSwapError("too_deep", `The document is nested deeper than ${limit} levels.`);
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
}

function hasMoreBrackets(text: Uint8Array, most: number): boolean {
  let count = 0;
  for (const bracket of [0x7b, 0x5b]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      count += 1;
      if (count > most) return true;
    }
  }
  return false;
}
