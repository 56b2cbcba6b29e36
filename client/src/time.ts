/** The only place of the client that waits or draws random numbers. */

/** Runs `callback` once after `delayMs`; returns a function that cancels it. */
export function after(delayMs: number, callback: () => void): () => void {
  const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), 0x7fffffff));
  return () => clearTimeout(handle);
}

/** Runs `callback` again and again, without keeping a Node process alive; returns a function that ends it. */
export function every(intervalMs: number, callback: () => void): () => void {
  const handle: unknown = setInterval(callback, intervalMs);
  if (typeof handle === "object" && handle && "unref" in handle) (handle as { unref(): void }).unref();
  return () => clearInterval(handle as ReturnType<typeof setInterval>);
}

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const cancel = after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export interface Backoff {
  /** The first delay. */
  baseMs: number;
  /** No delay is longer than this; a server that asks for more is not asked again. */
  maxMs: number;
}

/**
 * Delay before retry number `attempt` (0 = the first): doubling, with the upper half random so that clients
 * that failed together do not come back together. A delay that the server asked for is never undercut.
 */
export function backoffMs({ baseMs, maxMs }: Backoff, attempt: number, retryAfterMs = 0): number {
  const spread = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30)) / 2;
  return Math.max(retryAfterMs, spread) + Math.random() * spread;
}

/** Milliseconds since 1970. */
export const wallMs = (): number => Date.now();

export const nowMs = (): number => performance.now();
