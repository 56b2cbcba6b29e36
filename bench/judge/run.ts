/**
 * Judges side by side on the same simulated deployments: how often each rolls back a version that is no worse, and how
 * often and how soon it finds one that is. Everything follows from the seed; nothing is timed.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "../../src/core/random.ts";
import { begin, look, verdictOf } from "../../src/deployment/judge/judge.ts";
import { neededTable } from "./needed.ts";
import { plot } from "./plot.ts";
import { markdown, type Results, type Row, terminal } from "./report.ts";
import { policyFor, rules, toldOf } from "./rules.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { lookMs, type Observed, stream } from "./stream.ts";

const help = `Usage: npm run bench:judge -- [options]
  --runs N      deployments of each scenario (1000)
  --seed N      of everything (1)
  --only TEXT   only scenarios with this in their name
  --needed      only how many requests it takes to find three times the errors
  --save        also write results.md, results.json and results.svg beside this script`;

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    needed: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const median = (sorted: readonly number[]) => sorted[Math.floor(sorted.length / 2)];
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

/** The first look, from 1, at which the judge is sure that nothing is worse; undefined if it never is. */
function passedAt(scenario: Scenario, samples: readonly Observed[]): number | undefined {
  const policy = policyFor(scenario);
  let state = begin(policy);
  for (const [index, sample] of samples.entries()) {
    state = look(state, policy, toldOf(scenario, sample));
    if (verdictOf(state, policy, { elapsedMs: (index + 1) * lookMs }).outcome === "pass") return index + 1;
  }
  return undefined;
}

function streamsOf(scenario: Scenario, seed: number, runs: number, use: (samples: Observed[]) => void): void {
  // A generator for the scenario alone, so that --only gives the same figures.
  const random = seededRandom(seed * 1000 + scenarios.findIndex(({ name }) => name === scenario.name));
  for (let run = 0; run < runs; run++) use([...stream(random, scenario)]);
}

/**
 * What the best tests find that see the same counts, are told how much worse the canary is, and spend all of 1 % on
 * errors: the likelihood ratio, looked at every minute as ours is (Wald's test), and looked at once, at the end.
 */
function ceilingOf(scenario: Scenario, seed: number, runs: number): Row["ceiling"] {
  const isOfErrors = scenario.timesErrors !== 1 && scenario.counts === undefined;
  if (scenario.group !== "worse" || !isOfErrors) return undefined;
  const ratio = scenario.timesErrors;
  const pathOf = (samples: readonly Observed[]) => {
    let [sum, highest] = [0, 0];
    for (const { canary, control } of samples) {
      const share = canary.requests / (canary.requests + control.requests);
      const events = canary.errors + control.errors;
      sum += canary.errors * Math.log(ratio) - events * Math.log(share * ratio + 1 - share);
      highest = Math.max(highest, sum);
    }
    return { sum, highest };
  };
  const paths = (of: Scenario, from: number) => {
    const found: { sum: number; highest: number }[] = [];
    streamsOf(of, from, runs, (samples) => found.push(pathOf(samples)));
    return found;
  };
  const same = ascending(paths({ ...scenario, timesErrors: 1 }, seed + 1).map(({ sum }) => sum));
  const bar = same[Math.ceil(0.99 * runs) - 1]!;
  const worse = paths(scenario, seed + 2);
  return {
    everyMinute: worse.filter(({ highest }) => highest >= Math.log(100)).length / runs,
    atTheEnd: worse.filter(({ sum }) => sum > bar).length / runs,
  };
}

function simulate(scenario: Scenario, seed: number, runs: number): Row {
  const found = rules.map((): number[] => []);
  const passed: number[] = [];
  streamsOf(scenario, seed, runs, (samples) => {
    for (const [index, rule] of rules.entries()) {
      const isBad = rule.begin(scenario);
      const at = samples.findIndex(isBad);
      if (at >= 0) found[index]!.push(at + 1);
    }
    const at = scenario.group === "same" ? passedAt(scenario, samples) : undefined;
    if (at !== undefined) passed.push(at);
  });
  const ceiling = ceilingOf(scenario, seed, runs);
  return {
    ...{ scenario: scenario.name, group: scenario.group, isRequired: scenario.isRequired ?? false, runs },
    rules: rules.map(({ name }, index) => {
      const sorted = ascending(found[index]!);
      const slowest = sorted[Math.ceil(0.95 * sorted.length) - 1];
      return {
        ...{ name, rolledBack: sorted.length },
        ...(sorted.length > 0 && { medianMinutes: median(sorted)!, p95Minutes: slowest! }),
      };
    }),
    ...(ceiling !== undefined && { ceiling }),
    ...(scenario.group === "same" && {
      passed: passed.length,
      passMinutes: median(ascending(passed)) ?? null,
    }),
  };
}

function main(): void {
  const [seed, runs] = [Number(options.seed), Number(options.runs)];
  const rows: Row[] = [];
  for (const scenario of scenarios.filter(({ name }) => name.includes(options.only))) {
    const row = simulate(scenario, seed, runs);
    rows.push(row);
    console.log(terminal(row));
  }
  const results: Results = { seed, runs, rows };
  if (!options.save) return;
  const save = (name: string, text: string) => writeFileSync(join(import.meta.dirname, name), text);
  save("results.json", `${JSON.stringify(results, null, 1)}\n`);
  save("results.svg", plot(results));
  save("results.md", markdown(results));
}

if (options.help) console.log(help);
else if (options.needed) console.log(neededTable(Number(options.runs), Number(options.seed)));
else main();
