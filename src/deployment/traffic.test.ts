import assert from "node:assert/strict";
import { test } from "node:test";
import { begin, look, verdictOf } from "./judge/judge.ts";
import { policyOf } from "./judge/policy.ts";
import type { Step } from "./plan.ts";
import { initial, type State } from "./state.ts";
import { hintOf, requestsNeeded } from "./traffic.ts";

const policy = policyOf();
const plan = (minutes: number): Step[] => [
  { kind: "expose", share: 0.1, timeoutMs: 1 },
  { kind: "bake", minMs: minutes * 60_000, maxMs: minutes * 180_000, checks: "judge" },
  { kind: "expose", share: 1, timeoutMs: 1 },
  { kind: "retire", delayMs: 0 },
];

/** After a minute at 10 % of this traffic, of which the control fails 1 %. */
function after(requests: number, minutes: number, state: Partial<State> = {}) {
  const judged = look(begin(policy), policy, {
    at: 60_000,
    canary: { requests: requests / 10, errors: 0 },
    control: { requests: (requests * 9) / 10, errors: (requests * 9) / 1000 },
  });
  const verdict = { ...verdictOf(judged, policy, { elapsedMs: 60_000 }), at: 60_000, step: 1 };
  return hintOf({
    state: { ...initial, startedAt: 0, step: 1, plan: plan(minutes), ...state },
    judge: { since: 0, number: 1, state: judged },
    verdicts: [verdict],
  });
}

test("says that there is too little traffic, and how much would do", () => {
  assert.equal(
    after(1_000, 5),
    "There is too little traffic to find three times the errors while the phases are watched: the new version needs " +
      "about 1,800 requests and gets about 500. Watch longer, or begin with a larger share.",
  );
});

test("says nothing where it is enough, or once the deployment has ended", () => {
  assert.equal(after(10_000, 5), undefined);
  assert.equal(after(1_000, 60), undefined);
  assert.equal(after(1_000, 5, { endedAt: 1 }), undefined);
});

test("the rarer the errors, and the larger the canary, the more requests of it are needed", () => {
  assert.ok(requestsNeeded(0.001, 0.1) > requestsNeeded(0.01, 0.1));
  assert.ok(requestsNeeded(0.01, 0.5) > requestsNeeded(0.01, 0.1));
});
