/** What an instance is asked to try without applying it, and what there is to say of that. */
import type { Instances, TrialRequest, TriedDocument } from "./instances.ts";

export interface ConfigurationTrialsParts {
  instances: Instances;
  instanceId: string;
  /** What it throws is the reason why the instance would not take the document. */
  validate: ((document: TriedDocument) => void | Promise<void>) | undefined;
  reasonOf(error: unknown): string;
  /** There is an answer to be given. */
  onAnswer(): void;
  onError(error: unknown): void;
}

export interface TrialAnswer {
  id: string;
  ok: boolean;
  reason?: string;
}

export class ConfigurationTrials {
  readonly #parts: ConfigurationTrialsParts;
  readonly #answers = new Map<string, TrialAnswer>();
  readonly #tried = new Set<string>();

  constructor(parts: ConfigurationTrialsParts) {
    this.#parts = parts;
  }

  /** Answers that the server has not heard. */
  get answers(): TrialAnswer[] {
    return [...this.#answers.values()];
  }

  said(answers: readonly TrialAnswer[]): void {
    for (const { id } of answers) this.#answers.delete(id);
  }

  /** Once each; without `validate` never. */
  try(trial: TrialRequest & { value?: unknown }): void {
    const { validate, onError } = this.#parts;
    if (!validate || this.#tried.has(trial.id)) return;
    this.#tried.add(trial.id);
    this.#check(trial, validate).catch((error) => {
      this.#tried.delete(trial.id); // a heartbeat's answer names it again
      onError(error);
    });
  }

  async #check(
    trial: TrialRequest & { value?: unknown },
    validate: NonNullable<ConfigurationTrialsParts["validate"]>,
  ): Promise<void> {
    const { instances, instanceId, reasonOf, onAnswer } = this.#parts;
    const { id } = trial;
    const fetched = "value" in trial ? undefined : await instances.tried(instanceId, trial);
    const document = fetched ?? { format: "", revision: 0, ...trial, value: trial.value };
    try {
      await validate(document);
      this.#answers.set(id, { id, ok: true });
    } catch (error) {
      this.#answers.set(id, { id, ok: false, reason: reasonOf(error) });
    }
    onAnswer();
  }
}
