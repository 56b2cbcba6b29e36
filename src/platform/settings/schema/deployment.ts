/** The deployment engine. */
import { integer } from "../kind.ts";
import { setting } from "../setting.ts";

export const deploymentSettings = {
  "deployment.leaseMs": setting(integer(1_000, 60_000, "milliseconds"), {
    meaning: "A node that has been silent for this long loses its deployments to others.",
    default: 5_000,
  }),
  "deployment.pollMs": setting(integer(50, 60_000, "milliseconds"), {
    meaning: "How often a node looks for deployments that nobody carries.",
    default: 500,
  }),
  "deployment.heldMax": setting(integer(1, 100_000), {
    meaning: "Deployments that one node carries at once.",
    default: 1_000,
  }),
  "deployment.activeMax": setting(integer(1, 100_000), {
    meaning: "Deployments of one tenant that have not ended.",
    default: 1_000,
  }),
  "deployment.freezesMax": setting(integer(1, 100_000), {
    meaning: "Freezes of one tenant.",
    default: 1_000,
  }),
  "deployment.healthDays": setting(integer(1, 3_650, "days"), {
    meaning: "How long samples and verdicts of deployments are kept.",
    default: 30,
  }),
  "deployment.historyDays": setting(integer(1, 3_650, "days"), {
    meaning: "How long deployments that have ended are kept, with their events. The audit keeps its own.",
    default: 365,
  }),
};
