/**
 * What was promised to publishers and consumers in one simulated history, in the words of Jepsen's queue tests:
 *
 *   attempted     the publish was begun              acknowledged  its durability was confirmed
 *   lost          acknowledged, and never delivered  unexpected    delivered, but never attempted or refused
 *   duplicated    delivered again after an ack that this crash could not undo
 *   reordered     delivered before an earlier message of its key was done
 *   recovered     delivered although its publish had no outcome
 *
 * Lost, unexpected, duplicated and reordered throw; recovered is counted.
 */
import type { Durability } from "../../stores/log/port.ts";

export type End = "stop" | "kill" | "power";

interface Known {
  id: number;
  key: string | undefined;
  durability: Durability;
  publish: "attempted" | "acknowledged" | "refused" | "unknown";
  place: string | undefined;
  offset: number;
  partition: number;
  /** `maybe`: an ack without an outcome, or one that a power cut may have undone. */
  done: "no" | "maybe" | "yes";
  delivered: number;
  held: { receipt: string; until: number } | undefined;
}

export class DeliveryModel {
  readonly stats = { attempted: 0, acknowledged: 0, recovered: 0, delivered: 0, redelivered: 0, stale: 0 };
  readonly receipts: string[] = [];
  readonly #messages: Known[] = [];
  readonly #places = new Map<string, Known>();

  attempt(key: string | undefined, durability: Durability): number {
    const id = this.#messages.length;
    this.#messages.push({
      id,
      key,
      durability,
      publish: "attempted",
      place: undefined,
      offset: -1,
      partition: -1,
      done: "no",
      delivered: 0,
      held: undefined,
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
  received(
    batch: { id: number; partition: number; offset: number; attempt: number; receipt: string }[],
    now: number,
    until: number,
  ) {
    const together = new Set(batch.map(({ id }) => id));
    for (const { id, partition, offset } of batch) {
      const message = this.#messages[id];
      if (!message || message.publish === "refused")
        throw new Error(`unexpected: ${id} at ${partition}/${offset}`);
      if (message.publish === "unknown" && message.delivered === 0) this.stats.recovered += 1;
      this.#put(message, partition, offset);
      if (message.done === "yes") throw new Error(`duplicated: ${id} was acknowledged`);
      // An answer may come so late that its lease is over; then another may hold the message by right.
      if (until > now && message.held && message.held.until > now) throw new Error(`leased twice: ${id}`);
      this.#checkOrder(message, together);
    }
    for (const { id, receipt } of batch) {
      const message = this.#messages[id]!;
      if (message.delivered > 0) this.stats.redelivered += 1;
      message.delivered += 1;
      if (until > now) message.held = { receipt, until };
      this.stats.delivered += 1;
      this.receipts.push(receipt);
    }
  }

  /** Those whose lease surely lasts at `now`. */
  held(now: number): { id: number; receipt: string }[] {
    return this.#messages.flatMap(({ id, held }) =>
      held && held.until > now ? [{ id, receipt: held.receipt }] : [],
    );
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

  returned(id: number): void {
    this.#messages[id]!.held = undefined;
  }

  extended(id: number, until: number): void {
    const { held } = this.#messages[id]!;
    if (held) held.until = until;
  }

  /** The process is gone. What its end could undo is no longer promised. */
  ended(end: End): void {
    for (const message of this.#messages) {
      message.held = undefined;
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
    for (const { id, publish, delivered } of this.#messages) {
      if (publish === "acknowledged" && delivered === 0) throw new Error(`lost: ${id}`);
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
    for (const earlier of this.#messages) {
      // A key may change its partition when the topic grows; order is promised within one.
      if (earlier.key !== message.key || earlier.partition !== message.partition) continue;
      if (earlier.place === undefined || earlier.offset >= message.offset) continue;
      if (earlier.done !== "no" || together.has(earlier.id)) continue;
      throw new Error(`reordered: ${message.id} of key ${message.key} before ${earlier.id}`);
    }
  }
}
