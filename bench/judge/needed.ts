/**
 * How much traffic the judge needs: the requests of a canary after which three times the errors are found in 99 of 100
 * deployments, with all defaults: the table of docs/concepts/judging.md.
 */
import { type Random, seededRandom } from "../../src/core/random.ts";
import { begin, look } from "../../src/deployment/judge/judge.ts";
import { policyOf } from "../../src/deployment/judge/policy.ts";
import { binomial } from "./draw.ts";

const policy = policyOf();
const times = 3;

/** Requests of the canary until it is found; a look has about one error of the canary in two. */
function requestsUntilFound(random: Random, rate: number, share: number): number {
  const canary = Math.ceil(0.5 / (times * rate));
  const control = Math.round((canary * (1 - share)) / share);
  let state = begin(policy);
  for (let looks = 1; ; looks++) {
    state = look(state, policy, {
      at: looks * 60_000,
      canary: { requests: canary, errors: binomial(random, canary, times * rate) },
      control: { requests: control, errors: binomial(random, control, rate) },
    });
    if (state.failed.length > 0) return looks * canary;
  }
}

const shares = [0.05, 0.1, 0.3, 0.5];
const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;

export function neededTable(runs: number, seed: number): string {
  const random = seededRandom(seed);
  const needed = (rate: number, share: number) => {
    const found = Array.from({ length: runs }, () => requestsUntilFound(random, rate, share));
    const most = found.sort((a, b) => a - b)[Math.ceil(0.99 * runs) - 1]!;
    return Number(most.toPrecision(2)).toLocaleString("en-US");
  };
  return [
    row(["errors of the old version", ...shares.map((share) => `canary of ${share * 100} %`)]),
    row(["---:", ...shares.map(() => "---:")]),
    ...[0.0001, 0.001, 0.01, 0.05].map((rate) =>
      row([`${rate * 100} %`, ...shares.map((share) => needed(rate, share))]),
    ),
  ].join("\n");
}
