import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { Deployment } from "../../client/src/index.ts";
import { deploymentText } from "./deployment.ts";
import { eventText, type Progress, statusText } from "./deployment-watch.ts";

const going: Progress = {
  ...{ status: "running", phase: 2, phases: 4, share: 25, holdReasons: [], trouble: null },
  progress: {
    ...{
      at: "2026-11-26T12:00:00.000Z",
      units: 8,
      exposed: 2,
      applied: 2,
      restored: 6,
      failed: 0,
      failures: [],
    },
  },
  verdict: null,
};
const drawn = (progress: Progress) => stripVTControlCharacters(statusText(progress));

test("the line says how far it is, and draws it", () => {
  const bar = (done: number) => "━".repeat(done) + "─".repeat(24 - done);
  assert.equal(drawn(going), `${bar(6)} 25 %  phase 2 of 4  running  2 of 8 run it`);
  for (const [share, done] of [
    [0, 0],
    [50, 12],
    [100, 24],
  ] as const)
    assert.equal(
      drawn({ ...going, share, progress: null }),
      `${bar(done)} ${share} %  phase 2 of 4  running`,
      "units that cannot be counted are not named",
    );
});

test("it says why it stands still, what failed, what the judge says and what is broken", () => {
  const { progress } = going;
  const verdict = {
    ...{ at: "", step: 1, outcome: "inconclusive" as const, reasons: ["errors look worse"] },
    evidence: [
      {
        ...{ name: "errors", eValue: 3, threshold: 200, bound: 0.02, allowed: 0.05 },
        canary: { requests: 100, events: 3, rate: 0.03 },
        control: { requests: 0, events: 0, rate: null },
      },
    ],
  };
  const held: Progress = {
    ...{ ...going, status: "held", holdReasons: ["manual", "freeze"], verdict },
    ...{ progress: { ...progress!, failed: 3 }, trouble: { message: "The fleet is away." } },
  };
  assert.equal(
    drawn(held).slice(25),
    "25 %  phase 2 of 4  held (manual, freeze)  2 of 8 run it  3 failed  " +
      "inconclusive: errors 3.0 % against –  The fleet is away.",
  );
  const bare = { ...held, verdict: { ...verdict, evidence: [] } };
  assert.match(drawn(bare), /inconclusive: errors look worse/);
});

test("each event is a line with its time and why", () => {
  const lines = [
    { type: "created" },
    { type: "held", reason: "freeze", detail: "Frozen until Monday" },
    { type: "released", reason: "manual", by: "ann" },
    { type: "started", plan: [{}, {}] },
    { type: "step", index: 1, why: "1 of 1 run it" },
    { type: "exposed", bound: 1, generation: 7 },
    { type: "applied", generation: 7 },
    { type: "smoked", failures: [{ unit: "a", reason: "b" }] },
    { type: "promoted", by: "ann", full: true, reason: "looks good" },
    { type: "rollback", cause: "judge", reason: "errors" },
    { type: "settling", version: "from" },
    { type: "ended", status: "rolled_back", detail: "errors" },
  ].map((event) => stripVTControlCharacters(eventText({ at: "2026-11-26T12:00:00.000Z", ...event })));
  assert.ok(lines.every((line) => line.startsWith("12:00:00 ")));
  assert.deepEqual(
    lines.map((line) => line.slice(9)),
    [
      ...["created", "held, freeze: Frozen until Monday", "released, manual by ann", "started, 2 steps"],
      ...["step 2 (1 of 1 run it)", "exposed, generation 7", "taken up", "smoke test failed"],
      ...["promoted to the end by ann: looks good", "rolling back, judge: errors"],
      ...["the old version comes back into force", "rolled_back: errors"],
    ],
  );
});

test("of a deployment the units that failed are named", () => {
  const reason = "rejected: it has no currency";
  const shown = {
    ...{ ...going, id: "7", summary: "configuration shop, version 3 to 5", strategy: "direct", verdicts: [] },
    ...{ holds: [], plan: [], rollback: null, approvalId: null, hint: null },
    progress: { ...going.progress!, failed: 1, failures: [{ unit: "shop-3", reason }] },
  } as unknown as Deployment;
  assert.match(deploymentText(shown), /^1 of 2 units failed\n {2}shop-3: rejected: it has no currency$/m);
});
