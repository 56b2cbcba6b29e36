/** How good or bad the states and verdicts of schemas look. */
import type { SchemaComparison, SchemaState } from "../../../client/src/index.ts";
import type { Tone } from "../parts/state.tsx";

export const toneOfSchema: Record<SchemaState, Tone> = {
  draft: "plain",
  in_review: "warn",
  approved: "good",
  deprecated: "warn",
  retired: "plain",
};

export const toneOfVerdict: Record<SchemaComparison["verdict"], Tone> = {
  compatible: "good",
  incompatible: "bad",
  unknown: "warn",
};
