/**
 * Keeps an instance at the configuration that it should run. It registers, listens on one connection, applies what it
 * is told or refuses it with a reason, and says so; what it runs is kept, so that it starts with the server gone.
 *
 * A lost event is never a lost change: each heartbeat's answer names what should run, and whatever differs is fetched.
 * When the server is away the instance goes on, and comes back with a delay of its own.
 */
import { ConfigurationCounts } from "./configuration-counts.ts";
import { ConfigurationLine } from "./configuration-line.ts";
import { spanOf } from "./configuration-span.ts";
import {
  type ConfigDocument,
  ConfigurationState,
  type Refusal,
  type SavedState,
} from "./configuration-state.ts";
import { ConfigurationTrials } from "./configuration-trials.ts";
import type {
  AppliedReport,
  Desired,
  InstanceAnswer,
  InstanceCounts,
  InstanceHeartbeat,
  Instances,
  NewInstance,
  TrialRequest,
  TriedDocument,
} from "./instances.ts";
import { HotSwapConnectionError, HotSwapProblem } from "./problem.ts";
import { backoffMs, nowMs, sleep } from "./time.ts";
import type { Transport } from "./transport.ts";

/** Where the last known good configuration is kept; `fileCache` of `@hotswap/client/node` is one. */
export interface ConfigurationCache {
  /** Undefined when there is nothing, or nothing that can be trusted. */
  load(): Promise<SavedState | undefined>;
  /** Resolves when it would outlive the process. */
  save(state: SavedState): Promise<void>;
}

export interface ConfigurationOptions extends NewInstance {
  /** Applies the document. What it throws is the reason for which the version is refused: the one before stays. */
  onChange?(document: ConfigDocument): void | Promise<void>;
  /** There is no version for this instance any more. */
  onRemove?(config: string): void | Promise<void>;
  /** Whether the instance would take the document, without applying it. What it throws is the reason why not. */
  validate?(document: TriedDocument): void | Promise<void>;
  cache?: ConfigurationCache;
  /** A new version has proved itself when it was run for so long. Default 30,000. */
  provingMs?: number;
  /** How long `start` waits for the server when nothing is kept. Default 30,000. */
  startTimeoutMs?: number;
  /** Told of what goes on in the background and passes by itself. */
  onError?(error: unknown): void;
}

interface Wanted extends Desired {
  value?: unknown;
  format?: string;
}

const backoff = { baseMs: 500, maxMs: 30_000 };
/** A large document is not fetched by everybody at once. */
const fetchSpreadMs = 500;

export class ConfigurationWatcher {
  readonly #instances: Instances;
  readonly #line: ConfigurationLine;
  readonly #options: ConfigurationOptions;
  readonly #instance: NewInstance;
  readonly #ending = new AbortController();
  #state = ConfigurationState.boot(undefined);
  readonly #appliedAt = new Map<string, number>();
  /** By configuration: the newest that is known of. */
  readonly #revisions = new Map<string, number>();
  readonly #wanted = new Map<string, Wanted>();
  /** What the server has to be told: that a configuration was removed. */
  readonly #removed = new Set<string>();
  readonly #trials: ConfigurationTrials;
  readonly #listeners = new Set<(config: string) => void>();
  readonly #counts = new ConfigurationCounts();
  #working: Promise<void> = Promise.resolve();
  #loops: Promise<unknown> = Promise.resolve();
  #heartbeatMs = 10_000;
  #registering: Promise<void> | undefined;
  #isDue = false;
  #endPause = () => {};

