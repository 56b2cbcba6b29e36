/** The table of a run: medians over its rounds, and the ratio to HAProxy of the same run. */
import type { Result } from "./load.ts";

export interface Row {
  readonly peer: string;
  readonly load: string;
  readonly result?: Result;
  /** Of an idle connection. */
  readonly bytes?: number;
}

export function markdown(rows: readonly Row[], machine: string, effort: string): string {
  const loads = [...new Set(rows.filter(({ result }) => result).map(({ load }) => load))];
  const names = [...new Set(rows.map(({ peer }) => peer))];
  const of = (peer: string, load: string, pick: (row: Row) => number) =>
    median(rows.filter((row) => row.peer === peer && row.load === load).map(pick));
  const lines = loads.flatMap((load) =>
    names.map((peer) => {
      const perSecond = of(peer, load, ({ result }) => result!.perSecond);
      const ratio = perSecond / of("HAProxy", load, ({ result }) => result!.perSecond);
      const p99 = of(peer, load, ({ result }) => result!.p99Ms);
      const cpu = of(peer, load, ({ result }) => result!.cpuSecondsPer100k);
      const errors = of(peer, load, ({ result }) => result!.errors);
      const cells = [
        load,
        peer,
        Math.round(perSecond).toLocaleString("en"),
        Number.isFinite(ratio) ? ratio.toFixed(2) : "–",
      ];
      return `| ${[...cells, p99.toFixed(2), cpu.toFixed(2), errors].join(" | ")} |`;
    }),
  );
  const idle = names.map(
    (peer) => `${peer} ${(of(peer, "idle connection", ({ bytes }) => bytes!) / 1024).toFixed(1)} KiB`,
  );
  return `# Gateway, side by side

${machine}. ${effort}, 64 connections, proxy on one CPU, load and backend on the other.

| load | proxy | per second | to HAProxy | p99 ms | CPU s per 100,000 | errors |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
${lines.join("\n")}

Memory of an idle client connection: ${idle.join(", ")}.
`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
