/**
 * How the messages of a topic find consumers. Between subscriptions each gets its own copy (of those that its filter
 * wants); within one, consumers share. The strategy decides which of those who wait is served next, and in which order
 * messages go out.
 *
 *   direct          the most important consumer that is there gets all; when it goes the next takes over
 *   fan-out         each subscription of a pubsub topic gets each message
 *   load-balanced   consumers take turns, or the one that holds least goes first
 *   priority        messages of a higher priority first, and the more important consumer first
 *   content-based   fan-out to subscriptions that all have a filter
 */
import type { Consumer } from "./consumers.ts";

export const strategies = ["direct", "fan-out", "load-balanced", "priority", "content-based"] as const;
export type Strategy = (typeof strategies)[number];
export const balancings = ["round-robin", "least-loaded"] as const;
export type Balancing = (typeof balancings)[number];

export interface Routing {
  readonly strategy: Strategy;
  readonly balancing: Balancing;
}

/** Priorities of messages, 0 to 9. */
export const priorityLevels = 10;

/**
 * Partitions of the log that a topic has for each that people give it. With `priority` there is one for each level, so
 * a message never waits behind less important ones and nothing is sorted: the number is partition · 10 + priority.
 */
export const lanesPerPartition = (strategy: Strategy): number =>
  strategy === "priority" ? priorityLevels : 1;

export const priorityOfLane = (partition: number): number => partition % priorityLevels;

/** Of those who wait, in the order in which they came, the one that is served; −1 for none of them. */
export function chooseWaiter(
  { strategy, balancing }: Routing,
  line: readonly Consumer[],
  active: () => Consumer | undefined,
): number {
  if (strategy === "direct") return line.indexOf(active()!);
  if (strategy === "priority") return best(line, (one, other) => one.priority - other.priority);
  // Who waits longest was served longest ago: taking turns is the order of the line.
  if (balancing === "least-loaded") return best(line, (one, other) => other.inFlight - one.inFlight);
  return line.length === 0 ? -1 : 0;
}

/** The first of those that no other is better than. */
function best(line: readonly Consumer[], compare: (one: Consumer, other: Consumer) => number): number {
  let at = line.length === 0 ? -1 : 0;
  for (let i = 1; i < line.length; i++) if (compare(line[i]!, line[at]!) > 0) at = i;
  return at;
}
