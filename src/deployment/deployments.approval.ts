/**
 * What an approver of a deployment agrees to: exactly this version, to this target, in this way. Another plan or
 * version is another content, so an edit never slips through.
 */
import type { DeploymentRow, FreezeOverride } from "./tables.ts";

export const approvalSubject = (id: string) => ({ kind: "deployment", resource: `deployments/${id}` });
export const freezeSubject = (id: string) => ({ kind: "deployment.freeze", resource: `deployments/${id}` });

/** To go on in spite of exactly these freezes. */
export const freezeContent = (
  deployment: string,
  { freezes, reason, by }: Omit<FreezeOverride, "isGiven">,
) => ({
  ...{ deployment, freezes, reason, by },
});

type Approved = Pick<DeploymentRow, "kind" | "target" | "environment" | "version_to" | "spec">;

export function approvalContent({ kind, target, environment, version_to, spec }: Approved) {
  const { summary, strategy, analysis, failureBudget, startAt, seed } = spec;
  return {
    target: { kind, name: target, environment },
    version: version_to,
    summary,
    plan: { ...strategy, analysis, failureBudget, seed, ...(startAt !== undefined && { startAt }) },
  };
}
