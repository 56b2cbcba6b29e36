/**
 * What a live subscription is made of, and what it counts: for those who open one, and for the parts that it is cut
 * into.
 */
import type { Clock } from "../../core/clock.ts";
import type { Durability } from "../../stores/log/port.ts";
import type { SubscriptionMeter } from "../metrics.ts";
import type { Tracer } from "../traces.ts";
import type { DeadLetterQueue } from "./dead-letters.ts";
import type { LanesOptions } from "./lanes.ts";
import type { SubscriptionPolicy } from "./policy.ts";
import type { Routing } from "./routing.ts";

export interface SubscriptionOptions extends Omit<LanesOptions, "onAppend"> {
  topic: { readonly name: string; readonly number: number };
  name: string;
  number: number;
  /** Of the topic; may change. */
  routing: () => Routing;
  ackDeadlineMs: number;
  policy: SubscriptionPolicy;
  /** Undefined when the topic is a dead-letter queue itself: nothing of it expires or is given up. */
  openDeadLetters: (() => Promise<DeadLetterQueue>) | undefined;
  /** The strongest that the log keeps. */
  replayDurability: Durability;
  /** Messages of a partition that may be outstanding; beyond it the partition waits for settlements. */
  outstandingMax: number;
  meter: SubscriptionMeter;
  /** Without it nothing is traced. */
  tracer?: Tracer | undefined;
  clock: Clock;
  /** Told of what cannot be answered to anybody, such as a journal that cannot be written when a lease expires. */
  onError(error: unknown): void;
}

export const newCounters = () => ({
  delivered: 0,
  acked: 0,
  redelivered: 0,
  nacked: 0,
  expired: 0,
  deadLettered: 0,
  outdated: 0,
  filtered: 0,
});

/** Of one life of the subscription. */
export type Counters = ReturnType<typeof newCounters>;
