/** Asks again and again while the page can be seen. A hidden tab costs the server nothing. */
import { type Signal, untracked, useSignal, useSignalEffect } from "@preact/signals";
import { refusedToken } from "./session.ts";

export interface Poll {
  /** One turn; rejecting does not end the polling. */
  ask(signal: AbortSignal): Promise<void>;
  onFailure(error: unknown): void;
  intervalMs: number;
}

/** Starts at once; returns a function that ends it. */
export function startPolling({ ask, onFailure, intervalMs }: Poll): () => void {
  const ended = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const turn = async () => {
    const started = performance.now();
    try {
      await ask(ended.signal);
    } catch (error) {
      if (ended.signal.aborted || refusedToken(error)) return;
      onFailure(error);
    }
    if (ended.signal.aborted) return;
    const spentMs = performance.now() - started;
    if (!document.hidden) timer = setTimeout(turn, Math.max(intervalMs / 4, intervalMs - spentMs));
    else document.addEventListener("visibilitychange", turn, { once: true, signal: ended.signal });
  };
  void untracked(turn); // what a turn reads is not what the polling depends on
  return () => {
    clearTimeout(timer);
    ended.abort();
  };
}

/** Polls while the component is mounted; starts anew when a signal that `poll` reads at once has changed. */
export function usePolling(poll: () => Poll): void {
  useSignalEffect(() => startPolling(poll()));
}

export interface Live<Answer> {
  /** The last answer; undefined until there is one. */
  answer: Signal<Answer | undefined>;
  /** Why the last turn got none; undefined while all is well. */
  error: Signal<unknown>;
  /** Asks at once, after a change. Resolves when the answer is there; never rejects. */
  refresh(): Promise<void>;
}

/**
 * What `ask` answers, kept up to date. `watch` reads the signals on which the question depends, so that it is
 * asked anew when one changes.
 */
export function useLive<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  { intervalMs = 2000, watch }: { intervalMs?: number; watch?: () => unknown } = {},
): Live<Answer> {
  const answer = useSignal<Answer | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  const turn = async (signal: AbortSignal) => {
    const next = await ask(signal);
    signal.throwIfAborted();
    answer.value = next;
    error.value = undefined;
  };
  const onFailure = (failure: unknown) => {
    error.value = failure;
  };
  usePolling(() => {
    watch?.();
    return { intervalMs, ask: turn, onFailure };
  });
  const refresh = () => turn(new AbortController().signal).catch(onFailure);
  return { answer, error, refresh };
}
