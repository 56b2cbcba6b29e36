/**
 * The message log as one live topic sees it while a node serves it: every partition is opened under the epoch of
 * the tenure, and all of them can be let go at once when it ends.
 */
import type { LogPartition, LogStore } from "../../stores/log/port.ts";

export class TenuredLog implements LogStore {
  readonly name = "log";
  readonly shared: boolean;
  readonly durability: LogStore["durability"];
  epoch: number | undefined;
  readonly #log: LogStore;
  readonly #opened = new Set<string>();

  constructor(log: LogStore) {
    this.#log = log;
    this.shared = log.shared;
    this.durability = log.durability;
  }

  partition(name: string): Promise<LogPartition> {
    this.#opened.add(name);
    return this.#log.partition(name, { epoch: this.epoch });
  }

  letGo(name: string): Promise<void> {
    this.#opened.delete(name);
    return this.#log.letGo(name);
  }

  /** Resolves when the appends under way are finished, and nothing of this topic is open any more. */
  async letAllGo(): Promise<void> {
    await Promise.all([...this.#opened].map((name) => this.letGo(name)));
  }

  remove(name: string): Promise<void> {
    this.#opened.delete(name);
    return this.#log.remove(name);
  }

  has = (name: string) => this.#log.has(name);
  list = () => this.#log.list();
  ping = () => this.#log.ping();
  start = () => this.#log.start();
  stop = () => this.#log.stop();
  onEnded: LogStore["onEnded"] = (listener) => this.#log.onEnded(listener);
}
