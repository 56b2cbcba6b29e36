/**
 * Circuit breaker of a backend, one for all workers: a state machine over shared cells. No clock, no I/O.
 *
 *   closed ──`failures` in a row──▶ open ──`openMs` later, at the next request──▶ half-open
 *     ▲                              ▲                                             │   │
 *     │                              └──────────────── a failure ──────────────────┘   │
 *     └──────────────── as many successes as requests were let through ────────────────┘
 *
 * Half-open hands out `halfOpenRequests` permits. One that never comes back (its worker died) would block for ever,
 * so half-open that lasts longer than `openMs` hands them out anew.
 */
import { type BackendCells, CELL, TIME } from "./shared.ts";
import type { Breaker } from "./snapshot.backend.ts";

export const CLOSED = 0;
export const OPEN = 1;
export const HALF_OPEN = 2;

export interface BreakerSettings {
  readonly enabled: boolean;
  readonly failures: number;
  readonly openMs: number;
  readonly halfOpenRequests: number;
  readonly override: "open" | "closed" | undefined;
}

export type BreakerTurn = "open" | "half-open" | "closed" | undefined;

export function breakerSettings(given: Breaker = {}): BreakerSettings {
  return {
    enabled: given.enabled ?? true,
    failures: given.failures ?? 5,
    openMs: given.openMs ?? 30_000,
    halfOpenRequests: given.halfOpenRequests ?? 1,
    override: given.override,
  };
}

/** Whether `admit` would let a request through now. Changes nothing. */
export function mayAdmit(cells: BackendCells, settings: BreakerSettings, now: number): boolean {
  if (settings.override) return settings.override === "closed";
  const state = cells.get(CELL.breakerState);
  if (state === CLOSED || !settings.enabled) return true;
  if (state === OPEN) return now >= cells.time(TIME.breakerUntil);
  return cells.get(CELL.breakerPermits) > 0 || now >= cells.time(TIME.halfOpenSince) + settings.openMs;
}

/** Takes a permit where one is needed. False: not now. `turn` is told when this request moved the state. */
export function admit(
  cells: BackendCells,
  settings: BreakerSettings,
  now: number,
  turn?: (turn: BreakerTurn) => void,
): boolean {
  if (settings.override) return settings.override === "closed";
  const state = cells.get(CELL.breakerState);
  if (state === CLOSED || !settings.enabled) return true;
  if (state === OPEN) {
    if (now < cells.time(TIME.breakerUntil)) return false;
    // Permits are there before the state says so; who loses the race finds them.
    if (cells.swap(CELL.breakerState, OPEN, HALF_OPEN)) {
      handOut(cells, settings, now);
      turn?.("half-open");
    }
  } else if (now >= cells.time(TIME.halfOpenSince) + settings.openMs) handOut(cells, settings, now);
  if (cells.add(CELL.breakerPermits, -1) > 0) return true;
  cells.add(CELL.breakerPermits, 1);
  return false;
}

function handOut(cells: BackendCells, settings: BreakerSettings, now: number): void {
  cells.setTime(TIME.halfOpenSince, now);
  cells.set(CELL.breakerSuccesses, 0);
  cells.set(CELL.breakerPermits, settings.halfOpenRequests);
}

export function succeeded(cells: BackendCells, settings: BreakerSettings): BreakerTurn {
  const state = cells.get(CELL.breakerState);
  if (state === CLOSED) {
    if (cells.get(CELL.breakerFailures) !== 0) cells.set(CELL.breakerFailures, 0);
    return undefined;
  }
  // A success that was under way when it opened says nothing about now.
  if (state !== HALF_OPEN || cells.add(CELL.breakerSuccesses, 1) + 1 < settings.halfOpenRequests)
    return undefined;
  cells.set(CELL.breakerFailures, 0);
  return cells.swap(CELL.breakerState, HALF_OPEN, CLOSED) ? "closed" : undefined;
}

export function failed(cells: BackendCells, settings: BreakerSettings, now: number): BreakerTurn {
  if (!settings.enabled) return undefined;
  const state = cells.get(CELL.breakerState);
  if (state === OPEN) return undefined;
  if (state === CLOSED && cells.add(CELL.breakerFailures, 1) + 1 < settings.failures) return undefined;
  cells.setTime(TIME.breakerUntil, now + settings.openMs);
  return cells.swap(CELL.breakerState, state, OPEN) ? "open" : undefined;
}

/** A request that was let through ended without a verdict: its caller left. Its permit goes back. */
export function withdrawn(cells: BackendCells): void {
  if (cells.get(CELL.breakerState) === HALF_OPEN) cells.add(CELL.breakerPermits, 1);
}

export function stateOf(cells: BackendCells, settings: BreakerSettings): "closed" | "open" | "half-open" {
  if (settings.override) return settings.override;
  const state = cells.get(CELL.breakerState);
  return state === CLOSED ? "closed" : state === OPEN ? "open" : "half-open";
}
