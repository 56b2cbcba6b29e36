/**
 * The token of this tab and the client that uses it. The token arrives once in the fragment (`#token=…`),
 * which browsers never send to a server; it leaves the address at once and lives in sessionStorage, so that
 * it ends with the tab.
 */
import { computed, signal } from "@preact/signals";
import { HotSwap, HotSwapProblem } from "../../client/src/index.ts";

const storageKey = "hotswap.token";

export const token = signal<string | null>(sessionStorage.getItem(storageKey));
/** Why the last session ended; shown above the sign-in box. */
export const endedBy = signal<HotSwapProblem | undefined>(undefined);

/** Where the API is: beside this page. */
export const apiUrl = new URL(".", location.href).href.replace(/\/$/, "");

const client = computed(
  () => new HotSwap({ url: apiUrl, token: token.value ?? "", timeoutMs: 10_000, retry: { attempts: 2 } }),
);
export const hotswap = (): HotSwap => client.value;

/** Takes a token out of the address, if it carries one. */
export function adoptToken(): void {
  const found = /^#token=([^&]+)/.exec(location.hash)?.[1];
  if (!found) return;
  signIn(decodeURIComponent(found));
  history.replaceState(null, "", location.pathname + location.search);
}

export function signIn(newToken: string): void {
  sessionStorage.setItem(storageKey, newToken);
  endedBy.value = undefined;
  token.value = newToken;
}

export function signOut(reason?: HotSwapProblem): void {
  sessionStorage.removeItem(storageKey);
  endedBy.value = reason;
  token.value = null;
}

/** Ends the session when the server does not accept its token any more; any other failure is the caller's. */
export function refusedToken(error: unknown): boolean {
  const refused = error instanceof HotSwapProblem && error.status === 401;
  if (refused) signOut(error);
  return refused;
}
