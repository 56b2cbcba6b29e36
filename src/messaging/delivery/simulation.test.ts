/**
 * A short form of the simulation in every test run; `HISTORIES=… node src/messaging/delivery/simulation.ts` is
 * the long one. The last tests show that the simulation notices a disk that lies about what it keeps.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simulateAll } from "../../stores/histories.testing.ts";

const module = new URL("./simulation.ts", import.meta.url);

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.HISTORIES ?? 600);

describe("publishing and delivery over a failing disk", () => {
  it(`loses, duplicates, reorders and invents nothing in ${histories} histories from seed ${first}`, async () => {
    const { delivered, redelivered, recovered } = await simulateAll({ module, first, count: histories });
    // Histories in which nothing happens would prove nothing.
    assert.ok(delivered! > 20 * histories, `only ${delivered} deliveries`);
    assert.ok(redelivered! > 2 * histories, `only ${redelivered} repeated deliveries`);
    assert.ok(recovered! > histories, `only ${recovered} recovered`);
  });

  for (const lie of ["sync", "truncate", "syncFolder"] as const) {
    it(`notices a disk whose ${lie} does nothing`, async () => {
      const lying = simulateAll({ module, first: 0, count: 60, options: { lies: [lie] } });
      await assert.rejects(lying, /seed \d+: /);
    });
  }
});
