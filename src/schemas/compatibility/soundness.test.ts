/**
 * A short form of the fuzzing in every test run; the long one, every night:
 * `PAIRS=100000 node --test src/schemas/compatibility/soundness.test.ts`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPairs } from "./soundness.testing.ts";

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const pairs = Number(process.env.PAIRS ?? 150);

test(`no verdict of ${pairs} pairs from seed ${seed} is wrong, and few are left open`, () => {
  const tally = checkPairs(seed, pairs);
  const judged = pairs - tally.refused;
  // Pairs that are all of one kind, or mostly left open, would prove nothing.
  assert.ok(tally.compatible > judged / 10, `only ${tally.compatible} compatible`);
  assert.ok(tally.incompatible > judged / 10, `only ${tally.incompatible} incompatible`);
  assert.ok(tally.unknown <= 5 + judged / 20, `${tally.unknown} not decided`);
  process.stdout.write(`${JSON.stringify({ ...tally, reasons: [...tally.reasons] })}\n`);
});
