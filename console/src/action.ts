/** Something that a person starts with a button: once at a time, with what went wrong. */
import { type Signal, useSignal } from "@preact/signals";
import { refusedToken } from "./session.ts";

export interface Action {
  isBusy: Signal<boolean>;
  error: Signal<unknown>;
  /** Resolves with true when the work succeeded; never rejects. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

export function useAction(): Action {
  const isBusy = useSignal(false);
  const error = useSignal<unknown>(undefined);
  const run = async (work: () => Promise<unknown>) => {
    if (isBusy.value) return false;
    isBusy.value = true;
    try {
      await work();
      error.value = undefined;
      return true;
    } catch (failure) {
      if (!refusedToken(failure)) error.value = failure;
      return false;
    } finally {
      isBusy.value = false;
    }
  };
  return { isBusy, error, run };
}
