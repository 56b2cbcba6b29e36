/**
 * The long form of test/deployment/crash.test.ts, for nights: real nodes over a real PostgreSQL and Redis, of which the
 * one that carries the deployment is killed or frozen, once in each deployment.
 *
 *     COUNT=200 SEED=1 node test/sim/deployments.ts
 *
 * Ends with 1 at the first thing that is not sound. The seed gives the order of faults, not their moments.
 */
import { seededRandom } from "../../src/core/random.ts";
import { leaseMs, type Round, Rounds } from "../deployment/rounds.ts";

const count = Number(process.env.COUNT ?? 50);
const seed = Number(process.env.SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);
const random = seededRandom(seed);
const say = (text: string) => process.stdout.write(`${text}\n`);

const rounds = await Rounds.start(3, 10, random);
const done: Round[] = [];
try {
  for (let index = 0; index < count; index++) {
    const round = await rounds.run(random.below(4) === 0 ? "freeze" : "kill");
    done.push(round);
    const { fault, status, events, recoveredMs } = round;
    say(
      `${index + 1}/${count} ${fault}: ${status}, ${events} events, on after ${Math.round(recoveredMs ?? 0)} ms`,
    );
  }
  const waits = done.flatMap(({ recoveredMs }) => (recoveredMs === undefined ? [] : [recoveredMs]));
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  say(
    `seed ${seed}: ${count} faults, lease ${leaseMs} ms, went on after p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms`,
  );
} catch (error) {
  say(`seed ${seed}: ${error}`);
  process.exitCode = 1;
} finally {
  await rounds.close();
}
process.exit();
