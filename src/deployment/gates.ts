/**
 * What is stored elsewhere and says whether a deployment may go on: its time, freezes, the other deployments of its
 * target, what it requires, and its group. Read anew for every decision, so that a gate opens and closes by itself.
 */
import type { Approval } from "../platform/approvals/index.ts";
import type { Gates } from "./decide.ts";
import type { Requirement } from "./deployments.schema.ts";
import * as rows from "./deployments.sql.ts";
import { selectFreezesOf } from "./freezes.sql.ts";
import { type Event, isEnded } from "./state.ts";
import type { DeploymentRow, DeploymentTx } from "./tables.ts";

export async function readGates(
  tx: DeploymentTx,
  row: DeploymentRow,
  approval: Gates["approval"],
  now: number,
): Promise<Gates> {
  const isPending = row.state.startedAt === undefined;
  const members = row.group_id === null ? [] : await rows.selectGroup(tx, row.tenant_id, row.group_id);
  const others = members.filter(({ id }) => id !== row.id);
  const { startAt } = row.spec;
  return {
    approval,
    schedule:
      startAt !== undefined && startAt > now ? `It starts at ${new Date(startAt).toISOString()}.` : undefined,
    freeze: await freezeOf(tx, row),
    queue: isPending ? await queueOf(tx, row) : undefined,
    dependency: isPending ? await dependencyOf(tx, row) : met,
    group: groupOf(others),
    mayRollBack: laterOf(row, others) === undefined,
  };
}

const met = { state: "met", detail: "" } as const;

/** A request that can no longer lead to the start is as good as a refusal. */
export function approvalGate(row: DeploymentRow, approval: Approval | undefined): Gates["approval"] {
  if (!row.spec.needsApproval) return "given";
  switch (approval?.state) {
    case "approved":
    case "used":
      return "given";
    case "pending":
      return "open";
    default:
      return "refused";
  }
}

async function freezeOf(tx: DeploymentTx, row: DeploymentRow): Promise<string | undefined> {
  const { freeze_override: override } = row;
  const freezes = await selectFreezesOf(tx, row.tenant_id, row);
  const closed = freezes.find(({ id }) => !(override?.isGiven && override.freezes.includes(id)));
  return closed && `Frozen until ${closed.to_at.toISOString()}: ${closed.reason}`;
}

async function queueOf(tx: DeploymentTx, row: DeploymentRow): Promise<string | undefined> {
  const ahead = aheadOf(row, await rows.selectOpenOf(tx, row.tenant_id, row.kind, row.target));
  return ahead && `Deployment ${ahead.id} of the same target is under way.`;
}

/** Who of the open ones of its target has begun, or came first and waits for nothing else. */
export function aheadOf(row: DeploymentRow, open: readonly DeploymentRow[]): DeploymentRow | undefined {
  const waitsForNothing = ({ state }: DeploymentRow) => state.holds.every(({ reason }) => reason === "queue");
  return open.find(
    (other) => other.id !== row.id && (other.occupies || (other.id < row.id && waitsForNothing(other))),
  );
}

/** Who of its group rolls back before it. */
export function laterOf(row: DeploymentRow, others: readonly DeploymentRow[]): DeploymentRow | undefined {
  return others.find((other) => other.id > row.id && other.occupies);
}

async function dependencyOf(tx: DeploymentTx, row: DeploymentRow): Promise<Gates["dependency"]> {
  let waits: Gates["dependency"] = met;
  for (const requirement of row.spec.requires) {
    const gate = await requirementOf(tx, row, requirement);
    if (gate.state === "failed") return gate;
    if (gate.state === "pending" && waits === met) waits = gate;
  }
  return waits;
}

async function requirementOf(
  tx: DeploymentTx,
  { tenant_id: tenant }: DeploymentRow,
  requirement: Requirement,
): Promise<Gates["dependency"]> {
  if ("deployment" in requirement) {
    const other = await rows.selectDeployment(tx, tenant, requirement.deployment);
    if (other?.status === "succeeded") return met;
    const detail = `It requires deployment ${requirement.deployment}, which is ${other?.status ?? "gone"}.`;
    return { state: !other || isEnded(other) ? "failed" : "pending", detail };
  }
  const { kind, target, version } = requirement;
  const last = await rows.selectSucceeded(tx, tenant, kind, target);
  if (last && isAtLeast(last.version_to.id, version)) return met;
  const now = last ? `version ${last.version_to.id}` : "no version by a deployment";
  return {
    state: "pending",
    detail: `It requires version ${version} of ${kind} ${target}, which has ${now}.`,
  };
}

/** Numbered versions grow; others are the same or not. */
function isAtLeast(version: string, wanted: string): boolean {
  const isNumbered = /^\d+$/.test(version) && /^\d+$/.test(wanted);
  return isNumbered ? Number(version) >= Number(wanted) : version === wanted;
}

export function groupOf(others: readonly DeploymentRow[]): Gates["group"] {
  if (others.some(({ state }) => state.settling === "to")) return { state: "settled", detail: "" };
  const gone = others.find(
    ({ status, state }) => state.rollback || (isEnded({ status }) && status !== "succeeded"),
  );
  if (gone) return { state: "failed", detail: `${gone.spec.summary} of the same group is ${gone.status}.` };
  const behind = others.find(({ status, state }) => status !== "succeeded" && !isAtEnd(state));
  if (behind)
    return { state: "pending", detail: `${behind.spec.summary} of the same group is ${behind.status}.` };
  return { state: "end", detail: "", warmMs: Math.max(0, ...others.map(({ state }) => warmMsOf(state))) };
}

function warmMsOf({ plan, step }: DeploymentRow["state"]): number {
  const last = plan[step];
  return last?.kind === "retire" ? last.delayMs : 0;
}

/** Another of its group has settled: it waits at the end for the same, and cannot go back either. */
export function isCommitted({ state }: DeploymentRow, others: readonly DeploymentRow[]): boolean {
  return isAtEnd(state) && groupOf(others).state === "settled";
}

/** Whether these may be written as the group is now, locked: it was read before the decision. */
export function groupAllows(
  row: DeploymentRow,
  events: readonly Event[],
  others: readonly DeploymentRow[],
): boolean {
  const { state } = groupOf(others);
  return events.every((event) => {
    if (event.type === "rollback") return !isCommitted(row, others);
    return event.type !== "settling" || event.version === "from" || state === "end" || state === "settled";
  });
}

const isAtEnd = ({ plan, step }: DeploymentRow["state"]) => plan[step]?.kind === "retire";
