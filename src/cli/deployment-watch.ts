/** A deployment as it goes: events as lines, and below them, on a terminal, one line that is drawn anew. */
import { stripVTControlCharacters, styleText } from "node:util";
import type {
  DeploymentEvent,
  DeploymentProgress,
  DeploymentVerdict,
  HotSwap,
} from "../../client/src/index.ts";
import { written } from "./print.ts";

/** Until its end. Exit code 1 unless it succeeded. */
export async function watch(client: HotSwap, id: string, isJson: boolean): Promise<void> {
  const line = new StatusLine();
  let status = "";
  try {
    for await (const event of client.deployments.events(id)) {
      if (isJson) await written(`${JSON.stringify(event)}\n`);
      else if (event.type === "progress") line.draw(statusText(event as unknown as Progress));
      else line.say(eventText(event));
      if (event.type === "ended") status = String(event.status);
    }
  } finally {
    line.end();
  }
  if (status === "") status = (await client.deployments.get(id)).status;
  if (status !== "succeeded") process.exitCode = 1;
}

/** What a `progress` event says. */
export interface Progress {
  status: string;
  phase: number;
  phases: number;
  share: number;
  holdReasons: string[];
  progress: DeploymentProgress | null;
  verdict: DeploymentVerdict | null;
  trouble: { message: string } | null;
}

const barWidth = 24;

export function statusText({ status, phase, phases, share, holdReasons, ...seen }: Progress): string {
  const { progress, verdict, trouble } = seen;
  const done = Math.round((share / 100) * barWidth);
  const colour = status === "rolling_back" ? "yellow" : "green";
  // Told apart by its strokes too, where there are no colours.
  const bar = styleText(colour, "━".repeat(done)) + styleText("dim", "─".repeat(barWidth - done));
  const held = holdReasons.length > 0 ? ` (${holdReasons.join(", ")})` : "";
  const units =
    progress && progress.units > 0 ? `${progress.applied} of ${progress.units} run it` : undefined;
  const failed = progress && progress.failed > 0 ? styleText("red", `${progress.failed} failed`) : undefined;
  const parts = [
    `${bar} ${share} %`,
    `phase ${phase} of ${phases}`,
    `${status}${held}`,
    units,
    failed,
    verdict ? verdictText(verdict) : undefined,
    trouble ? styleText("red", trouble.message) : undefined,
  ];
  return parts.filter((part) => part !== undefined).join("  ");
}

function verdictText({ outcome, reasons, evidence = [] }: DeploymentVerdict): string {
  const colour = { pass: "green", fail: "red", insufficient: "dim", inconclusive: "yellow" } as const;
  const errors = evidence.find(({ name }) => name === "errors") as
    | { canary: { rate: number | null }; control: { rate: number | null } }
    | undefined;
  const rate = (value: number | null | undefined) => (value == null ? "–" : `${(value * 100).toFixed(1)} %`);
  const rates = errors
    ? `errors ${rate(errors.canary.rate)} against ${rate(errors.control.rate)}`
    : reasons[0];
  return `${styleText(colour[outcome], outcome)}${rates ? `: ${rates}` : ""}`;
}

export function eventText({ seq: _, at, type, ...event }: DeploymentEvent): string {
  const time = styleText("dim", at?.slice(11, 19) ?? "");
  return `${time} ${whatOf(type, event)}`;
}

function whatOf(type: string, event: Record<string, unknown>): string {
  const because = typeof event.reason === "string" ? `: ${event.reason}` : "";
  const why = typeof event.why === "string" ? ` (${event.why})` : "";
  const detail = typeof event.detail === "string" ? `: ${event.detail}` : "";
  const by = typeof event.by === "string" ? ` by ${event.by}` : "";
  switch (type) {
    case "created":
      return "created";
    case "held":
      return `held, ${event.reason}${detail}`;
    case "released":
      return `released, ${event.reason}${by}`;
    case "started":
      return `started, ${(event.plan as unknown[]).length} steps`;
    case "step":
      return `step ${Number(event.index) + 1}${why}`;
    case "exposed":
      return `exposed, generation ${event.generation}`;
    case "applied":
      return "taken up";
    case "smoked":
      return (event.failures as unknown[]).length === 0 ? "smoke test passed" : "smoke test failed";
    case "promoted":
      return `promoted${event.full ? " to the end" : ""}${by}${because}`;
    case "rollback":
      return styleText("yellow", `rolling back, ${event.cause}${by}${because}`);
    case "settling":
      return event.version === "to"
        ? "the new version comes into force"
        : "the old version comes back into force";
    case "ended":
      return styleText(event.status === "succeeded" ? "green" : "red", `${event.status}${detail}`);
    default:
      return type;
  }
}

/** Redrawn in place on a terminal; absent elsewhere, where the events say enough. */
class StatusLine {
  #shown = "";

  draw(text: string): void {
    if (!process.stdout.isTTY) return;
    const columns = process.stdout.columns ?? 80;
    const plain = stripVTControlCharacters(text);
    this.#shown = plain.length < columns ? text : plain.slice(0, columns - 1);
    process.stdout.write(`\r\x1b[K${this.#shown}`);
  }

  /** Above the line. */
  say(text: string): void {
    const below = this.#shown;
    this.end();
    process.stdout.write(`${text}\n`);
    if (below !== "") this.draw(below);
  }

  end(): void {
    if (this.#shown !== "") process.stdout.write("\r\x1b[K");
    this.#shown = "";
  }
}
