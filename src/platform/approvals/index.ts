/** Somebody else must agree: requests for approval, bound to the hash of exactly what is approved. */

export { approvalRoutes } from "./approvals.routes.ts";
export {
  type Approval,
  type ApprovalDecision,
  type ApprovalRequest,
  Approvals,
  type ApprovalsOptions,
} from "./approvals.ts";
export type { ApprovalState } from "./state.ts";
export type { WebhookTarget } from "./webhook.ts";

/** The folder of the room's migrations. */
export const migrations = new URL("./migrations/", import.meta.url);
