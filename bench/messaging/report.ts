/** The same tables for a terminal and as Markdown. */
import { type Results, type Row, repeatedDeliveries, rowsOf, worstForeignCpus } from "./results.ts";
import type { Phase } from "./system.ts";
import { systemNamed } from "./systems.ts";

const headings = [
  "system",
  "at ack",
  "messages/s",
  "spread",
  "p50 ms",
  "p99 ms",
  "server CPU s",
  "client CPU s",
  "HotSwap ÷ this",
];

/** Headings before this one are of text, the rest of figures. */
const textColumns = 2;

const whole = (value: number) => Math.round(value).toLocaleString("en-US");

function cells(row: Row): string[] {
  return [
    row.title,
    row.promise,
    whole(row.perSecond),
    `${whole(row.slowest)}–${whole(row.fastest)}`,
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.serverCpuSeconds.toFixed(2),
    row.clientCpuSeconds.toFixed(2),
    row.ratio === undefined ? "–" : `${row.ratio.toFixed(2)}×`,
  ];
}

const captions: Readonly<Record<Phase, string>> = {
  publish: "Publish: until the acknowledgement",
  consume: "Consume and acknowledge what is stored",
};

export function terminalTable(results: Results): string {
  const sections = (["publish", "consume"] as const).map((phase) => {
    const table = [headings, ...rowsOf(results, phase).map(cells)];
    const widths = headings.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
    const lines = table.map((line) =>
      line
        .map((cell, column) =>
          column < textColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join("  "),
    );
    return `${captions[phase]}\n${lines.join("\n")}`;
  });
  return [...sections, ...notes(results)].join("\n\n");
}

function notes(results: Results): string[] {
  const { messages, rounds, warmUp, phaseSeconds, pinned } = results.plan;
  const placement = pinned ? "servers on CPU 0, clients on CPU 1" : "servers and clients share all CPUs";
  const foreign = worstForeignCpus(results).toFixed(2);
  const lines = [
    `${whole(messages)} messages of 1 KiB per phase (or what ${phaseSeconds} s allow) after ${whole(warmUp)} ` +
      `to warm up, ${rounds} interleaved rounds, median and spread; ${placement}. ` +
      "CPU seconds are per 100,000 messages.",
    `Other processes took up to ${foreign} CPUs during a phase that counts; a visit that was disturbed is ` +
      `repeated, up to twice. Messages delivered more than once: ${repeatedDeliveries(results)}.`,
  ];
  if (results.failures.length > 0) lines.push(`Failed: ${results.failures.join("; ")}`);
  return lines;
}

function markdownTable(lines: readonly (readonly string[])[], leftColumns: number): string {
  const [head, ...body] = lines.map((line) => `| ${line.join(" | ")} |`);
  const rule = `|${lines[0]!.map((_, column) => (column < leftColumns ? " --- " : " ---: ")).join("|")}|`;
  return [head, rule, ...body].join("\n");
}

export function markdown(results: Results): string {
  const { machine } = results;
  const versions = new Map(results.visits.map((visit) => [visit.system, visit.version]));
  const terms = [...versions].map(([name, version]) => {
    const { title, method, phases, consumeLatency } = systemNamed(name);
    const consumes = phases.includes("consume");
    return [title, version, method.publish, consumes ? method.consume : "–", consumes ? consumeLatency : "–"];
  });
  const termHeadings = ["system", "version", "publish", "consume", "consume latency spans"];
  const date = results.date.slice(0, 10);
  const sections = (["publish", "consume"] as const).map((phase) => {
    const rows = rowsOf(results, phase).map(cells);
    return `## ${captions[phase]}\n\n${markdownTable([headings, ...rows], textColumns)}`;
  });
  return `# Messaging, side by side

Written by \`npm run bench:messaging -- --save\` on ${date}; raw figures in [results.json](results.json).

![Rates of publish and consume](results.svg)

${[...sections, ...notes(results)].join("\n\n")}

## What each does

${markdownTable([termHeadings, ...terms], termHeadings.length)}

## Machine

${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ${machine.fileSystem},
Node ${machine.node}. One write of 500 KiB with fdatasync takes ${machine.flush500KiBMs.toFixed(2)} ms here (median),
so a flush per window of 500 allows ${whole(500_000 / machine.flush500KiBMs)} messages/s. A virtual disk may
acknowledge a flush that has not reached a medium.
`;
}
