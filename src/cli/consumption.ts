/** What `hotswap sub` was asked for, and what has come of it so far. */
import type { HotSwap, Messages } from "../../client/src/node.ts";
import type { Patience } from "./patience.ts";

export interface ConsumptionCounts {
  written: number;
  bytes: number;
  redelivered: number;
  lateAcks: number;
}

export interface ConsumeLinesOptions {
  client: HotSwap;
  messages: Messages;
  topic: string;
  subscription: string;
  consumer: string;
  consumerPriority: number | undefined;
  /** Infinity: no end. */
  count: number;
  /** Undefined: wait for ever. */
  idleSeconds: number | undefined;
  ack: boolean;
  format: "lines" | "ndjson";
  batch: number;
  patience: Patience;
}
