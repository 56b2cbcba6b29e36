/** Histories of the disk log under faults. `HISTORIES` and `SEED` choose others than the default. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulateAll } from "../histories.testing.ts";
import { simulate } from "./simulation.ts";

const module = new URL("./simulation.ts", import.meta.url);

const first = Number(process.env.SEED ?? 1);
const histories = Number(process.env.HISTORIES ?? 1500);

test(`${histories} histories from seed ${first} keep every promise`, async () => {
  const { acknowledged, damaged, unknown } = await simulateAll({ module, first, count: histories });
  // What never happens is not tested.
  assert.ok(histories < 100 || (acknowledged! > histories && damaged! > 0 && unknown! > 0));
});

test("a history is a pure function of its seed", async () => {
  const lines = async () => {
    const trace: string[] = [];
    await simulate(7, { trace: (line) => trace.push(line) });
    return trace;
  };
  assert.deepEqual(await lines(), await lines());
});

for (const lie of ["sync", "truncate", "syncFolder"] as const) {
  test(`a disk whose ${lie} does nothing is found out`, async () => {
    const lying = simulateAll({ module, first: 1, count: 500, options: { lies: [lie] } });
    await assert.rejects(lying, /seed \d+/);
  });
}
