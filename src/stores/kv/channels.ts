/** Who listens to which channel in this process; the same for every driver. */
import type { KvEvent, SubscribeOptions } from "./port.ts";

interface Subscription extends SubscribeOptions {
  listener: (message: string) => void;
}

export class Channels {
  readonly #report: (event: KvEvent) => void;
  readonly #subscriptions = new Map<string, Set<Subscription>>();

  constructor(report: (event: KvEvent) => void) {
    this.#report = report;
  }

  get names(): string[] {
    return [...this.#subscriptions.keys()];
  }

  has(channel: string): boolean {
    return this.#subscriptions.has(channel);
  }

  /** Returns the function that removes it again. */
  add(channel: string, listener: (message: string) => void, options: SubscribeOptions = {}): () => void {
    const subscription = { listener, ...options };
    const subscriptions = this.#subscriptions.get(channel) ?? new Set();
    this.#subscriptions.set(channel, subscriptions.add(subscription));
    return () => {
      subscriptions.delete(subscription);
      // A set that was emptied and replaced meanwhile belongs to others.
      if (subscriptions.size === 0 && this.#subscriptions.get(channel) === subscriptions) {
        this.#subscriptions.delete(channel);
      }
    };
  }

  deliver(channel: string, message: string): void {
    this.#each(channel, (subscription) => subscription.listener(message));
  }

  resumed(): void {
    for (const channel of this.names) this.#each(channel, (subscription) => subscription.onResume?.());
  }

  #each(channel: string, call: (subscription: Subscription) => void): void {
    const subscriptions = this.#subscriptions.get(channel);
    for (const subscription of subscriptions ?? []) {
      queueMicrotask(() => {
        if (!subscriptions?.has(subscription)) return;
        try {
          call(subscription);
        } catch (error) {
          this.#report({ kind: "listener_failed", channel, error });
        }
      });
    }
  }
}
