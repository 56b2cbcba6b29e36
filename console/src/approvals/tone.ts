/** How good or bad each state of an approval looks. */
import type { ApprovalState } from "../../../client/src/index.ts";
import type { Tone } from "../parts/state.tsx";

export const toneOfApproval: Record<ApprovalState, Tone> = {
  pending: "warn",
  approved: "good",
  used: "good",
  rejected: "bad",
  void: "plain",
  expired: "plain",
};
