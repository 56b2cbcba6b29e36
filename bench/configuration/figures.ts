/** What is measured of a system, and how it is printed. */

export interface Figures {
  told: { p50: number; p99: number; p999: number; max: number };
  connectSeconds: number;
  reconnectSeconds: number;
  kibPerConnection: number;
  /** Of the one version that all of them acknowledge as soon as they are told. */
  acked?: { toldP999: number; seconds: number };
  deploySeconds?: number;
}

export function quantiles(times: readonly number[]): Figures["told"] {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

export function table(results: readonly [string, Figures][], instances: number): string {
  const rows: [string, (figures: Figures) => string][] = [
    ["told, p50", ({ told }) => `${told.p50.toFixed(0)} ms`],
    ["told, p99", ({ told }) => `${told.p99.toFixed(0)} ms`],
    ["told, p99.9", ({ told }) => `${told.p999.toFixed(0)} ms`],
    ["told, last of all", ({ told }) => `${told.max.toFixed(0)} ms`],
    [
      "told, p99.9, where each acknowledges at once",
      ({ acked }) => (acked ? `${acked.toldP999.toFixed(0)} ms` : "–"),
    ],
    ["told, acknowledged and counted", ({ acked }) => (acked ? `${acked.seconds.toFixed(2)} s` : "–")],
    ["all connect", ({ connectSeconds }) => `${connectSeconds.toFixed(1)} s`],
    ["all come back at once", ({ reconnectSeconds }) => `${reconnectSeconds.toFixed(1)} s`],
    ["memory of a connection", ({ kibPerConnection }) => `${kibPerConnection.toFixed(1)} KiB`],
    ["direct deployment to all", ({ deploySeconds: s }) => (s === undefined ? "–" : `${s.toFixed(1)} s`)],
  ];
  const head = `| ${instances} instances | ${results.map(([name]) => name).join(" | ")} |\n|---|${results.map(() => "---:|").join("")}\n`;
  return (
    head +
    rows
      .map(([name, read]) => `| ${name} | ${results.map(([, each]) => read(each)).join(" | ")} |\n`)
      .join("")
  );
}
