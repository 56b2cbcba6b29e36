/**
 * What was promised to publishers and consumers in one simulated history, in the words of Jepsen's queue tests:
 *
 *   attempted     the publish was begun              acknowledged  its durability was confirmed
 *   lost          acknowledged, and never delivered  unexpected    delivered, but never attempted or refused
 *   duplicated    delivered again after an ack that this crash could not undo
 *   reordered     delivered before an earlier message of its key was done
 *   recovered     delivered although its publish had no outcome
 *
 * and of dead letters:
 *
 *   buried        its copy in the dead-letter queue was confirmed: it is there once, is never delivered again unless
 *                 somebody revives it, and counts as delivered
 *
 * Lost, unexpected, duplicated and reordered throw; recovered and buried are counted.
 */

import type { Random } from "../../core/random.ts";
import type { Durability } from "../../stores/log/port.ts";
import type { Origin } from "../message.ts";
import { replayPartition } from "./lanes.ts";
import { backoffMs, type SubscriptionPolicy } from "./policy.ts";

export type End = "stop" | "kill" | "power";

interface Known {
  id: number;
  key: string | undefined;
  durability: Durability;
  /** By the filter of the subscription. */
  isWanted: boolean;
  /** It has a time to live, whose end makes it a dead letter. */
  isMortal: boolean;
  publish: "attempted" | "acknowledged" | "refused" | "unknown";
  place: string | undefined;
  offset: number;
  partition: number;
  /** `maybe`: an ack without an outcome, or one that a power cut may have undone. */
  done: "no" | "maybe" | "yes";
  delivered: number;
  /** At its place in the topic, and not only by a replay. */
  wasSeenInPlace: boolean;
  held: Held | undefined;
  /** In this life: when it may come again at the earliest. */
  notBefore: number;
  /** A consumer has said that it will never do. */
  isRejected: boolean;
  /** `maybe`: its copy is on the way to the dead-letter queue. */
  dead: "no" | "maybe" | "yes";
  /** Tried again after it was dead, and not dead since. */
  isRevived: boolean;
  wasRevived: boolean;
}

interface Held {
  receipt: string;
  attempt: number;
  until: number;
}

interface Received {
  id: number;
  partition: number;
  offset: number;
  attempt: number;
  receipt: string;
}

export class DeliveryModel {
  readonly stats = {
    attempted: 0,
    acknowledged: 0,
    recovered: 0,
    delivered: 0,
    redelivered: 0,
    stale: 0,
    buried: 0,
    revived: 0,
  };
  readonly #policy: SubscriptionPolicy;
  readonly receipts: string[] = [];
  readonly #messages: Known[] = [];
  readonly #places = new Map<string, Known>();

  constructor(policy: SubscriptionPolicy) {
    this.#policy = policy;
  }

