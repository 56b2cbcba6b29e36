/** How many requests wait for a decision, for the mark in the navigation. */
import { effect, signal } from "@preact/signals";
import { startPolling } from "../poll.ts";
import { hotswap, token } from "../session.ts";

/** At most this many are counted. */
const countMax = 100;

export const waiting = signal(0);

effect(() => {
  waiting.value = 0;
  if (token.value === null) return;
  return startPolling({
    intervalMs: 15_000,
    async ask(signal) {
      const { items } = await hotswap().approvals.list({ state: "pending", limit: countMax, signal });
      waiting.value = items.length;
    },
    onFailure: () => {}, // who may not read approvals has none to decide
  });
});
