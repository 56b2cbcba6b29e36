/** The table of a run: medians over its rounds, and ratios to HAProxy of the same run. */
import type { Result } from "./load.ts";

export interface Row {
  readonly peer: string;
  readonly load: string;
  readonly result?: Result;
  /** Of an idle connection. */
  readonly bytes?: number;
}

export interface Effort {
  readonly effort: string;
  /** Connections of the idle load. */
  readonly idle: number;
}

/** The medians of one proxy under one load. */
export interface Summary extends Result {
  readonly peer: string;
  readonly load: string;
}

export function summaries(rows: readonly Row[]): Summary[] {
  const measured = rows.filter((row): row is Row & { result: Result } => row.result !== undefined);
  const loads = [...new Set(measured.map(({ load }) => load))];
  const names = [...new Set(measured.map(({ peer }) => peer))];
  return loads.flatMap((load) =>
    names.map((peer) => {
      const own = measured.filter((row) => row.peer === peer && row.load === load);
      const of = (name: keyof Result) => median(own.map(({ result }) => result[name]));
      const [perSecond, p99Ms, cpuSecondsPer100k] = [of("perSecond"), of("p99Ms"), of("cpuSecondsPer100k")];
      return { peer, load, perSecond, p99Ms, cpuSecondsPer100k, errors: of("errors") };
    }),
  );
}

export function markdown(rows: readonly Row[], machine: string, { effort, idle }: Effort): string {
  const all = summaries(rows);
  const lines = all.map(({ peer, load, perSecond, p99Ms, cpuSecondsPer100k, errors }) => {
    const haproxy = all.find((other) => other.load === load && other.peer === "HAProxy");
    const cells = [
      ...[load, peer, Math.round(perSecond).toLocaleString("en"), ratio(perSecond, haproxy?.perSecond)],
      ...[p99Ms.toFixed(2), ratio(p99Ms, haproxy?.p99Ms)],
      ...[cpuSecondsPer100k.toFixed(2), ratio(cpuSecondsPer100k, haproxy?.cpuSecondsPer100k), errors],
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const memory = rows
    .filter(({ bytes }) => bytes !== undefined)
    .map(({ peer, bytes }) => `${peer} ${(bytes! / 1024).toFixed(1)} KiB`);
  return `# Gateway, side by side

${machine}. ${effort}, 64 connections, one worker on one CPU, load and backend on the other.
Each ratio is to HAProxy under the same load; of time and CPU less is better. HotSwap has health checks, breaker,
counters and access log on, nginx its access log.

![Requests per second](results.svg)

| load | proxy | per second | ratio | p99 ms | ratio | CPU s per 100,000 | ratio | errors |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${lines.join("\n")}

Resident memory of each of ${idle.toLocaleString("en")} idle client connections: ${memory.join(", ")}.
`;
}

const ratio = (value: number, to: number | undefined) => (to ? (value / to).toFixed(2) : "–");

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
