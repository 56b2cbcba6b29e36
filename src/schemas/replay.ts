/**
 * Real messages through a proposed schema: what share of them would not fit, and where. Nothing of a payload
 * comes out but places, with positions in lists left out, and how often each was wrong.
 */
import type { FieldError } from "../core/errors.ts";

export interface Replay {
  topic: string;
  messages: number;
  failing: number;
  /** Of failing messages; 0 when there are none. */
  share: number;
  places: { pointer: string; message: string; count: number }[];
}

const placesMax = 20;

export function summarise(topic: string, results: readonly (readonly FieldError[] | null)[]): Replay {
  const counts = new Map<string, { pointer: string; message: string; count: number }>();
  for (const violations of results) {
    const seen = new Set<string>();
    for (const { pointer, message } of violations ?? []) {
      const masked = pointer.replaceAll(/\/\d+(?=\/|$)/g, "/*");
      const key = `${masked} ${message}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const known = counts.get(key) ?? { pointer: masked, message, count: 0 };
      known.count += 1;
      counts.set(key, known);
    }
  }
  const failing = results.filter((violations) => violations !== null).length;
  const places = [...counts.values()].sort((a, b) => b.count - a.count).slice(0, placesMax);
  const share = results.length === 0 ? 0 : failing / results.length;
  return { topic, messages: results.length, failing, share, places };
}
