/**
 * Which version an instance should have. Pure, and the same on every node: pinned by its labels, else by the assignment
 * of the deployment that runs, else the current version. An instance that is pinned is no unit of a deployment.
 */
import { isExposed, positionOf } from "../core/cohort.ts";
import type { Labels } from "./delivery.tables.ts";

export interface Pin {
  readonly labels: Labels;
  readonly version: number;
}

/** Of the deployment that runs. */
export interface Rollout {
  readonly deployment: string;
  readonly seed: string;
  readonly bound: number;
  /** Undefined: there was none before. */
  readonly from: number | undefined;
  readonly to: number;
  /** W3C, of the step that exposed it, or of the way back. */
  readonly traceparent: string | undefined;
}

/** What there is to know of one configuration to say who should have what. */
export interface Wanted {
  readonly config: string;
  readonly format: string;
  /** Of the scope, when this last changed. */
  readonly revision: number;
  readonly current: number | undefined;
  readonly rollout: Rollout | undefined;
  /** The most specific first. */
  readonly pins: readonly Pin[];
}

export interface Unit {
  readonly id: string;
  readonly labels: Labels;
}

export function pinOf({ pins }: Pick<Wanted, "pins">, labels: Labels): Pin | undefined {
  return pins.find((pin) => Object.entries(pin.labels).every(([name, value]) => labels[name] === value));
}

/** More labels go first; of as many, the order of their canonical text, so that it is one on every node. */
export function bySpecificity<Row extends { labels: Labels; key: string }>(pins: readonly Row[]): Row[] {
  const size = ({ labels }: Row) => Object.keys(labels).length;
  return pins.toSorted((a, b) => size(b) - size(a) || (a.key < b.key ? -1 : 1));
}

/** Undefined: none. */
export function versionFor(wanted: Wanted, unit: Unit): number | undefined {
  const pin = wanted.pins.length > 0 ? pinOf(wanted, unit.labels) : undefined;
  if (pin) return pin.version;
  const { rollout, current } = wanted;
  if (!rollout) return current;
  return isExposed(rollout.seed, unit.id, rollout.bound) ? rollout.to : rollout.from;
}

/** Whether it is the last of those that a deployment exposes: of a single one, it is that. */
export function isLastExposed({ rollout }: Wanted, { id }: Unit): boolean {
  return rollout !== undefined && positionOf(rollout.seed, id) === rollout.bound - 1;
}

/**
 * Of which deployment the version is a part, if it is one that is being brought out, and in which trace: that of the
 * step, or, for the version before while everybody goes back to it, that of the way back.
 */
export function originOf(
  { rollout }: Wanted,
  version: number,
): { deployment: string | null; traceparent?: string } {
  const isOut = rollout?.to === version;
  const isBack = rollout?.bound === 0 && rollout.from === version;
  const traceparent = isOut || isBack ? rollout.traceparent : undefined;
  return { deployment: isOut ? rollout.deployment : null, ...(traceparent !== undefined && { traceparent }) };
}

/** Which side of a comparison the instance is on, by what it should have and what it runs; undefined: neither. */
export function cohortOf(
  wanted: Wanted,
  unit: Unit,
  running: number | undefined,
): "canary" | "control" | undefined {
  const { rollout } = wanted;
  if (!rollout || pinOf(wanted, unit.labels)) return undefined;
  if (isExposed(rollout.seed, unit.id, rollout.bound)) return running === rollout.to ? "canary" : undefined;
  return running === rollout.from ? "control" : undefined;
}
