/**
 * A short form of the simulation in every test run; `HISTORIES=… node src/messaging/delivery/delay.simulation.ts` is
 * the long one. The last tests show that the simulation notices a disk that lies about what it keeps.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simulate } from "./delay.simulation.ts";

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.HISTORIES ?? 300);

describe("messages that wait, over a failing disk", () => {
  it(`go once each and in order, in ${histories} histories from seed ${first}`, async () => {
    const total = { attempted: 0, acknowledged: 0, cancelled: 0, went: 0, recovered: 0 };
    for (let seed = first; seed < first + histories; seed++) {
      const stats = await simulate(seed);
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += stats[name];
    }
    // Histories in which nothing happens would prove nothing.
    assert.ok(total.went > 10 * histories, JSON.stringify(total));
    assert.ok(total.cancelled > histories / 4, JSON.stringify(total));
    assert.ok(total.recovered > histories / 4, JSON.stringify(total));
  });

  for (const lie of ["sync", "truncate", "syncFolder"] as const) {
    it(`are missed when ${lie} of the disk does nothing`, async () => {
      const seeds = Array.from({ length: 100 }, (_, i) => i);
      const outcomes = await Promise.allSettled(seeds.map((seed) => simulate(seed, { lies: [lie] })));
      assert.ok(outcomes.some(({ status }) => status === "rejected"));
    });
  }
});
