/**
 * Nodes that carry deployments are killed and frozen in the middle of them; the others go on. The short form of
 * test/sim/deployments.ts; HOTSWAP_TEST_SEED replays its order of faults.
 */
import { after, before, test } from "node:test";
import { seededRandom } from "../../src/core/random.ts";
import { type Fault, Rounds } from "./rounds.ts";

const seed = Number(process.env.HOTSWAP_TEST_SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);
const faults: Fault[] = ["kill", "freeze", "kill"];

let rounds: Rounds;
before(async () => {
  rounds = await Rounds.start(2, 6, seededRandom(seed));
});
after(() => rounds?.close());

const name = `a deployment goes on exactly where it was when its node is killed or frozen (seed ${seed})`;
test(name, { timeout: 220_000 }, async (t) => {
  for (const fault of faults) {
    const { status, events, recoveredMs } = await rounds.run(fault);
    const after =
      recoveredMs === undefined ? "it was done" : `${Math.round(recoveredMs)} ms later it went on`;
    t.diagnostic(`${fault}: ${after}; ${status} with ${events} events`);
  }
});
