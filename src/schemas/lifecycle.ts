/**
 * The life of a schema version, pure:
 *
 *     draft ─submit→ in_review ─approve→ approved ─deprecate→ deprecated ─retire→ retired
 *       └────────────────────approve (nothing breaks, and the setting says so)↑
 *       └──────────retire──────┴──────────────────────────────────────────────→ retired
 *
 * Approved and deprecated versions are in force: documents may be written and read under them, and new versions
 * are compared with them. Nothing goes back. `withdraw` takes an approved version out of force without the time
 * between: that is what clients of the Confluent registry mean when they delete one.
 */
import { HotSwapError } from "../core/errors.ts";

export const schemaStates = ["draft", "in_review", "approved", "deprecated", "retired"] as const;
export type SchemaState = (typeof schemaStates)[number];

export type Step = "submit" | "approve" | "deprecate" | "retire" | "withdraw";

const steps: Record<Step, Partial<Record<SchemaState, SchemaState>>> = {
  // Again from in_review: when the request for approval has expired, was rejected, or became void.
  submit: { draft: "in_review", in_review: "in_review" },
  approve: { draft: "approved", in_review: "approved" },
  deprecate: { approved: "deprecated" },
  retire: { draft: "retired", in_review: "retired", deprecated: "retired" },
  withdraw: { approved: "retired", deprecated: "retired" },
};

/** The state after the step; throws `schema_state_refused`. */
export function nextState(state: SchemaState, step: Step): SchemaState {
  const next = steps[step][state];
  if (next) return next;
  const from = Object.keys(steps[step]).join(" or ");
  const detail = `The version is ${state}; to ${step} it, it must be ${from}.`;
  throw new HotSwapError("schema_state_refused", detail, { data: { state } });
}

export const isInForce = (state: SchemaState) => state === "approved" || state === "deprecated";
