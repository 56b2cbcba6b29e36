/** Histories of the disk log under faults. `HISTORIES` and `SEED` choose others than the default. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulation.ts";

const first = Number(process.env.SEED ?? 1);
const histories = Number(process.env.HISTORIES ?? 1500);

test(`${histories} histories from seed ${first} keep every promise`, async () => {
  let acknowledged = 0;
  let damaged = 0;
  let unknown = 0;
  for (let seed = first; seed < first + histories; seed++) {
    const stats = await simulate(seed);
    acknowledged += stats.acknowledged;
    damaged += stats.damaged;
    unknown += stats.unknown;
  }
  // What never happens is not tested.
  assert.ok(histories < 100 || (acknowledged > histories && damaged > 0 && unknown > 0));
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
    for (let seed = 1; seed <= 500; seed++) {
      const found = await simulate(seed, { lies: [lie] }).then(
        () => false,
        () => true,
      );
      if (found) return;
    }
    assert.fail("500 histories saw nothing");
  });
}
