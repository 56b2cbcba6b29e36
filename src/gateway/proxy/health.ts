/**
 * What active checks say of a backend: some failures in a row make it unhealthy, some successes healthy again. Pure;
 * checker.ts does the asking, in one worker for all. A backend is healthy until a check says otherwise, so that a
 * start or a new backend does not begin with refusals.
 */
import type { HealthCheck } from "./snapshot.backend.ts";

export interface Health {
  readonly healthy: boolean;
  /** In a row, of the kind that would turn it. */
  readonly streak: number;
}

export const HEALTHY: Health = { healthy: true, streak: 0 };

export interface HealthSettings {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  readonly statuses: readonly number[] | undefined;
  readonly host: string | undefined;
}

export function healthSettings(given: HealthCheck): HealthSettings {
  return {
    path: given.path,
    intervalMs: given.intervalMs ?? 5000,
    timeoutMs: given.timeoutMs ?? 2000,
    unhealthyAfter: given.unhealthyAfter ?? 3,
    healthyAfter: given.healthyAfter ?? 2,
    statuses: given.statuses,
    host: given.host,
  };
}

export function isHealthyStatus(settings: HealthSettings, status: number): boolean {
  return settings.statuses ? settings.statuses.includes(status) : status >= 200 && status < 400;
}

export function afterCheck(health: Health, settings: HealthSettings, ok: boolean): Health {
  if (ok === health.healthy) return health.streak === 0 ? health : { healthy: health.healthy, streak: 0 };
  const streak = health.streak + 1;
  const needed = health.healthy ? settings.unhealthyAfter : settings.healthyAfter;
  return streak < needed ? { healthy: health.healthy, streak } : { healthy: !health.healthy, streak: 0 };
}
