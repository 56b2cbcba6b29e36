/**
 * What a node owns at a time: a topic with its subscriptions and its dead-letter topic. One owner for all of them
 * keeps every invariant of delivery within one process, and a message that dies never has to leave it.
 */
export interface Unit {
  tenant: string;
  /** The topic, without the ending of its dead-letter topic. */
  topic: string;
}

const deadLetters = ".dlq";

export function unitOf({ tenant, name }: { tenant: string; name: string }): Unit {
  return { tenant, topic: name.endsWith(deadLetters) ? name.slice(0, -deadLetters.length) : name };
}

/** All topics of a unit, whether they exist or not. */
export const topicsOf = ({ topic }: Unit) => [topic, topic + deadLetters];

/** A tenant cannot contain a line feed, so no pair of tenant and topic can pass for another. */
export const keyOf = ({ tenant, topic }: Unit) => `${tenant}\n${topic}`;
