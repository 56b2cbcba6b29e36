/**
 * Gives back the disk space of messages that nobody needs any more, topic after topic, on one timer. What may go is
 * decided in topic.ts; the log takes it in whole segments, oldest first, so more may stay for a while and never less.
 *
 *   by time    older than the topic's retention, and than its window of idempotency keys, which are read back from it
 *   by size    beyond the partition's share of the topic's bytes, oldest first
 *   and        done with by every subscription, unless the topic says that its limits count alone
 *
 * On the same round what has expired goes to the dead letters, for subscriptions that want that and have no consumer.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { Registry } from "./registry.ts";

const sweepEveryMs = 30_000;

export class Retention {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(registry: Registry, clock: Clock, onError: (error: unknown) => void) {
    this.#registry = registry;
    this.#clock = clock;
    this.#onError = onError;
  }

  start(): void {
    this.#timer = this.#clock.after(sweepEveryMs, () => {
      this.sweep().finally(() => {
        if (!this.#isStopped) this.start();
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** One that fails is tried again at the next sweep, and keeps no other from its turn. */
  async sweep(): Promise<void> {
    for (const topic of [...this.#registry.all()]) {
      if (this.#isStopped) return;
      await topic.expire().catch(this.#onError);
      await topic.trim().catch(this.#onError);
    }
  }
}
