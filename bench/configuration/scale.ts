/** How much is measured, and until when: the same for every system of a run. */
export interface Scale {
  readonly instances: number;
  /** Versions that are told, one after the other. */
  readonly rounds: number;
  /** Monotonic milliseconds after which nothing is waited for. */
  readonly untilMs: number;
  readonly note: (text: string) => void;
}
