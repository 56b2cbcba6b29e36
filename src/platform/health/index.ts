/** Liveness, readiness and the health of the parts. */

export { healthRoutes } from "./health.routes.ts";
export { type Check, type CheckResult, Health, type HealthOptions, type HealthReport } from "./health.ts";
