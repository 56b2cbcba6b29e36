import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HotSwapError } from "../../core/errors.ts";
import { type ApprovalState, approvalStates, next, type Standing, type Step, stateAt } from "./state.ts";

const someone = fc.constantFrom("ann", "bob", "cem");
const someHash = fc.constantFrom("h1", "h2", "h3");
const someStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constantFrom("approve" as const, "reject" as const), by: someone }),
  fc.record({ type: fc.constantFrom("edit" as const, "use" as const), contentHash: someHash }),
);
const someStanding: fc.Arbitrary<Standing> = fc.record({
  state: fc.constantFrom(...approvalStates),
  author: someone,
  contentHash: someHash,
  expiresAtMs: fc.nat(10),
});
const someHistory = fc.array(fc.tuple(fc.nat(3), someStep), { maxLength: 12 });

/** Runs a history from a new request; refused steps change nothing. Calls back for each step. */
function run(
  history: readonly [number, Step][],
  see: (before: ApprovalState, step: Step, after: ApprovalState, nowMs: number) => void,
): void {
  const standing: Standing = { state: "pending", author: "ann", contentHash: "h1", expiresAtMs: 10 };
  let now = 0;
  for (const [wait, step] of history) {
    now += wait;
    const before = stateAt(standing, now);
    try {
      standing.state = next(standing, step, now);
    } catch (error) {
      assert.ok(error instanceof HotSwapError);
    }
    see(before, step, stateAt(standing, now), now);
  }
}

test("used is reached only by approval of somebody else, then use of the very same content, in time", () => {
  const property = fc.property(someHistory, (history) => {
    let approvedBy: string | undefined;
    run(history, (before, step, after, now) => {
      if (before === "pending" && after === "approved") approvedBy = step.type === "approve" ? step.by : "?";
      if (before !== "used" && after === "used") {
        assert.ok(approvedBy === "bob" || approvedBy === "cem");
        assert.ok(step.type === "use" && step.contentHash === "h1");
        assert.equal(before, "approved");
        assert.ok(now < 10);
      }
    });
  });
  fc.assert(property, { numRuns: 2_000 });
});

test("what is final stays as it is, and nothing but the drawn arrows is ever taken", () => {
  const arrows: Record<ApprovalState, ApprovalState[]> = {
    pending: ["pending", "approved", "rejected", "void"],
    approved: ["approved", "used", "void"],
    rejected: ["rejected"],
    void: ["void"],
    expired: ["expired"],
    used: ["used"],
  };
  const property = fc.property(someHistory, (history) => {
    run(history, (before, _step, after) =>
      assert.ok(arrows[before].includes(after), `${before} to ${after}`),
    );
  });
  fc.assert(property, { numRuns: 2_000 });
});

test("an edit voids what is open, whoever has approved it; the same content does not", () => {
  const property = fc.property(someStanding, someHash, fc.nat(12), (standing, contentHash, now) => {
    const before = stateAt(standing, now);
    const isOpen = before === "pending" || before === "approved";
    const expected = isOpen && contentHash !== standing.contentHash ? "void" : before;
    assert.equal(next(standing, { type: "edit", contentHash }, now), expected);
  });
  fc.assert(property, { numRuns: 500 });
});

test("nobody decides on their own request", () => {
  const property = fc.property(someStanding, fc.constantFrom("approve", "reject"), (standing, type) => {
    const own = () => next(standing, { type, by: standing.author }, 0);
    assert.throws(own, (error) => error instanceof HotSwapError && error.code === "approval_self");
  });
  fc.assert(property);
});

test("use says whether an approval is still to come or counts no more", () => {
  const codeOf = (state: ApprovalState, contentHash = "h1", now = 0) => {
    try {
      return next(
        { state, author: "ann", contentHash: "h1", expiresAtMs: 10 },
        { type: "use", contentHash },
        now,
      );
    } catch (error) {
      return (error as HotSwapError).code;
    }
  };
  assert.equal(codeOf("approved"), "used");
  assert.equal(codeOf("pending"), "approval_required");
  assert.equal(codeOf("used"), "approval_required");
  for (const state of ["rejected", "void", "expired"] as const) assert.equal(codeOf(state), "approval_void");
  assert.equal(codeOf("approved", "h2"), "approval_void");
  assert.equal(codeOf("pending", "h2"), "approval_void");
  assert.equal(codeOf("approved", "h1", 10), "approval_void");
});
