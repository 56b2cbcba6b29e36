/** Of deployments and freezes. */
import type { CatalogueEntry } from "./entry.ts";

export const deployment = {
  deployment_not_found: {
    kind: "not_found",
    title: "There is no such deployment",
    help: "List them with `hotswap deployment list`; those that ended long ago are not kept.",
  },
  deployment_kind_unknown: {
    kind: "unprocessable",
    title: "Nothing here deploys things of this kind",
    help: "Use a kind that the server has; a part that is switched off, such as the gateway, deploys nothing.",
  },
  deployment_state_refused: {
    kind: "conflict",
    title: "The deployment is not in a state that allows this",
    help: "Read it again. What is on its way back or has ended is not paused, resumed or promoted; deploy anew.",
  },
  deployments_full: {
    kind: "conflict",
    title: "The tenant has as many deployments under way, or freezes, as it may",
    help: "Wait for some to end, roll back what is not needed, or raise `deployment.activeMax` or `deployment.freezesMax`.",
  },
  deployment_fenced: {
    kind: "conflict",
    title: "Somebody else has gone on with the deployment",
    help: "A newer state was applied in between; nothing of the old one was done. Read the deployment again.",
  },
} as const satisfies Record<string, CatalogueEntry>;
