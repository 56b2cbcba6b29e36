/** The results of a run as text: a line for the terminal, a page of tables. */
import { rules } from "./rules.ts";
import type { Scenario } from "./scenarios.ts";

export interface RuleResult {
  readonly name: string;
  readonly rolledBack: number;
  /** Of those that were rolled back. */
  readonly medianMinutes?: number;
  readonly p95Minutes?: number;
}

export interface Row {
  readonly scenario: string;
  readonly group: Scenario["group"];
  readonly isRequired: boolean;
  readonly runs: number;
  readonly rules: readonly RuleResult[];
  /** Shares that the best tests find that are told what to look for. */
  readonly ceiling?: { readonly everyMinute: number; readonly atTheEnd: number };
  /** How many HotSwap said pass for, and after how many minutes, median. */
  readonly passed?: number;
  readonly passMinutes?: number | null;
}

export interface Results {
  readonly seed: number;
  readonly runs: number;
  readonly rows: readonly Row[];
}

export const percent = (count: number, runs: number) => `${((100 * count) / runs).toFixed(1)} %`;

export function terminal({ scenario, runs, rules: results, ceiling, passed, passMinutes }: Row): string {
  const cells = results.map(({ name, rolledBack, medianMinutes }) => {
    const minutes = medianMinutes === undefined ? "" : ` (${medianMinutes} min)`;
    return `${name} ${percent(rolledBack, runs)}${minutes}`;
  });
  if (ceiling) cells.push(`ceiling ${percent(ceiling.everyMinute, 1)} / ${percent(ceiling.atTheEnd, 1)}`);
  if (passed !== undefined) cells.push(`passed ${percent(passed, runs)} (${passMinutes} min)`);
  return `${scenario}\n  ${cells.join(" · ")}`;
}

/** Wilson's upper limit of 97.5 %. */
export function atMost(count: number, runs: number): number {
  const z = 1.96;
  const rate = count / runs;
  const centre = rate + z ** 2 / (2 * runs);
  const spread = z * Math.sqrt((rate * (1 - rate)) / runs + z ** 2 / (4 * runs ** 2));
  return (centre + spread) / (1 + z ** 2 / runs);
}

const table = (head: readonly string[], body: readonly (readonly string[])[]) =>
  [head, head.map((_, column) => (column === 0 ? "---" : "---:")), ...body]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");

const names = rules.map(({ name }) => name);

function foundCell({ rolledBack, medianMinutes, p95Minutes }: RuleResult, runs: number): string {
  if (rolledBack === 0) return "0.0 %";
  return `${percent(rolledBack, runs)} · ${medianMinutes} / ${p95Minutes}`;
}

const CLUSTERS = `Each version has ten units, or what the scenario says. They go bad by themselves, one of
ten in 20 minutes, and answer with errors for a while; or all requests of one caller fail for a while, whatever version
answers; in the last scenario each unit is, by a chance of one in ten, worse than the others for good. Requests are not
independent then, and no judge that sees sums alone can know whether the version or the unit is to blame. HotSwap does,
as its targets say what each unit counted: of configurations each instance, of routes groups of callers, and backends.
Of slow requests and counters of a configuration likewise, in the last two; there the others are asked by errors and
latencies, as they are everywhere.
With three backends it comes to its end: the worst three of nine are the canary's once in 84 times, by chance.`;

export function markdown({ seed, runs, rows }: Results): string {
  const of = (group: Row["group"]) => rows.filter((row) => row.group === group);
  const falseRows = (group: Row["group"]) =>
    of(group).map((row) => [
      row.scenario,
      ...row.rules.map(({ rolledBack }) => percent(rolledBack, row.runs)),
    ]);
  const worst = Math.max(0, ...of("same").map((row) => row.rules[0]!.rolledBack));
  const required = rows.filter(({ isRequired }) => isRequired);
  const least = Math.min(...required.map((row) => row.rules[0]!.rolledBack));
  return `# Judges, side by side

Written by \`npm run bench:judge -- --save\` (seed ${seed}, ${runs} deployments of each scenario); raw figures in
[results.json](results.json). A deployment is 120 looks of a minute. Every rule sees the same requests. The scenario
says the error rate of the control, the requests per minute of both versions together, and the canary's share. Latency
is log-normal with a p50 of 40 ms and a p99 of 200 ms, in the buckets of the gateway.

Of versions that were no worse HotSwap rolled back ${worst} of ${runs} in the worst of ${of("same").length} scenarios; 1 %
is allowed, and with 97.5 % confidence it is below ${percent(atMost(worst, runs), 1)}. Of versions that were worse it
found at least ${percent(least, runs)} in the scenarios with a star; 99 % is asked for there.

![Rolled back, by scenario and judge](results.svg)

## No worse: false rollbacks

The last column is how many HotSwap promoted by itself within the two hours, and after how many minutes (median).

${table(
  ["scenario", ...names, "passed"],
  of("same").map((row, index) => [
    ...falseRows("same")[index]!,
    `${percent(row.passed!, row.runs)} · ${row.passMinutes ?? "–"}`,
  ]),
)}

## Worse: found, with the minutes until then (median / 95 of 100)

The ceiling is what the best tests find that see the same counts, are told how much worse the canary is, and spend all
of the 1 % on it: looking every minute, and looking once, at the end. Where the first is below 99 % there are too few
requests for a judge that may stop at any time; a larger share, or more time, is the remedy.

${table(
  ["scenario", ...names, "ceiling"],
  of("worse").map((row) => [
    `${row.scenario}${row.isRequired ? " *" : ""}`,
    ...row.rules.map((result) => foundCell(result, row.runs)),
    row.ceiling ? `${percent(row.ceiling.everyMinute, 1)} / ${percent(row.ceiling.atTheEnd, 1)}` : "–",
  ]),
)}

## No worse, but events come in clusters: false rollbacks

${CLUSTERS}

${table(["scenario", ...names], falseRows("clustered"))}

## What each does

${table(
  ["judge", "rule", "from"],
  rules.map(({ name, text, source }) => [name, text, source]),
).replace("| --- | ---: | ---: |", "| --- | --- | --- |")}

"Knowing" is what nobody has: thresholds set by the true error rate and latency. It shows how much of a fixed
threshold's result is the threshold. Argo Rollouts and Flagger were not run; their rules are, as their documentation
describes them. Kayenta judges twice in these two hours, so its earliest answer comes after the first.
`;
}
