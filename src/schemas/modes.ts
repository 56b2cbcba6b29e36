/**
 * Compatibility modes, by the names of the field. Backward: the new schema reads what was written under the old
 * one. Forward: the old one reads what is written under the new. Full: both. Plain modes look at the latest
 * version, transitive ones at all of them.
 */
import type { Comparison } from "./compatibility/subsumes.ts";

export const modes = [
  "none",
  "backward",
  "backward_transitive",
  "forward",
  "forward_transitive",
  "full",
  "full_transitive",
] as const;
export type Mode = (typeof modes)[number];

export const defaultMode: Mode = "backward";

export type Direction = "backward" | "forward";

/** How a schema compares with one earlier version in one direction. */
export type Check = { version: number; direction: Direction } & Comparison;

export interface Verdict {
  mode: Mode;
  /** True only when every check is proven. */
  compatible: boolean;
  checks: Check[];
}

export const nothingBefore = (mode: Mode): Verdict => ({ mode, compatible: true, checks: [] });

/** Versions, ascending, that a new schema is compared with. */
export function relevant<Version>(mode: Mode, versions: readonly Version[]): readonly Version[] {
  if (mode === "none") return [];
  return mode.endsWith("_transitive") ? versions : versions.slice(-1);
}

export function directionsOf(mode: Mode): Direction[] {
  const [name] = mode.split("_");
  if (name === "full") return ["backward", "forward"];
  return name === "none" ? [] : [name as Direction];
}

/** The check to show first: one that breaks, with a document if there is one. */
export function worstOf({ checks }: Verdict): Check | undefined {
  return (
    checks.find(({ verdict }) => verdict === "incompatible") ??
    checks.find(({ verdict }) => verdict === "unknown")
  );
}

/** A line for people. */
export function verdictText(verdict: Verdict): string {
  const worst = worstOf(verdict);
  if (!worst) return verdict.checks.length === 0 ? "nothing to compare with" : `${verdict.mode} compatible`;
  const where = `not ${worst.direction} compatible with version ${worst.version}`;
  if (worst.verdict === "incompatible") return `${where}: ${shortened(JSON.stringify(worst.counterexample))}`;
  return `${where}: not provable`;
}

const shortened = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