  constructor(transport: Transport, instances: Instances, options: ConfigurationOptions) {
    const { instanceId, service, environment, labels } = options;
    this.#instances = instances;
    this.#line = new ConfigurationLine({
      ...{ transport, instances, instanceId, signal: this.#ending.signal },
      onEvent: (event, data) => this.#hear(event, data),
    });
    this.#trials = new ConfigurationTrials({
      ...{ instances, instanceId, validate: options.validate?.bind(options), reasonOf },
      onAnswer: () => this.#wake(),
      onError: (error) => this.#report(error),
    });
    this.#options = options;
    const process = options.process ?? randomName();
    this.#instance = { instanceId, service, environment, process, ...(labels && { labels }) };
  }

  /**
   * Applies what is kept, or waits until the server has said what to run and that was applied or refused. Rejects when
   * nothing is kept and the server does not answer in time.
   */
  async start(): Promise<this> {
    const saved = await this.#options.cache?.load();
    this.#state = ConfigurationState.boot(saved);
    await this.#save();
    for (const document of this.#state.all()) await this.#change(document);
    const hasSome = this.#state.all().length > 0;
    const first = this.#register();
    this.#loops = Promise.all([this.#beat(first), this.#listen(first)]);
    this.#loops.catch(() => {}); // is told by `first`
    if (hasSome) return this;
    const { startTimeoutMs = 30_000 } = this.#options;
    const { signal } = this.#ending;
    const timeout = sleep(startTimeoutMs, signal).then(() => {
      throw new HotSwapConnectionError("timeout", "the server did not say in time what to run");
    });
    try {
      await Promise.race([first.then(() => this.#working), timeout]);
    } catch (error) {
      await this.close({ deregister: false });
      throw error;
    } finally {
      timeout.catch(() => {}); // nobody waits any more
    }
    return this;
  }

  /** The value that runs; undefined when there is none. */
  get<Value = unknown>(config: string): Value | undefined {
    return this.#state.running(config)?.value as Value | undefined;
  }

  document<Value = unknown>(config: string): ConfigDocument<Value> | undefined {
    return this.#state.running(config) as ConfigDocument<Value> | undefined;
  }

  get refusals(): readonly Refusal[] {
    return this.#state.refusals;
  }

  /** Is told of each configuration that has changed or gone; returns the function that ends it. */
  subscribe(listener: (config: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Counts what a deployment is judged by; sent with the next heartbeat. */
  count(counts: InstanceCounts): void {
    this.#counts.add(counts);
  }

  /** Says goodbye, so that its silence is not taken for an end by a version. `deregister: false` only stops. */
  async close({ deregister = true }: { deregister?: boolean } = {}): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new Error("the watcher was closed"));
    this.#wake();
    await this.#loops.catch(() => {});
    await this.#working.catch(() => {});
    this.#state.rest();
    await this.#save();
    if (!deregister) return;
    const gone = this.#instances.deregister(this.#instance.instanceId, { timeoutMs: 2_000 });
    await gone.catch(() => {}); // it will be swept
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What to run

  #want(wanted: Wanted): void {
    const { config, revision } = wanted;
    if (revision < (this.#revisions.get(config) ?? 0)) return; // an answer that was on its way for longer
    this.#revisions.set(config, revision);
    if (!this.#isNews(wanted)) return;
    this.#wanted.set(config, wanted);
    this.#working = this.#working.then(() => this.#work());
  }

  #isNews({ config, version, hash, deployment }: Wanted): boolean {
    const running = this.#state.running(config);
    if (version === null || hash === null) return running !== undefined;
    return running?.hash !== hash && !this.#state.isRefused({ config, hash, deployment });
  }

  async #work(): Promise<void> {
    let changed = false;
    for (const [config, wanted] of this.#wanted) {
      this.#wanted.delete(config);
      if (this.#ending.signal.aborted || !this.#isNews(wanted)) continue;
      try {
        if (wanted.version === null) await this.#remove(config);
        else await this.#apply(await this.#documentOf(wanted), wanted);
        changed = true;
      } catch (error) {
        this.#report(error); // the next heartbeat's answer asks for it again
      }
    }
    if (changed && !this.#line.report(this.#applied())) this.#wake();
  }

  async #documentOf(wanted: Wanted): Promise<ConfigDocument> {
    const { config, version, hash, revision, format = "", value } = wanted;
    if ("value" in wanted) return { config, version: version!, hash: hash!, revision, format, value };
    const { signal } = this.#ending;
    await sleep(Math.random() * fetchSpreadMs, signal);
    return this.#instances.document(this.#instance.instanceId, config, { signal });
  }

  #apply(document: ConfigDocument, { deployment, traceparent }: Wanted): Promise<void> {
    const { config, version } = document;
    const { instanceId } = this.#instance;
    return spanOf({ traceparent, deployment, config, version, instanceId }, async () => {
      this.#state.begin(document, deployment);
      await this.#save();
      return this.#change(document);
    });
  }

  /** Resolves to why it is refused. */
  async #change(document: ConfigDocument): Promise<string | undefined> {
    const { config } = document;
    try {
      await this.#options.onChange?.(document);
      this.#appliedAt.set(config, nowMs());
      this.#removed.delete(config);
      this.#announce(config);
      return undefined;
    } catch (error) {
      const reason = reasonOf(error);
      this.#state.refuse(document, reason);
      await this.#save();
      return reason;
    }
  }

  async #remove(config: string): Promise<void> {
    this.#state.remove(config);
    this.#removed.add(config);
    await this.#save();
    this.#announce(config);
    await this.#options.onRemove?.(config);
  }

  #announce(config: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(config);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  async #prove(): Promise<void> {
    const { provingMs = 30_000 } = this.#options;
    const { proving } = this.#state.save();
    const due = proving.filter(({ document: { config } }) => {
      return nowMs() - (this.#appliedAt.get(config) ?? Number.POSITIVE_INFINITY) >= provingMs;
    });
    for (const { document } of due) this.#state.prove(document.config);
    if (due.length > 0) await this.#save();
  }

  async #save(): Promise<void> {
    await this.#options.cache?.save(this.#state.save()).catch((error) => this.#report(error));
  }

  // What to say

  async #beat(registered: Promise<void>): Promise<void> {
    await registered;
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#prove();
        await this.#sendBeat();
        failures = 0;
        await this.#pause(this.#heartbeatMs * (0.9 + 0.2 * Math.random()));
      } catch (error) {
        if (signal.aborted) return;
        if (isUnknown(error)) await this.#register();
        else {
          this.#report(error);
          this.#isDue = false; // what there is to say waits as long as everything else
          await this.#pause(backoffMs(backoff, failures++, retryAfter(error)));
        }
      }
    }
  }

  async #sendBeat(): Promise<void> {
    this.#isDue = false;
    const metrics = this.#counts.take();
    const trials = this.#trials.answers;
    const beat: InstanceHeartbeat = {
      applied: this.#applied(),
      ...(metrics && { metrics }),
      ...(trials.length > 0 && { trials }),
    };
    // A node that does not answer is given up before the silence is taken for the end of this instance.
    const timeoutMs = this.#heartbeatMs;
    try {
      const answer = await this.#line.heartbeat(beat, timeoutMs);
      this.#trials.said(trials);
      this.#heed(answer);
    } catch (error) {
      if (metrics) this.#counts.add(metrics);
      throw error;
    }
  }

  /** All that it runs, has removed, or refuses. */
  #applied(): AppliedReport[] {
    const all = this.#state.all();
    return [
      ...all.map(({ config, version }) => ({ config, version, status: "applied" as const })),
      ...[...this.#removed].map((config) => ({ config, version: null, status: "applied" as const })),
      ...this.#state.refusals.map(({ config, version, reason }) => {
        return { config, version, status: "rejected" as const, reason };
      }),
    ];
  }

  #heed({ configs, trials, heartbeatSeconds }: InstanceAnswer): void {
    this.#heartbeatMs = heartbeatSeconds * 1_000;
    for (const wanted of configs) this.#want(wanted);
    for (const trial of trials) this.#trials.try(trial);
  }

  /** The answer to a report: there is something to know, or to say sooner than the next heartbeat. */
  #heedReport(answer: InstanceAnswer): void {
    const isSooner = answer.heartbeatSeconds * 1_000 < this.#heartbeatMs;
    this.#heed(answer);
    if (!isSooner) return;
    sleep(this.#heartbeatMs, this.#ending.signal).then(
      () => this.#wake(),
      () => {}, // it is being closed
    );
  }

  /** There is something to say. */
  #wake(): void {
    this.#isDue = true;
    this.#endPause();
  }

  /** Until the time is over, or there is something to say. */
  async #pause(ms: number): Promise<void> {
    if (this.#isDue) return;
    const woken = new AbortController();
    this.#endPause = () => woken.abort();
    await sleep(ms, woken.signal).catch(() => {});
  }

  /** Resolves when the server knows the instance, however long that takes. One at a time. */
  #register(): Promise<void> {
    this.#registering ??= this.#registerPatiently().finally(() => {
      this.#registering = undefined;
    });
    return this.#registering;
  }

  async #registerPatiently(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; ; ) {
      try {
        const answer = await this.#instances.register(this.#instance, { signal });
        this.#heartbeatMs = answer.heartbeatSeconds * 1_000;
        for (const wanted of answer.configs) this.#want(wanted);
        return;
      } catch (error) {
        signal.throwIfAborted();
        // A refusal passes only when somebody mends it: with nothing to run, the start fails by it.
        if (isRefusal(error) && this.#state.all().length === 0) throw error;
        this.#report(error);
        await sleep(backoffMs(backoff, failures++, retryAfter(error)), signal);
      }
    }
  }

  // What is heard

  async #listen(registered: Promise<void>): Promise<void> {
    await registered;
    const { signal } = this.#ending;
    let retryMs = 1_000;
    for (let failures = 0; !signal.aborted; ) {
      const openedAt = nowMs();
      try {
        retryMs = (await this.#line.listen()) ?? retryMs;
        failures = nowMs() - openedAt > 10_000 ? 0 : failures + 1;
        if (!signal.aborted) await sleep(Math.max(retryMs, backoffMs(backoff, failures)), signal);
      } catch (error) {
        if (signal.aborted) return;
        failures = nowMs() - openedAt > 10_000 ? 0 : failures;
        if (isUnknown(error)) await this.#register();
        else this.#report(error);
        await sleep(backoffMs(backoff, failures++, retryAfter(error)), signal).catch(() => {});
      }
    }
  }

  #hear(event: string, data: unknown): void {
    if (event === "config") this.#want(data as Wanted);
    if (event === "trial") this.#trials.try(data as TrialRequest);
    if (event === "answer") this.#heedReport(data as InstanceAnswer);
  }

  #report(error: unknown): void {
    if (!this.#ending.signal.aborted) this.#options.onError?.(error);
  }
}

/** As long as a report may be. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000) || "no reason was given";
}

const isUnknown = (error: unknown) => error instanceof HotSwapProblem && error.code === "instance_not_found";
const isRefusal = (error: unknown) =>
  error instanceof HotSwapProblem && error.status < 500 && error.status !== 429 && error.status !== 408;
const retryAfter = (error: unknown) => (error instanceof HotSwapProblem ? error.retryAfterMs : undefined);

function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
