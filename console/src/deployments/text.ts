/** Words and colours for what a deployment is and does. */
import type { DeploymentEvent, DeploymentStatus } from "../../../client/src/index.ts";
import type { Tone } from "../parts/state.tsx";

export const toneOfDeployment: Record<DeploymentStatus, Tone> = {
  pending: "plain",
  running: "warn",
  held: "warn",
  rolling_back: "bad",
  succeeded: "good",
  rolled_back: "bad",
  cancelled: "plain",
  failed: "bad",
};

export const toneOfOutcome: Record<string, Tone> = {
  pass: "good",
  fail: "bad",
  insufficient: "plain",
  inconclusive: "warn",
};

export const wordOf = (status: string): string => status.replaceAll("_", " ");

export const percent = (value: number): string => `${Math.round(value * 100) / 100} %`;

export const rateText = (rate: number | null): string => (rate === null ? "–" : percent(rate * 100));

const sentence = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

/** By reason. */
const heldText: Readonly<Record<string, string>> = {
  manual: "Waits for a person",
  approval: "Waits for an approval",
  schedule: "Waits for its time",
  freeze: "Held by a freeze",
  queue: "Waits for its turn",
  dependency: "Waits for others",
  inconclusive: "Held, as the judge is undecided",
};

/** A line of the timeline for each event. */
export function eventText(event: DeploymentEvent, plan: readonly Record<string, unknown>[]): string {
  const text = (name: string) => (event[name] === undefined ? "" : String(event[name]));
  const after = (name: string) => (event[name] === undefined ? "" : `: ${text(name)}`);
  switch (event.type) {
    case "created":
      return "Asked for";
    case "held":
      return `${heldText[text("reason")] ?? `Held by ${text("reason")}`}${after("detail")}`;
    case "released":
      return event.reason === "manual" ? "Goes on" : `No longer held by ${text("reason")}`;
    case "started":
      return "Began";
    case "step":
      return `${stepText(plan[Number(event.index)])}${event.why === undefined ? "" : ` (${text("why")})`}`;
    case "exposed":
      return Number(event.bound) === 0
        ? "Nobody has the new version"
        : `Exposed: the first ${percent((Number(event.bound) / 2 ** 32) * 100)} of all positions`;
    case "applied":
      return "The target has taken it up";
    case "smoked":
      return (event.failures as unknown[]).length === 0 ? "The smoke test passed" : "The smoke test failed";
    case "promoted":
      return `Promoted by ${text("by")}${after("reason")}`;
    case "rollback":
      return `Rolled back by ${event.by === undefined ? `itself (${text("cause")})` : text("by")}${after("reason")}`;
    case "settling":
      return event.version === "to"
        ? "The new version becomes the only one"
        : "The old version becomes the only one";
    case "ended":
      return `${sentence(wordOf(text("status")))}${after("detail")}`;
    default:
      return event.type;
  }
}

export function stepText(step: Record<string, unknown> | undefined): string {
  switch (step?.kind) {
    case "expose":
      if (step.count !== undefined) return `Expose ${step.count === 1 ? "one unit" : `${step.count} units`}`;
      return Number(step.share) === 0
        ? "Prepare the new version"
        : `Expose ${percent(Number(step.share) * 100)}`;
    case "bake":
      return `Watch for ${seconds(step.minMs)}${step.checks === "winner" ? " or until one wins" : ""}`;
    case "gate":
      return "Wait for a promotion";
    case "smoke":
      return "Try the new version with requests of our own";
    case "switch":
      return "Switch everybody";
    case "retire":
      return Number(step.delayMs) > 0
        ? `Keep the old version for ${seconds(step.delayMs)}`
        : "Drop the old version";
    default:
      return "–";
  }
}

const seconds = (ms: unknown) => `${Math.round(Number(ms) / 100) / 10} s`;
