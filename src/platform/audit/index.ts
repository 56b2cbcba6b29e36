/**
 * What has been done: a hash chain per tenant, written in the transaction of the change, verified offline.
 */

export { auditRoutes } from "./audit.routes.ts";
export { Audit, type AuditOptions, type Change } from "./audit.ts";
export type { AuditEntry, Checkpoint, CheckpointKey } from "./chain.ts";
export { isSecretName, masked } from "./masking.ts";
export { type VerifyOptions, type VerifyReport, verifyExport } from "./verify.ts";

/** The folder of the room's migrations. */
export const migrations = new URL("./migrations/", import.meta.url);
