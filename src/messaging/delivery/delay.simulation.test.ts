/**
 * A short form of the simulation in every test run; `HISTORIES=… node src/messaging/delivery/delay.simulation.ts` is
 * the long one. The last tests show that the simulation notices a disk that lies about what it keeps.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simulateAll } from "../../stores/histories.testing.ts";

const module = new URL("./delay.simulation.ts", import.meta.url);

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.HISTORIES ?? 300);

describe("messages that wait, over a failing disk", () => {
  it(`go once each and in order, in ${histories} histories from seed ${first}`, async () => {
    const total = await simulateAll({ module, first, count: histories });
    // Histories in which nothing happens would prove nothing.
    assert.ok(total.went! > 10 * histories, JSON.stringify(total));
    assert.ok(total.cancelled! > histories / 4, JSON.stringify(total));
    assert.ok(total.recovered! > histories / 4, JSON.stringify(total));
  });

  for (const lie of ["sync", "truncate", "syncFolder"] as const) {
    it(`are missed when ${lie} of the disk does nothing`, async () => {
      const lying = simulateAll({ module, first: 0, count: 100, options: { lies: [lie] } });
      await assert.rejects(lying, /seed \d+: /);
    });
  }
});
