/** Two nodes, of which each decides by itself, give a caller together what one may give. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { MemoryKv } from "../stores/kv/memory.ts";
import type { LimitLevel } from "./proxy/data-plane.ts";
import { LIMIT_BYTES, LimitUses, RateLimits } from "./proxy/limits.ts";
import { SharedLimits } from "./shared-limits.ts";

const burst = 20;
const perSecond = 10;
const everyMs = 100;

/** A node's table, its share in the store, and a caller of it. */
function node(clock: ManualClock, store: MemoryKv, isAway: () => boolean) {
  const memory = new SharedArrayBuffer(LIMIT_BYTES);
  const [table, uses] = [new RateLimits(memory), new LimitUses(memory)];
  const reach = async <Answer>(ask: () => Answer) => {
    if (isAway()) throw new HotSwapError("store_unavailable", "gone");
    return ask();
  };
  const kv = {
    shared: true,
    gcra: (...asked: Parameters<MemoryKv["gcra"]>) => reach(() => store.gcra(...asked)),
    ping: () => reach(() => {}),
  };
  const plane = {
    limitUses: (max: number) => uses.take(max),
    raiseLimits: (levels: readonly LimitLevel[], now: number) => {
      for (const level of levels) uses.raise(level, now);
    },
  };
  const errors: unknown[] = [];
  const limits = new SharedLimits({ kv, plane, clock, onError: (error) => errors.push(error) });
  return { limits, errors, take: () => table.take("caller", burst, perSecond, clock.monotonic()).allowed };
}

async function twoNodes(isAway = () => false) {
  const clock = new ManualClock();
  const store = new MemoryKv({ clock });
  const nodes = [node(clock, store, isAway), node(clock, store, isAway)];
  for (const { limits } of nodes) await limits.start();
  const pass = async (ms: number) => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve)); // looks are answered
  };
  return { nodes, pass, stop: () => Promise.all(nodes.map(({ limits }) => limits.stop())) };
}

test("in the long run they give the rate, at once no more than the burst from each, whatever the rhythm", async () => {
  const steps = fc.array(fc.record({ at: fc.nat(1), asks: fc.nat(30), waitMs: fc.nat(400) }), {
    minLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const { nodes, pass, stop } = await twoNodes();
      let [given, elapsedMs] = [0, 0];
      for (const { at, asks, waitMs } of list) {
        for (let n = 0; n < asks; n++) if (nodes[at]!.take()) given++;
        await pass(waitMs);
        elapsedMs += waitMs;
      }
      const fair = burst + (perSecond * elapsedMs) / 1000;
      assert.ok(given <= fair + burst + 1, `${given} of ${fair} in ${elapsedMs} ms`);
      await stop();
    }),
    { numRuns: 50 },
  );
});

test("a node hears what another gave, and holds its caller to it", async () => {
  const { nodes, pass, stop } = await twoNodes();
  const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  for (let n = 0; n < burst; n++) assert.ok(a.take());
  assert.ok(b.take(), "it has not heard of it yet");
  await pass(everyMs);
  await pass(everyMs);
  assert.equal(b.take(), false);
  assert.deepEqual([a.limits.state, b.limits.state], ["shared", "shared"]);
  await stop();
});

test("while the store is away each counts by itself, says so once, and owes nothing afterwards", async () => {
  let away = true;
  const { nodes, pass, stop } = await twoNodes(() => away);
  for (const { take } of nodes) for (let n = 0; n < burst; n++) assert.ok(take());
  for (let n = 0; n < 50; n++) await pass(everyMs);
  for (const { limits, errors } of nodes) assert.deepEqual([limits.state, errors.length], ["alone", 1]);
  for (const { take } of nodes) for (let n = 0; n < burst; n++) assert.ok(take());
  away = false;
  for (let n = 0; n < 20; n++) await pass(everyMs);
  for (const { limits, take } of nodes) assert.deepEqual([limits.state, take()], ["shared", true]);
  await stop();
});
