/**
 * Who consumes from a subscription: by name and kind of connection, what each holds, and when it was last heard of.
 * Nobody registers; who receives is known, and who was not heard of for a while and holds nothing is forgotten. That
 * nobody is there is a state, not an error.
 */
import type { Clock } from "../../core/clock.ts";
import type { Holder } from "./entry.ts";

export const consumerKinds = ["pull", "stream", "events", "push"] as const;
export type ConsumerKind = (typeof consumerKinds)[number];

/** Who asks for messages. */
export interface ConsumerName {
  name: string;
  via: ConsumerKind;
  /** Larger is served first where several wait, with the strategy `priority`, and goes first with `direct`. */
  priority?: number | undefined;
}

export const nobody: ConsumerName = { name: "unnamed", via: "pull" };

/** A consumer that polls is there between its polls; one that has not polled for this long has gone. */
export const consumerGraceMs = 15_000;
const forgetAfterMs = 300_000;
const consumersMax = 10_000;

export class Consumer implements Holder {
  readonly name: string;
  readonly via: ConsumerKind;
  priority = 0;
  /** Place in the order of arrival. */
  readonly turn: number;
  /** Receives that wait now. */
  waiting = 0;
  inFlight = 0;
  delivered = 0;
  acked = 0;
  /** Leases that ran out since it settled something. */
  expired = 0;
  /** Monotonic and wall-clock milliseconds. */
  seenAt = 0;
  lastSeen = 0;
  /** Its connection has ended, and it has not come back on another. */
  hasLeft = false;

  constructor({ name, via }: ConsumerName, turn: number) {
    this.name = name;
    this.via = via;
    this.turn = turn;
  }

  /** Monotonic milliseconds up to which it counts as there; Infinity while it waits or holds something. */
  get thereUntil(): number {
    if (this.waiting > 0 || this.inFlight > 0) return Number.POSITIVE_INFINITY;
    return this.hasLeft ? Number.NEGATIVE_INFINITY : this.seenAt + consumerGraceMs;
  }
}

const keyOf = ({ via, name }: ConsumerName) => `${via} ${name}`;

export class Consumers {
  readonly #clock: Clock;
  readonly #byName = new Map<string, Consumer>();
  #turns = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The consumer, who was heard of just now. */
  see(who: ConsumerName): Consumer {
    const key = keyOf(who);
    let consumer = this.#byName.get(key);
    if (!consumer) {
      if (this.#byName.size >= consumersMax) this.#forget(0);
      consumer = new Consumer(who, this.#turns++);
      this.#byName.set(key, consumer);
    }
    consumer.priority = who.priority ?? 0;
    consumer.hasLeft = false;
    this.touch(consumer);
    return consumer;
  }

  /** Its connection has ended. Another of the same name keeps it there by what it waits for or holds. */
  leave(who: ConsumerName): void {
    const consumer = this.#byName.get(keyOf(who));
    if (consumer) consumer.hasLeft = true;
  }

  touch(consumer: Consumer): void {
    consumer.seenAt = this.#clock.monotonic();
    consumer.lastSeen = this.#clock.now();
  }

  get all(): Consumer[] {
    this.#forget(forgetAfterMs);
    return [...this.#byName.values()];
  }

  /** The one that `direct` delivers to: of those that are there the most important, and of these the first. */
  active(): Consumer | undefined {
    const now = this.#clock.monotonic();
    let best: Consumer | undefined;
    for (const consumer of this.#byName.values()) {
      if (consumer.thereUntil <= now) continue;
      if (!best || consumer.priority > best.priority) best = consumer;
      else if (consumer.priority === best.priority && consumer.turn < best.turn) best = consumer;
    }
    return best;
  }

  get present(): number {
    const now = this.#clock.monotonic();
    let count = 0;
    for (const { thereUntil } of this.#byName.values()) if (thereUntil > now) count += 1;
    return count;
  }

  #forget(afterMs: number): void {
    const now = this.#clock.monotonic();
    for (const [key, { thereUntil, seenAt }] of this.#byName) {
      if (thereUntil <= now && seenAt + afterMs <= now) this.#byName.delete(key);
    }
  }
}
