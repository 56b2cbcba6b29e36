/**
 * What was promised to who schedules messages, in one simulated history:
 *
 *   lost         acknowledged, not cancelled, and not in the topic      twice      in the topic more than once
 *   early        in the topic before its time                          unexpected refused or cancelled, and yet there
 *   reordered    behind a later one of its key, although both waited at the same time
 *
 * All of them throw.
 */
import type { Durability } from "../../stores/log/port.ts";
import type { End } from "./simulation.model.ts";

interface Known {
  readonly id: number;
  readonly key: string | undefined;
  /** Wall-clock milliseconds; undefined when it goes at once. */
  readonly due: number | undefined;
  publish: "attempted" | "acknowledged" | "refused" | "unknown";
  /** The id it has in the delay log. */
  place: number | undefined;
  cancel: "no" | "maybe" | "yes";
  /** The latest time that any clock had shown when its publish was acknowledged. */
  knownAt: number;
  times: number;
}

export interface Seen {
  id: number;
  key: string | undefined;
  publishedAt: number;
}

export class DelayModel {
  readonly stats = { attempted: 0, acknowledged: 0, cancelled: 0, went: 0, recovered: 0 };
  readonly #durability: Durability;
  readonly #messages: Known[] = [];
  #latest = 0;

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  of(id: number): Known {
    return this.#messages[id]!;
  }

  sawTime(now: number): void {
    this.#latest = Math.max(this.#latest, now);
  }

  attempt(key: string | undefined, due: number | undefined): number {
    const id = this.#messages.length;
    const unset = { place: undefined, cancel: "no", knownAt: Number.POSITIVE_INFINITY, times: 0 } as const;
    this.#messages.push({ id, key, due, publish: "attempted", ...unset });
    this.stats.attempted += 1;
    return id;
  }

  acknowledged(id: number, place: number | undefined): void {
    const message = this.of(id);
    message.publish = "acknowledged";
    message.knownAt = this.#latest;
    message.place = place;
    this.stats.acknowledged += 1;
  }

  refused(id: number, outcome: "refused" | "unknown"): void {
    this.of(id).publish = outcome;
  }

  cancellable(): Known[] {
    return this.#messages.filter(({ place, cancel }) => place !== undefined && cancel === "no");
  }

  cancelling(id: number): void {
    this.of(id).cancel = "maybe";
    // Others pass it while its cancellation is under way, which may fail.
    this.of(id).knownAt = Number.POSITIVE_INFINITY;
  }

  cancelled(id: number): void {
    this.of(id).cancel = "yes";
    this.stats.cancelled += 1;
  }

  /** It had gone, or an earlier cancellation of unknown outcome had counted. */
  notCancelled(id: number): void {
    if (this.of(id).cancel === "maybe") this.of(id).cancel = "no";
  }

  ended(end: End): void {
    const kept =
      end === "stop" || this.#durability === "fsync" || (end === "kill" && this.#durability === "os");
    for (const message of this.#messages) {
      if (message.publish === "attempted") message.publish = "unknown";
      if (kept) continue;
      message.place = undefined; // may be another's by now
      if (message.publish === "acknowledged") message.publish = "unknown";
      if (message.cancel === "yes") message.cancel = "maybe";
    }
  }

  /** All of one partition, in its order. */
  seen(all: readonly Seen[]): void {
    for (const { id, publishedAt } of all) {
      const message = this.of(id);
      message.times += 1;
      if (message.times > 1) throw new Error(`twice: ${id}`);
      if (message.publish === "refused") throw new Error(`unexpected: ${id} was refused`);
      if (message.cancel === "yes") throw new Error(`unexpected: ${id} was cancelled`);
      if (message.due !== undefined && publishedAt < message.due) throw new Error(`early: ${id}`);
      if (message.publish === "unknown") this.stats.recovered += 1;
      if (message.due !== undefined) this.stats.went += 1;
    }
    all.forEach(({ id }, at) => {
      for (const later of all.slice(at + 1)) this.#checkOrder(this.of(later.id), this.of(id));
    });
  }

  /** `first` should come first, when it was due first while both waited. */
  #checkOrder(first: Known, second: Known): void {
    if (first.key === undefined || first.key !== second.key) return;
    if (first.due === undefined || second.due === undefined || first.due >= second.due) return;
    if (Math.max(first.knownAt, second.knownAt) >= first.due) return;
    throw new Error(`reordered: ${second.id} of key ${second.key} before ${first.id}`);
  }

  finish(): void {
    for (const { id, publish, cancel, times } of this.#messages) {
      if (publish === "acknowledged" && cancel === "no" && times === 0) throw new Error(`lost: ${id}`);
    }
  }
}
