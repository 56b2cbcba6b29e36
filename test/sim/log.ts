/**
 * Histories of the disk log, as many as you like:
 *
 *   node test/sim/log.ts                        10,000 from a random seed
 *   SEED=42 HISTORIES=1 node test/sim/log.ts    replays one, line by line
 */
import { systemRandom } from "../../src/core/random.ts";
import { type HistoryStats, simulate } from "../../src/stores/log/simulation.ts";

const first = Number(process.env.SEED ?? systemRandom.below(1_000_000_000));
const histories = Number(process.env.HISTORIES ?? 10_000);
const total: Partial<HistoryStats> = {};
let failed = 0;
console.log(`seeds ${first} to ${first + histories - 1}`);
for (let seed = first; seed < first + histories; seed++) {
  try {
    const stats = await simulate(seed, histories === 1 ? { trace: console.log } : {});
    for (const key of Object.keys(stats) as (keyof HistoryStats)[])
      total[key] = (total[key] ?? 0) + stats[key];
  } catch (error) {
    failed += 1;
    console.error((error as Error).message);
    console.error(`replay: SEED=${seed} HISTORIES=1 node test/sim/log.ts`);
  }
}
console.log(total, `${failed} of ${histories} histories failed`);
process.exitCode = failed > 0 ? 1 : 0;
