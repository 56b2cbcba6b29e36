/**
 * Records of requests: the newest of this worker, for `explain`, and those that are sampled, on their way to be spans.
 * A whole record is dear beside a line of the log, so of requests that went well only some of each tick have one.
 */
import type { RequestRecord } from "./records.ts";

const DETAILS_PER_TICK = 20;
const OUTBOX_MAX = 10_000;

export class Recorder {
  readonly #kept: RequestRecord[] = [];
  readonly #keptMax: number;
  /** Where the oldest is, once there are as many as may be. */
  #oldest = 0;
  #outbox: RequestRecord[] = [];
  #details = DETAILS_PER_TICK;

  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  tick(): void {
    this.#details = DETAILS_PER_TICK;
  }

  /** Whether this request is kept in full. */
  takeDetail(): boolean {
    return this.#details-- > 0;
  }

  keep(record: RequestRecord, isSampled: boolean): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(record);
    else {
      this.#kept[this.#oldest] = record;
      this.#oldest = (this.#oldest + 1) % this.#keptMax;
    }
    if (isSampled && this.#outbox.length < OUTBOX_MAX) this.#outbox.push(record);
  }

  /** Those that were sampled since. */
  takeSampled(): readonly RequestRecord[] {
    const sampled = this.#outbox;
    if (sampled.length > 0) this.#outbox = [];
    return sampled;
  }

  find(requestId: string): RequestRecord | undefined {
    return this.#kept.findLast(({ id }) => id === requestId);
  }

  /** The newest first. */
  recent(limit: number): RequestRecord[] {
    return [...this.#kept].sort((a, b) => b.at - a.at).slice(0, limit);
  }
}
