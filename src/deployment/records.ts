/** What happened to a deployment, as the audit, the webhook and the metrics have it. */
import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { AnyTx } from "../stores/sql/port.ts";
import type { Event, State } from "./state.ts";
import type { DeploymentRow } from "./tables.ts";

/** What the engine does by itself is done in this name. */
export const ENGINE = "system:deployment";

/** An entry for each event, in the transaction that writes them. */
export async function auditEvents(
  audit: Pick<Audit, "record">,
  tx: AnyTx,
  row: DeploymentRow,
  events: readonly Event[],
): Promise<void> {
  const principal = { subject: ENGINE, tenant: row.tenant_id };
  for (const { type, ...payload } of events) {
    await audit.record(tx, {
      principal,
      action: `deployments.${type}`,
      resource: `deployments/${row.id}`,
      requestId: row.id,
      detail: { kind: row.kind, target: row.target, epoch: row.epoch, ...payload },
    });
  }
}

/** Who listens is told of the start and the end, in the transaction that writes them. */
export async function noticeEvents(
  notices: Approvals["notices"],
  tx: AnyTx,
  { id, tenant_id: tenant, kind, target, strategy, spec, state }: DeploymentRow,
  events: readonly Event[],
): Promise<void> {
  const about = {
    tenant,
    deployment: id,
    kind,
    target: spec.targetName ?? target,
    strategy,
    summary: spec.summary,
  };
  for (const event of events) {
    if (event.type === "started") await notices.add(tx, tenant, "deployment.started", about);
    if (event.type !== "ended") continue;
    const { cause, reason } = state.rollback ?? {};
    const end = { status: event.status, ...(cause !== undefined && { cause, reason }) };
    await notices.add(tx, tenant, "deployment.ended", { ...about, ...end });
  }
}

/** To be called once the events are committed. */
export function countEvents(
  metrics: Metrics,
  row: DeploymentRow,
  events: readonly Event[],
  after: State,
): void {
  const labels = { kind: row.kind, strategy: row.strategy };
  for (const event of events) {
    if (event.type === "started") metrics.counter("deployments_started_total").labels(labels).inc();
    if (event.type !== "ended") continue;
    if (event.status === "succeeded") metrics.counter("deployments_completed_total").labels(labels).inc();
    if (event.status === "failed") metrics.counter("deployments_failed_total").labels(labels).inc();
    if (event.status === "rolled_back") {
      const cause = after.rollback?.cause ?? "manual";
      metrics
        .counter("deployments_rolledback_total")
        .labels({ ...labels, cause })
        .inc();
    }
    if (after.startedAt === undefined || after.endedAt === undefined) continue;
    const seconds = (after.endedAt - after.startedAt) / 1000;
    metrics
      .histogram("deployment_duration_seconds")
      .labels({ ...labels, status: event.status })
      .observe(seconds);
  }
}