  attempt(key: string | undefined, durability: Durability, isWanted = true, isMortal = false): number {
    const id = this.#messages.length;
    this.#messages.push({
      id,
      key,
      durability,
      isWanted,
      isMortal,
      publish: "attempted",
      place: undefined,
      offset: -1,
      partition: -1,
      done: "no",
      delivered: 0,
      wasSeenInPlace: false,
      held: undefined,
      notBefore: 0,
      isRejected: false,
      dead: "no",
      isRevived: false,
      wasRevived: false,
    });
    this.stats.attempted += 1;
    return id;
  }

  acknowledged(id: number, partition: number, offset: number): void {
    const message = this.#messages[id]!;
    message.publish = "acknowledged";
    this.stats.acknowledged += 1;
    this.#put(message, partition, offset);
  }

  refused(id: number, outcome: "refused" | "unknown"): void {
    this.#messages[id]!.publish = outcome;
  }

  /** One receive: checks every message of it, and then holds them under their receipts. */
  received(batch: readonly Received[], now: number, until: number): void {
    const together = new Set(batch.map(({ id }) => id));
    for (const one of batch) {
      const { id, partition, offset } = one;
      const message = this.#messages[id];
      if (!message || message.publish === "refused")
        throw new Error(`unexpected: ${id} at ${partition}/${offset}`);
      if (message.publish === "unknown" && message.delivered === 0) this.stats.recovered += 1;
      this.#checkDue(message, one, now, until);
      if (partition === replayPartition) continue; // has a place of its own, and no order with the topic's
      this.#put(message, partition, offset);
      this.#checkOrder(message, together);
      message.wasSeenInPlace = true;
    }
    for (const { id, receipt, attempt } of batch) {
      const message = this.#messages[id]!;
      if (message.delivered > 0) this.stats.redelivered += 1;
      message.delivered += 1;
      message.held = until > now ? { receipt, attempt, until } : undefined;
      this.stats.delivered += 1;
      this.receipts.push(receipt);
    }
  }

  /** Whether this message may be delivered now. */
  #checkDue(message: Known, { id, attempt }: Received, now: number, until: number): void {
    const { maxAttempts, backoff, ackMode } = this.#policy;
    if (!message.isWanted) throw new Error(`unexpected: ${id} does not fit the filter`);
    if (message.done === "yes") throw new Error(`duplicated: ${id} was acknowledged`);
    if (ackMode === "at-most-once" && message.delivered > 0)
      throw new Error(`duplicated: ${id} at most once`);
    if (message.dead !== "no" && !message.isRevived) throw new Error(`duplicated: ${id} is a dead letter`);
    if (maxAttempts > 0 && attempt > maxAttempts) throw new Error(`${id} is tried ${attempt} times`);
    const { held } = message;
    // An answer may come so late that its lease is over; then another may hold the message by right.
    if (until <= now) return;
    if (held && held.until > now) throw new Error(`leased twice: ${id}`);
    const due = held ? held.until + backoffMs(backoff, held.attempt) : message.notBefore;
    if (now + 2 < due) throw new Error(`${id} comes ${due - now} ms too early`);
  }

  /** At most once: it was settled before it was handed out. */
  handedOut(ids: readonly number[]): void {
    for (const id of ids) Object.assign(this.#messages[id]!, { held: undefined, done: "yes" });
  }

  /** Those whose lease surely lasts at `now`. */
  held(now: number): { id: number; receipt: string; attempt: number }[] {
    return this.#messages.flatMap(({ id, held }) => (held && held.until > now ? [{ id, ...held }] : []));
  }

  /** Who is at this place. */
  at(partition: number, offset: number): number | undefined {
    return this.#places.get(`${partition}/${offset}`)?.id;
  }

  /** Whether this receipt may still count at `now`, give or take the resolution of a timer. */
  mayCount(receipt: string, now: number): boolean {
    return this.#messages.some(({ held }) => held?.receipt === receipt && held.until + 2 > now);
  }

  settling(id: number): void {
    const message = this.#messages[id]!;
    message.done = "maybe";
    message.held = undefined;
  }

  settled(id: number): void {
    this.#messages[id]!.done = "yes";
  }

  /** The settlement was refused: the message is as it was. */
  notSettled(id: number): void {
    if (this.#messages[id]!.done === "maybe") this.#messages[id]!.done = "no";
  }

  returned(id: number, how: { notBefore: number; deadLetter: boolean; release: boolean }): void {
    const message = this.#messages[id]!;
    message.held = undefined;
    message.notBefore = how.notBefore;
    if (how.deadLetter) message.isRejected = true;
  }

  burying(ids: readonly number[]): void {
    for (const id of ids) {
      const message = this.#messages[id];
      if (!message) throw new Error(`unexpected dead letter: ${id}`);
      if (message.dead === "yes" && !message.isRevived) throw new Error(`buried twice: ${id}`);
      message.dead = "maybe";
    }
  }

  buried(ids: readonly number[]): void {
    for (const id of ids) {
      Object.assign(this.#messages[id]!, { dead: "yes", isRevived: false });
      this.stats.buried += 1;
    }
  }

  /** A dead letter that can be replayed. */
  someDead(random: Random): number | undefined {
    const { blockKeyOnDeadLetter } = this.#policy;
    const dead = this.#messages.filter(
      ({ dead, isRevived, key }) =>
        dead === "yes" && !isRevived && !(blockKeyOnDeadLetter && key !== undefined),
    );
    return dead.length === 0 ? undefined : dead[random.below(dead.length)]!.id;
  }

  revived(id: number): void {
    Object.assign(this.#messages[id]!, { isRevived: true, wasRevived: true, notBefore: 0, held: undefined });
    this.stats.revived += 1;
  }

  /** All that the dead-letter queue holds, in its order, when a life begins or all is drained. */
  deadLettersAre(found: readonly { id: number; origin: Origin }[]): void {
    const { maxAttempts } = this.#policy;
    const copies = new Map<number, number>();
    for (const { id, origin } of found) {
      const message = this.#messages[id];
      if (!message || message.publish === "refused") throw new Error(`unexpected dead letter: ${id}`);
      copies.set(id, (copies.get(id) ?? 0) + 1);
      const isTired = maxAttempts > 0 && origin.attempts >= maxAttempts;
      const isOutdated = origin.cause === "expired" && message.isMortal;
      if (!isTired && !message.isRejected && !isOutdated)
        throw new Error(`${id} was given up after ${origin.attempts} attempts`);
    }
    for (const message of this.#messages) {
      const { id, dead } = message;
      const count = copies.get(id) ?? 0;
      if (count > 1 && !message.wasRevived) throw new Error(`buried twice: ${id}`);
      if (count === 0 && dead === "yes") throw new Error(`lost: the dead letter ${id}`);
      if (count > 0 && dead === "no") throw new Error(`unexpected dead letter: ${id}`);
      if (dead === "maybe") message.dead = count > 0 ? "yes" : "no";
    }
  }

  extended(id: number, until: number): void {
    const { held } = this.#messages[id]!;
    if (held) held.until = until;
  }

  /** The process is gone. What its end could undo is no longer promised. */
  ended(end: End): void {
    for (const message of this.#messages) {
      message.held = undefined;
      message.notBefore = 0;
      if (message.publish === "attempted") message.publish = "unknown";
      if (end === "power" && message.done === "yes") message.done = "maybe"; // acks are not synced
      if (this.#survives(message, end) || message.place === undefined) continue;
      this.#places.delete(message.place);
      message.place = undefined;
      if (message.publish === "acknowledged") message.publish = "unknown";
    }
  }

  /** After everything was drained. */
  finish(): void {
    for (const { id, publish, delivered, done, dead, wasRevived, isWanted } of this.#messages) {
      if (!isWanted && dead !== "no") throw new Error(`unexpected dead letter: ${id}`);
      if (dead === "yes" && done === "yes" && !wasRevived)
        throw new Error(`${id} is acknowledged and a dead letter`);
      if (this.#policy.ackMode === "at-most-once") continue; // what was on its way to a consumer may be lost
      if (publish === "acknowledged" && delivered === 0 && dead !== "yes" && isWanted)
        throw new Error(`lost: ${id}`);
    }
  }

  #survives({ durability }: Known, end: End): boolean {
    return end === "stop" || durability === "fsync" || (end === "kill" && durability === "os");
  }

  #put(message: Known, partition: number, offset: number): void {
    const place = `${partition}/${offset}`;
    const there = this.#places.get(place);
    if (there && there !== message) throw new Error(`${place} holds ${message.id} and ${there.id}`);
    if (message.place !== undefined && message.place !== place) {
      throw new Error(`${message.id} is at ${message.place} and at ${place}`);
    }
    this.#places.set(place, message);
    Object.assign(message, { place, partition, offset });
  }

  #checkOrder(message: Known, together: ReadonlySet<number>): void {
    if (message.key === undefined) return;
    const { ackMode, blockKeyOnDeadLetter } = this.#policy;
    for (const other of this.#messages) {
      // A key may change its partition when the topic grows; order is promised within one.
      if (other.key !== message.key || other.partition !== message.partition) continue;
      if (other.place === undefined || !other.isWanted || together.has(other.id)) continue;
      if (ackMode === "at-most-once") {
        // An earlier one may have been settled and lost on its way out; a later one must not have come out before.
        // A replay of it may have: it died ahead of its turn, and has no order there.
        if (other.offset <= message.offset || !other.wasSeenInPlace) continue;
        if (message.isMortal) continue; // it had expired, until the clock was set back
      } else {
        if (other.offset >= message.offset || other.done !== "no") continue;
        // Its key went on when it was given up; a replay has no place among those of the topic.
        if ((other.dead === "yes" || other.wasRevived) && !blockKeyOnDeadLetter) continue;
        // When it has expired its key goes on, while it is still on its way to the queue.
        if (other.isMortal) continue;
      }
      throw new Error(`reordered: ${message.id} of key ${message.key} and ${other.id}`);
    }
  }
}
