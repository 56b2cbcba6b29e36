/**
 * What `hotswap demo` shows while a deployment runs: on a terminal a block that is drawn over and over, elsewhere a
 * line whenever something is different. Everything in it was read from the API; the demo itself knows nothing more.
 */
import { styleText } from "node:util";
import type { CohortTotals, Deployment, DeploymentMetrics } from "../../client/src/index.ts";
import type { Served } from "./demo-shop.ts";
import { grouped } from "./print.ts";

export interface Seen {
  readonly deployment: Deployment;
  readonly metrics: DeploymentMetrics;
  readonly customers: Readonly<Served>;
  readonly elapsedMs: number;
}

const barWidth = 40;

export class DemoScreen {
  readonly #stream: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  #drawn = 0;
  #last = "";

  constructor(stream: NodeJS.WriteStream, isQuiet: boolean) {
    this.#stream = stream;
    this.#isQuiet = isQuiet;
  }

  say(text: string): void {
    if (this.#isQuiet) return;
    this.#drawn = 0; // what was drawn stays
    this.#stream.write(`${text}\n`);
  }

  show(seen: Seen): void {
    if (this.#isQuiet) return;
    if (this.#stream.isTTY) this.#draw(blockOf(seen));
    else this.#tell(seen);
  }

  #draw(lines: readonly string[]): void {
    const back = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : "";
    this.#stream.write(`${back}${lines.map((line) => `\x1b[K${line}\n`).join("")}`);
    this.#drawn = lines.length;
  }

  #tell({ deployment, metrics }: Seen): void {
    const { status, share } = deployment;
    const key = `${status} ${share}`;
    if (key === this.#last) return;
    this.#last = key;
    this.say(`  ${status}, new version for ${share} % of the customers; ${rates(metrics)}`);
  }
}

function rates({ canary, control }: DeploymentMetrics): string {
  const of = ({ errorRate, requests }: CohortTotals) =>
    errorRate === null ? "no requests" : `${percent(errorRate)} errors of ${grouped(requests)}`;
  return `old ${of(control)}, new ${of(canary)}`;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function blockOf({ deployment, metrics, customers, elapsedMs }: Seen): string[] {
  const { status, share, phase, phases, verdicts } = deployment;
  const { canary, control } = metrics;
  const filled = Math.round((share / 100) * barWidth);
  const bar = styleText("magenta", "█".repeat(filled)) + styleText("blue", "█".repeat(barWidth - filled));
  const colour =
    status === "rolling_back" || status === "rolled_back" ? "red" : status === "succeeded" ? "green" : "bold";
  const cell = (text: string) => text.padEnd(26);
  const latency = ({ latencyMs }: CohortTotals) =>
    latencyMs === null ? "–" : `${latencyMs.p95.toFixed(0)} ms`;
  const errors = ({ errorRate, requests }: CohortTotals) =>
    errorRate === null ? "–" : `${percent(errorRate)} of ${grouped(requests)}`;
  const said = verdicts.at(-1);
  const row = (label: string, text: string) => `  ${styleText("dim", label.padEnd(10))} ${text}`;
  return [
    `  ${styleText(colour, status.replace("_", " "))}  phase ${phase} of ${phases}  ${(elapsedMs / 1000).toFixed(1)} s`,
    row("", `${bar}  ${styleText("magenta", `new ${share} %`)}`),
    row("", styleText("dim", `${cell("old version")}new version`)),
    row("errors", `${cell(errors(control))}${errors(canary)}`),
    row("p95", `${cell(latency(control))}${latency(canary)}`),
    row("judge", said ? shortened(`${said.outcome}: ${said.reasons.join("; ")}`) : "has not looked yet"),
    row(
      "customers",
      `${grouped(customers.requests)} served, ${grouped(customers.errors)} saw an error, ${customers.lost} were lost`,
    ),
  ];
}

/** To one line, which can be drawn over. */
const shortened = (text: string) => {
  const room = (process.stdout.columns ?? 100) - 16;
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
};
