/**
 * What an instance runs, and what it remembers over a restart: the last documents that proved themselves, the one that
 * is on trial by being run, and what it refused. Pure.
 *
 * A new version is written down before it is applied. When the process ends before the version has proved itself, the
 * next start counts that; at the second time the version is taken to be what ends the process: the one before is
 * booted, and the new one is refused with that reason.
 */
import type { DeliveredDocument } from "./instances.ts";

export type ConfigDocument<Value = unknown> = DeliveredDocument<Value>;

export interface Refusal {
  config: string;
  version: number;
  hash: string;
  /** Of which it was a part. Another one tries it again. */
  deployment: string | null;
  reason: string;
  /** It ended the process. Otherwise the next start tries it again. */
  crashed: boolean;
}

export interface Proving {
  document: ConfigDocument;
  deployment: string | null;
  /** How often a process has begun to run it. */
  starts: number;
}

/** As it is kept on disk; JSON. */
export interface SavedState {
  proven: ConfigDocument[];
  proving: Proving[];
  refused: Refusal[];
}

const startsMax = 2;

export class ConfigurationState {
  readonly #proven = new Map<string, ConfigDocument>();
  readonly #proving = new Map<string, Proving>();
  readonly #refused = new Map<string, Refusal>();

  /** As it is to be when a process starts with what the last one left. */
  static boot(saved: SavedState | undefined): ConfigurationState {
    const state = new ConfigurationState();
    for (const document of saved?.proven ?? []) state.#proven.set(document.config, document);
    for (const refusal of saved?.refused ?? []) state.#refused.set(refusal.config, refusal);
    for (const { document, deployment, starts } of saved?.proving ?? []) {
      if (starts < startsMax)
        state.#proving.set(document.config, { document, deployment, starts: starts + 1 });
      else {
        const reason = `the process ended ${starts} times soon after it had applied the version`;
        state.#refuse(document, { deployment, reason, crashed: true });
      }
    }
    return state;
  }

  save(): SavedState {
    const [proven, proving, refused] = [this.#proven, this.#proving, this.#refused];
    const kept = [...refused.values()].filter(({ crashed }) => crashed);
    return { proven: [...proven.values()], proving: [...proving.values()], refused: kept };
  }

  /** What runs, or is to be run. */
  running(config: string): ConfigDocument | undefined {
    return this.#proving.get(config)?.document ?? this.#proven.get(config);
  }

  all(): ConfigDocument[] {
    const names = new Set([...this.#proven.keys(), ...this.#proving.keys()]);
    return [...names].map((name) => this.running(name)!);
  }

  get refusals(): Refusal[] {
    return [...this.#refused.values()];
  }

  /** Whether the server has to be told that again, rather than the version be tried again. */
  isRefused(wanted: { config: string; hash: string; deployment: string | null }): boolean {
    const refusal = this.#refused.get(wanted.config);
    if (refusal?.hash !== wanted.hash) return false;
    return wanted.deployment === null || wanted.deployment === refusal.deployment;
  }

  /** It is about to be applied. One that was still proving itself has to do for a fallback. */
  begin(document: ConfigDocument, deployment: string | null): void {
    const before = this.#proving.get(document.config);
    if (before) this.#proven.set(document.config, before.document);
    this.#proving.set(document.config, { document, deployment, starts: 1 });
  }

  prove(config: string): void {
    const proving = this.#proving.get(config);
    if (!proving) return;
    this.#proven.set(config, proving.document);
    this.#proving.delete(config);
    this.#refused.delete(config);
  }

  refuse(document: ConfigDocument, reason: string): void {
    const deployment = this.#proving.get(document.config)?.deployment ?? null;
    this.#refuse(document, { deployment, reason, crashed: false });
  }

  #refuse(
    { config, version, hash }: ConfigDocument,
    why: Pick<Refusal, "deployment" | "reason" | "crashed">,
  ): void {
    if (this.#proving.get(config)?.document.hash === hash) this.#proving.delete(config);
    if (this.#proven.get(config)?.hash === hash) this.#proven.delete(config);
    this.#refused.set(config, { config, version, hash, ...why });
  }

  remove(config: string): void {
    for (const map of [this.#proven, this.#proving, this.#refused]) map.delete(config);
  }

  /** The process ends in order: what is still proving itself has not ended it. */
  rest(): void {
    for (const proving of this.#proving.values()) proving.starts = 0;
  }
}
