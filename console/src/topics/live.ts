/** Numbers of topics, kept while the tab lives, so that coming back to one shows its last minutes. */
import { signal } from "@preact/signals";
import type { TopicStats } from "../../../client/src/index.ts";
import { serverNowMs } from "../overview/live.ts";
import { Rates, Series } from "../series.ts";
import { hotswap } from "../session.ts";
import { numbersOfSubscription } from "../subscriptions/live.ts";

export type TopicLine = "published" | "delivered" | "acked" | "depth" | "inFlight";

export class TopicNumbers {
  readonly series = new Series<TopicLine>(["published", "delivered", "acked", "depth", "inFlight"]);
  readonly stats = signal<TopicStats | undefined>(undefined);
  readonly #rates = new Rates<"published" | "delivered" | "acked">();

  async refresh(name: string, abort: AbortSignal): Promise<void> {
    const stats = await hotswap().topics.stats(name, { signal: abort });
    const seconds = serverNowMs() / 1000;
    const sum = (of: "deliveredTotal" | "ackedTotal" | "depth" | "inFlight") =>
      stats.subscriptions.reduce((total, subscription) => total + subscription[of], 0);
    const totals = {
      published: stats.publishedTotal,
      delivered: sum("deliveredTotal"),
      acked: sum("ackedTotal"),
    };
    this.series.add(seconds, {
      ...this.#rates.of(seconds, totals),
      depth: sum("depth"),
      inFlight: sum("inFlight"),
    });
    for (const one of stats.subscriptions) numbersOfSubscription(one.id).add(seconds, one);
    this.stats.value = stats;
  }
}

const known = new Map<string, TopicNumbers>();

export function numbersOf(name: string): TopicNumbers {
  const numbers = known.get(name) ?? new TopicNumbers();
  known.set(name, numbers);
  return numbers;
}

/** Topics of which numbers are asked per turn; with more, they take turns. */
const asksPerTurn = 12;

/** Refreshes the numbers of some of many topics. */
export async function refreshSome(names: readonly string[], turn: number, abort: AbortSignal): Promise<void> {
  const start = turn * asksPerTurn;
  const due = Array.from(
    { length: Math.min(asksPerTurn, names.length) },
    (_, index) => names[(start + index) % names.length]!,
  );
  // A topic may be deleted between the two questions; the next list tells.
  await Promise.allSettled(due.map((name) => numbersOf(name).refresh(name, abort)));
}

/** A topic that was deleted; one of the same name later starts afresh. */
export function forget(name: string): void {
  known.delete(name);
}
