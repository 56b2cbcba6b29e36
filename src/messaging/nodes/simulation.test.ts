/** A short form of the simulation; `HISTORIES=100000 node src/messaging/nodes/simulation.ts` is the long one. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Lie, simulate } from "./simulation.ts";

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.HISTORIES ?? 300);

suite("ownership of a topic among nodes that fail", () => {
  test(`one writer an epoch, nothing acknowledged lost, in ${histories} histories from seed ${first}`, () => {
    let acknowledged = 0;
    let takeovers = 0;
    for (let seed = first; seed < first + histories; seed++) {
      const outcome = simulate(seed);
      acknowledged += outcome.acknowledged;
      takeovers += outcome.takeovers;
    }
    // Histories in which nothing happens would prove nothing.
    assert.ok(acknowledged > 50 * histories, `only ${acknowledged} acknowledged`);
    assert.ok(takeovers > 2 * histories, `only ${takeovers} takeovers`);
  });

  for (const lie of ["fence", "lease"] satisfies Lie[]) {
    test(`notices that the ${lie} is missing`, () => {
      const isNoticed = (seed: number) => {
        try {
          simulate(seed, lie);
          return false;
        } catch {
          return true;
        }
      };
      assert.ok(Array.from({ length: 100 }, (_, seed) => seed).some(isNoticed));
    });
  }
});
