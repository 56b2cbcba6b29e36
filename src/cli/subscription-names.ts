/** Subscriptions by the names that people know them by. */
import type { HotSwap, Subscription } from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";

/** Throws `subscription_not_found`. */
export async function findSubscription(
  { subscriptions }: HotSwap,
  topic: string,
  name: string,
): Promise<Subscription> {
  for await (const subscription of subscriptions.all({ topic })) {
    if (subscription.name === name) return subscription;
  }
  throw new HotSwapError("subscription_not_found", `The topic ${topic} has no subscription ${name}.`);
}
