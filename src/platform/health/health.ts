/**
 * Whether this process can serve. Parts register named checks; a result is kept for a moment and whoever asks
 * while a check runs waits for the same answer, so that a storm of probes costs a store one question per
 * second.
 *
 * A check that is `needed` makes the process not ready when it fails; another one only degrades it. While
 * draining, the process is not ready whatever the checks say. Liveness is not decided here: as long as the
 * event loop answers, a restart would not mend a store.
 */
import type { Clock } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";

export interface Check {
  name: string;
  /** Without it this process cannot serve. */
  needed: boolean;
  /**
   * Resolves when all is well; to a string if there is a detail worth showing. Should give up after
   * `timeoutMs`.
   */
  probe(timeoutMs: number): Promise<unknown>;
}

export interface CheckResult {
  name: string;
  status: "ok" | "down";
  /** For people who may see the system's state; not for anonymous callers. */
  detail?: string;
}

export interface HealthReport {
  status: "ok" | "degraded" | "down";
  checks: CheckResult[];
}

export interface HealthOptions {
  clock: Clock;
  /** A check that takes longer counts as down. Default 2,000. */
  timeoutMs?: number;
  /** How long a result is kept. Default 1,000. */
  cacheMs?: number;
  /**
   * Called when a check's status is first known and whenever it changes, with the error that it failed with.
   */
  onChange?: (result: CheckResult, error?: unknown) => void;
}

interface Entry {
  check: Check;
  latest?: { result: CheckResult; at: number };
  running?: Promise<CheckResult>;
}

export class Health {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #cacheMs: number;
  readonly #onChange: (result: CheckResult, error?: unknown) => void;
  readonly #entries = new Map<string, Entry>();
  #draining = false;

  constructor(options: HealthOptions) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs ?? 2_000;
    this.#cacheMs = options.cacheMs ?? 1_000;
    this.#onChange = options.onChange ?? (() => {});
  }

  /** Returns the function that takes the check out again. */
  register(check: Check): () => void {
    if (this.#entries.has(check.name)) throw new Error(`a health check named ${check.name} exists already`);
    this.#entries.set(check.name, { check });
    return () => void this.#entries.delete(check.name);
  }

  /** Not ready from now on, for ever: the first step of stopping, so that balancers send nothing new. */
  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** What is known without asking anybody. */
  latest(): CheckResult[] {
    return [...this.#entries.values()].flatMap(({ latest }) => (latest ? [latest.result] : []));
  }

  async report(): Promise<HealthReport> {
    const entries = [...this.#entries.values()];
    const checks = await Promise.all(entries.map((entry) => this.#resultOf(entry)));
    const down = entries.filter((_, index) => checks[index]?.status === "down");
    if (down.some(({ check }) => check.needed)) return { status: "down", checks };
    return { status: down.length > 0 ? "degraded" : "ok", checks };
  }

  #resultOf(entry: Entry): CheckResult | Promise<CheckResult> {
    const { latest } = entry;
    if (latest && this.#clock.monotonic() - latest.at < this.#cacheMs) return latest.result;
    entry.running ??= this.#run(entry).finally(() => {
      delete entry.running;
    });
    return entry.running;
  }

  async #run(entry: Entry): Promise<CheckResult> {
    const { name } = entry.check;
    let result: CheckResult;
    let failure: unknown;
    try {
      const detail = await this.#withinTime(entry.check);
      result = { name, status: "ok", ...(typeof detail === "string" && { detail }) };
    } catch (error) {
      failure = error;
      // The text of a foreign error may name hosts, paths or users; it goes to the log only.
      const detail =
        error instanceof HotSwapError ? error.message : "The check failed; the log has the cause.";
      result = { name, status: "down", detail };
    }
    const before = entry.latest?.result.status;
    entry.latest = { result, at: this.#clock.monotonic() };
    if (before !== result.status) this.#onChange(result, failure);
    return result;
  }

  #withinTime(check: Check): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(this.#timeoutMs, () => {
        reject(new HotSwapError("store_unavailable", `There was no answer within ${this.#timeoutMs} ms.`));
      });
      // In a chain, so that a probe that throws at once counts as failed too.
      Promise.resolve()
        .then(() => check.probe(this.#timeoutMs))
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }
}
