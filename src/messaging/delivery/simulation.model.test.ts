/** What the model takes for a broken promise of order, at most once, and what it must not. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replayPartition } from "./lanes.ts";
import type { SubscriptionPolicy } from "./policy.ts";
import { DeliveryModel } from "./simulation.model.ts";

const policy: SubscriptionPolicy = {
  ackMode: "at-most-once",
  maxAttempts: 1,
  backoff: { delaysMs: [0] },
  blockKeyOnDeadLetter: false,
  deadLetterExpired: true,
};

/** Two messages of a key, published one after the other. */
function twoOfAKey() {
  const model = new DeliveryModel(policy);
  const [earlier, later] = [model.attempt("k", "fsync"), model.attempt("k", "fsync", true, true)];
  model.acknowledged(earlier, 0, 0);
  model.acknowledged(later, 0, 1);
  const receive = (id: number, partition: number, offset: number) => {
    model.received([{ id, partition, offset, attempt: 1, receipt: `${partition}/${offset}` }], 0, 10_000);
    model.handedOut([id]);
  };
  return { model, earlier, later, receive };
}

describe("the order that the model of delivery expects at most once", () => {
  it("is broken when an earlier message of a key comes out after a later one", () => {
    const { earlier, later, receive } = twoOfAKey();
    receive(later, 0, 1);
    assert.throws(() => receive(earlier, 0, 0), /reordered: 0 of key k and 1/);
  });

  it("is not broken by the replay of a message that expired while an earlier one of its key waited", () => {
    const { model, earlier, later, receive } = twoOfAKey();
    model.burying([later]);
    model.buried([later]);
    model.revived(later);
    receive(later, replayPartition, 0);
    receive(earlier, 0, 0);
  });
});
