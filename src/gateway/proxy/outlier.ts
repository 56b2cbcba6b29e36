/**
 * Passive health: a backend whose real answers fail some times in a row is ejected for a while, longer each time that
 * this follows soon. Over shared cells, without clock or I/O. It is a preference of the balancer, never a wall: when
 * all of a route's targets are out, they are used nevertheless (balance.ts).
 */
import { type BackendCells, CELL, TIME } from "./shared.ts";
import type { Outlier } from "./snapshot.backend.ts";

export interface OutlierSettings {
  readonly enabled: boolean;
  readonly consecutiveFailures: number;
  readonly ejectMs: number;
  readonly ejectShareMax: number;
}

const EJECT_MS_MAX = 300_000;

export function outlierSettings(given: Outlier = {}): OutlierSettings {
  return {
    enabled: given.enabled ?? true,
    consecutiveFailures: given.consecutiveFailures ?? 5,
    ejectMs: given.ejectMs ?? 30_000,
    ejectShareMax: given.ejectShareMax ?? 0.5,
  };
}

/**
 * Records an outcome. True when it ejects the backend. `mayEject` is asked only then, and says whether enough others
 * are left.
 */
export function observe(
  cells: BackendCells,
  settings: OutlierSettings,
  ok: boolean,
  now: number,
  mayEject: () => boolean,
): boolean {
  if (ok) {
    if (cells.get(CELL.failuresInRow) !== 0) cells.set(CELL.failuresInRow, 0);
    return false;
  }
  if (!settings.enabled || cells.get(CELL.ejected) !== 0) return false;
  if (cells.add(CELL.failuresInRow, 1) + 1 < settings.consecutiveFailures || !mayEject()) return false;
  if (!cells.swap(CELL.ejected, 0, 1)) return false;
  // Ejected again within ten times its last ejection: longer. Otherwise from the beginning.
  const last = cells.time(TIME.ejectedUntil);
  const before = last > 0 && now < last + 10 * settings.ejectMs ? cells.get(CELL.ejections) : 0;
  cells.set(CELL.ejections, before + 1);
  cells.setTime(TIME.ejectedUntil, now + Math.min(EJECT_MS_MAX, settings.ejectMs * (before + 1)));
  return true;
}

/** Whether it is out now; lets it return when its time has come. `returned` is called by the one who did. */
export function isEjected(cells: BackendCells, now: number, returned?: () => void): boolean {
  if (cells.get(CELL.ejected) === 0) return false;
  if (now < cells.time(TIME.ejectedUntil)) return true;
  cells.set(CELL.failuresInRow, 0);
  if (cells.swap(CELL.ejected, 1, 0)) {
    cells.setTime(TIME.usableSince, now);
    returned?.();
  }
  return false;
}
