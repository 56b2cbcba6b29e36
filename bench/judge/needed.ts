/**
 * How much traffic the judge needs: the requests of a canary after which three times the errors are found in 99 of 100
 * deployments, with all defaults. Printed as the table of docs/concepts/judging.md.
 *
 *   node bench/judge/needed.ts     RUNS=400 SEED=1
 */
import { seededRandom } from "../../src/core/random.ts";
import { begin, look } from "../../src/deployment/judge/judge.ts";
import { policyOf } from "../../src/deployment/judge/policy.ts";
import { binomial } from "./draw.ts";

const runs = Number(process.env.RUNS ?? 400);
const random = seededRandom(Number(process.env.SEED ?? 1));
const policy = policyOf();
const times = 3;

/** Requests of the canary until it is found; a look has about one error of the canary in two. */
function requestsUntilFound(rate: number, share: number): number {
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

const needed = (rate: number, share: number) => {
  const found = Array.from({ length: runs }, () => requestsUntilFound(rate, share)).sort((a, b) => a - b);
  return found[Math.ceil(0.99 * runs) - 1]!;
};

const shares = [0.05, 0.1, 0.3, 0.5];
const row = (cells: readonly (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);
row(["errors of the old version", ...shares.map((share) => `canary of ${share * 100} %`)]);
row(["---:", ...shares.map(() => "---:")]);
for (const rate of [0.0001, 0.001, 0.01, 0.05])
  row([
    `${rate * 100} %`,
    ...shares.map((share) => Number(needed(rate, share).toPrecision(2)).toLocaleString("en-US")),
  ]);
