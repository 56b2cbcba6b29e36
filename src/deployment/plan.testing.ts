/** Strategies of every kind, for properties of plans and of what is decided by them. */
import fc from "fast-check";
import { type StrategySpec, strategies } from "./plan.ts";

export const anySpec: fc.Arbitrary<StrategySpec> = fc.record({
  strategy: fc.constantFrom(...strategies),
  phases: fc
    .uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 6 })
    .map((phases) => [...phases.sort((a, b) => a - b), 100]),
  bakeSeconds: fc.nat(10),
  bakeMaxSeconds: fc.nat(20),
  ackTimeoutSeconds: fc.integer({ min: 1, max: 10 }),
  probeSeconds: fc.nat(3),
  concurrency: fc.integer({ min: 1, max: 10 }),
  batchSize: fc.integer({ min: 1, max: 10 }),
  maxUnavailable: fc.integer({ min: 1, max: 10 }),
  intervalSeconds: fc.nat(3),
  smoke: fc.option(fc.constant({ path: "/", requests: 1 }), { nil: undefined }),
  verifySeconds: fc.nat(3),
  keepWarmSeconds: fc.nat(10),
  split: fc.integer({ min: 1, max: 99 }),
  isManual: fc.boolean(),
});
