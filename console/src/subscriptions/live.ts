/** The last minutes of subscriptions, kept while the tab lives; they come with the numbers of their topics. */
import { signal } from "@preact/signals";
import type { SubscriptionStats } from "../../../client/src/index.ts";
import { Rates, Series } from "../series.ts";

export type SubscriptionLine = "delivered" | "acked" | "redelivered" | "depth" | "inFlight" | "lag";

export class SubscriptionNumbers {
  readonly series = new Series<SubscriptionLine>([
    "delivered",
    "acked",
    "redelivered",
    "depth",
    "inFlight",
    "lag",
  ]);
  readonly stats = signal<SubscriptionStats | undefined>(undefined);
  readonly #rates = new Rates<"delivered" | "acked" | "redelivered">();

  add(seconds: number, stats: SubscriptionStats): void {
    const { deliveredTotal, ackedTotal, redeliveredTotal, depth, inFlight } = stats;
    const perSecond = this.#rates.of(seconds, {
      delivered: deliveredTotal,
      acked: ackedTotal,
      redelivered: redeliveredTotal,
    });
    this.series.add(seconds, { ...perSecond, depth, inFlight, lag: depth - inFlight });
    this.stats.value = stats;
  }
}

const known = new Map<string, SubscriptionNumbers>();

export function numbersOfSubscription(id: string): SubscriptionNumbers {
  const numbers = known.get(id) ?? new SubscriptionNumbers();
  known.set(id, numbers);
  return numbers;
}
