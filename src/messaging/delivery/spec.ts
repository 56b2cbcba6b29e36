/** What the data plane knows of a topic, in one immutable object that is swapped when the topic changes. */
import type { Durability } from "../../stores/log/port.ts";
import type { Routing } from "./routing.ts";

/** The schema that messages must fit. */
export interface TopicSchema {
  subject: string;
  /** null: the latest in force. */
  version: number | null;
  /** Whether what does not fit is refused, or only counted. */
  enforcement: "strict" | "warn";
}

/** What delivery must know of a topic; the row in SQL holds more. */
export interface TopicSpec {
  tenant: string;
  name: string;
  number: number;
  /** Of the log: with the strategy `priority` ten for each that people see. */
  partitions: number;
  routing: Routing;
  durability: Durability;
  /** How long an idempotency key is remembered; 0 for not at all. */
  dedupWindowMs: number;
  /** How long a message is kept; undefined for as long as there is room. */
  retentionMs: number | undefined;
  /** Of all partitions together. */
  retentionBytes: number | undefined;
  /** Whether the limits of retention spare what a subscription has not finished. */
  retain: "unacknowledged" | "limits";
  /** Of messages that do not say it themselves; undefined when they never expire. */
  messageTtlMs: number | undefined;
  /** Name of the topic whose dead letters it holds. */
  deadLettersOf?: string | undefined;
  schema?: TopicSchema | undefined;
  /** Of the row; a later change has a larger one. */
  version: number;
}
