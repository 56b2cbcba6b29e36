/** Both versions beside each other: rates over time, and the evidence of the judge. */
import { useMemo } from "preact/hooks";
import type { Deployment, DeploymentHealth, MetricEvidence } from "../../../client/src/index.ts";
import { exact } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Series } from "../series.ts";
import { rateText, toneOfOutcome } from "./text.ts";

interface CohortsProps {
  deployment: Deployment;
  health: readonly DeploymentHealth[];
}

export function Cohorts({ deployment, health }: CohortsProps) {
  const errors = useMemo(() => new Series<"canary" | "control">(["canary", "control"]), [deployment.id]);
  const requests = useMemo(() => new Series<"canary" | "control">(["canary", "control"]), [deployment.id]);
  let before: number | undefined;
  for (const { at, canary, control } of health) {
    const seconds = Date.parse(at) / 1000;
    const elapsed = before === undefined ? 1 : Math.max(0.001, seconds - before);
    before = seconds;
    errors.add(seconds, { canary: failing(canary), control: failing(control) });
    requests.add(seconds, { canary: canary.requests / elapsed, control: control.requests / elapsed });
  }
  const verdict = deployment.verdicts.at(-1);
  return (
    <>
      {health.length > 0 && (
        <div class="charts">
          <Chart
            title="Share of requests that fail"
            series={errors}
            lines={lines}
            format={rateText}
            syncKey={deployment.id}
          />
          <Chart
            title="Requests per second"
            series={requests}
            lines={lines}
            format={exact}
            syncKey={deployment.id}
          />
        </div>
      )}
      {verdict && (
        <section class="panel">
          <h2>
            What the judge says{" "}
            <State tone={toneOfOutcome[verdict.outcome] ?? "plain"}>{verdict.outcome}</State>
          </h2>
          {verdict.reasons.map((reason) => (
            <p key={reason}>{reason}</p>
          ))}
          {deployment.hint && <p class="muted">{deployment.hint}</p>}
        </section>
      )}
      {verdict?.evidence && verdict.evidence.length > 0 && (
        <Table title="Evidence" rows={verdict.evidence} columns={columns} keyOf={({ name }) => name} />
      )}
    </>
  );
}

const lines = [
  { name: "canary", label: "new", color: 2 },
  { name: "control", label: "old", color: 1 },
] as const;

const failing = ({ requests, errors }: { requests: number; errors: number }) =>
  requests > 0 ? errors / requests : null;

const columns: readonly Column<MetricEvidence>[] = [
  { head: "Metric", cell: ({ name }) => name },
  { head: "New", isNumber: true, cell: ({ canary }) => rateText(canary.rate) },
  { head: "of requests", isNumber: true, cell: ({ canary }) => exact(canary.requests) },
  { head: "Old", isNumber: true, cell: ({ control }) => rateText(control.rate) },
  { head: "of these", isNumber: true, cell: ({ control }) => exact(control.requests) },
  {
    head: "Evidence of harm",
    isNumber: true,
    cell: ({ eValue, threshold }) =>
      `${eValue < 1000 ? eValue.toFixed(2) : eValue.toExponential(1)} of ${exact(threshold)}`,
  },
  { head: "At most worse by", isNumber: true, cell: ({ bound }) => rateText(bound) },
];
