/**
 * A short form of the simulation in every test run; `npm run sim` has the long one. The last tests show that it notices
 * a store and a target that do not keep their promises.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nothing, simulate } from "./simulation.ts";

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.HISTORIES ?? 400);

describe("deployments on nodes that end and freeze", () => {
  it(`end as if nobody had disturbed them in ${histories} histories from seed ${first}`, async () => {
    const stats = nothing();
    for (let seed = first; seed < first + histories; seed++)
      await simulate(seed, {}, stats).catch((error) => {
        throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
      });
    // Histories in which nothing happens would prove nothing.
    const { deployments, kills, freezes, takeovers, rolledBack } = stats;
    assert.ok(deployments >= histories && rolledBack > histories / 4);
    assert.ok(kills > histories / 4 && freezes > histories / 10 && takeovers > histories / 10);
  });

  for (const lie of ["seq", "fence"] as const) {
    it(`are noticed to go wrong without ${lie === "seq" ? "conditional appends" : "the fence of the target"}`, async () => {
      for (let seed = 0; seed < 2_000; seed++) {
        const outcome = await simulate(seed, { lie }).catch((error) => error);
        if (outcome instanceof Error) return;
      }
      assert.fail("nothing was noticed");
    });
  }
});
