import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { ProcessUsage } from "./process-usage.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 12));

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("what the process uses is there, and a late event loop shows for one to two windows", async (t) => {
  const clock = new ManualClock();
  const usage = new ProcessUsage(clock);
  t.after(() => usage.stop());
  await turn(); // the monitor's timer must run once before there is anything to be late for
  block(150);
  await turn();
  const { cpuSeconds, rssBytes, eventLoopDelayP99Ms } = usage.read();
  assert(cpuSeconds > 0.1 && rssBytes > 1e6);
  assert(eventLoopDelayP99Ms > 100, String(eventLoopDelayP99Ms));
  clock.advance(10_001);
  assert(usage.read().eventLoopDelayP99Ms > 100, "the window has just ended");
  assert(usage.read().eventLoopDelayP99Ms > 100, "the last window still counts");
  clock.advance(10_001);
  usage.read();
  // A busy machine makes the loop late by itself now and then; a window without that comes.
  for (await turn(); usage.read().eventLoopDelayP99Ms > 100; await turn()) clock.advance(10_001);
});
