/**
 * The life of a request for approval, pure:
 *
 *     pending ─approve→ approved ─use→ used
 *        │ └─reject→ rejected │
 *        ├────────edit────────┴→ void        an edit is a content of another hash
 *        └────────time────────┴→ expired
 *
 * rejected, void, expired and used are final. Time needs no one to act: a request that is past its end is
 * expired, whatever its row says.
 */
import { HotSwapError } from "../../core/errors.ts";

export const approvalStates = ["pending", "approved", "rejected", "void", "expired", "used"] as const;
export type ApprovalState = (typeof approvalStates)[number];

/** What the rules depend on. */
export interface Standing {
  state: ApprovalState;
  author: string;
  contentHash: string;
  /** Epoch milliseconds from which it counts no more. */
  expiresAtMs: number;
}

export type Step =
  | { type: "approve"; by: string }
  | { type: "reject"; by: string }
  | { type: "edit"; contentHash: string }
  | { type: "use"; contentHash: string };

export function stateAt({ state, expiresAtMs }: Standing, nowMs: number): ApprovalState {
  const open = state === "pending" || state === "approved";
  return open && nowMs >= expiresAtMs ? "expired" : state;
}

/**
 * The state after the step. Throws `approval_self`, `approval_required` or `approval_void` when it is not
 * allowed.
 */
export function next(standing: Standing, step: Step, nowMs: number): ApprovalState {
  const state = stateAt(standing, nowMs);
  switch (step.type) {
    case "approve":
    case "reject":
      if (step.by === standing.author) throw new HotSwapError("approval_self");
      if (state !== "pending") throw new HotSwapError("approval_void", `The request is ${state} already.`);
      return step.type === "approve" ? "approved" : "rejected";
    case "edit": {
      const open = state === "pending" || state === "approved";
      return open && step.contentHash !== standing.contentHash ? "void" : state;
    }
    case "use":
      return use(standing, state, step.contentHash);
  }
}

function use(standing: Standing, state: ApprovalState, contentHash: string): ApprovalState {
  if (state === "used") throw new HotSwapError("approval_required", "The last approval has been used.");
  if (state !== "pending" && state !== "approved") {
    throw new HotSwapError("approval_void", `The last request for approval is ${state}.`);
  }
  if (contentHash !== standing.contentHash) {
    throw new HotSwapError("approval_void", "What is to be done is not what approval was asked for.");
  }
  if (state === "pending")
    throw new HotSwapError("approval_required", "The request has not been approved yet.");
  return "used";
}
