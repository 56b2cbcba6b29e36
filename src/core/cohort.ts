/**
 * Who is exposed to a new version: a pure function of a seed, a unit (a caller, an instance, a tenant) and a bound,
 * the same in every system, node and process. Sets nest: who is exposed at a bound is exposed at every larger one.
 */
import { hash32 } from "./hash.ts";

/** Positions lie in [0, SPAN); a bound of SPAN exposes everybody, one of 0 nobody. */
export const SPAN = 2 ** 32;

export function positionOf(seed: string, unit: string): number {
  return hash32(unit, hash32(seed));
}

/** What many units count is kept in so many groups of them, by a hash, so that one of them shows as one. */
export const UNIT_GROUPS = 32;

/** The same on every node and after every restart. Low bits of a position say nothing of who is exposed. */
export const groupOf = (hash: number): number => hash % UNIT_GROUPS;

export function isExposed(seed: string, unit: string, bound: number): boolean {
  return positionOf(seed, unit) < bound;
}

/** The bound that exposes this share (0 to 1) of units that nobody can count, such as callers. */
export function boundOfShare(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * SPAN);
}

/** How many of so many units this share (0 to 1) is: rounded up, so that a small share of few units is one of them. */
export function countOfShare(share: number, units: number): number {
  // 7 / 100 * 100 is 7.000000000000001.
  return Math.min(units, Math.ceil(share * units - 1e-6));
}

/**
 * The bound that exposes the first `count` of these units in the order of their positions, and never less than
 * `floor`, so that who is exposed stays so when others come and go.
 */
export function boundOfCount(seed: string, units: Iterable<string>, count: number, floor = 0): number {
  if (count <= 0) return floor;
  const positions = Array.from(units, (unit) => positionOf(seed, unit)).sort((a, b) => a - b);
  if (positions.length === 0) return floor;
  const last = positions[Math.min(count, positions.length) - 1]!;
  return Math.max(floor, last + 1);
}
