/** What goes out to a consumer, and what it says of it. */
import type { TraceContext } from "../../platform/telemetry/index.ts";
import { formatReceipt, type Receipt } from "../ids.ts";
import type { Entry, Lease } from "./entry.ts";

export interface Delivery {
  partition: number;
  offset: number;
  body: Buffer;
  attempt: number;
  /** Of its lease. */
  fence: number;
  /** What the consumer said who gave it back last. */
  lastReason: string | undefined;
  /** The span in which it is handed over: what is said of it later links there. */
  receivedIn(span: TraceContext): void;
  /** Made when it is read, as a consumer over frames needs the numbers only. */
  readonly receipt: string;
}

export interface Received {
  deliveries: Delivery[];
  /** Wall-clock milliseconds at which the leases end. */
  expiresAt: number;
}

export class Leased implements Delivery {
  readonly #subscription: number;
  readonly #lease: Lease | undefined;
  readonly partition: number;
  readonly offset: number;
  readonly body: Buffer;
  readonly attempt: number;
  readonly fence: number;
  readonly lastReason: string | undefined;

  constructor(subscription: number, partition: number, entry: Entry, body: Buffer, fence: number) {
    this.#subscription = subscription;
    this.#lease = entry.lease;
    this.partition = partition;
    this.offset = entry.offset;
    this.body = body;
    this.attempt = entry.attempt;
    this.fence = fence;
    this.lastReason = entry.failure?.reason;
  }

  receivedIn(span: TraceContext): void {
    if (this.#lease) this.#lease.trace = span;
  }

  get receipt(): string {
    return formatReceipt(this.#subscription, this.partition, this.offset, this.fence);
  }
}

export interface Nack {
  receipt: Receipt;
  /** Until the next delivery; by default what the policy says. */
  delayMs?: number | undefined;
  reason?: string | undefined;
  /** It will never do: it becomes a dead letter without further attempts. */
  deadLetter?: boolean | undefined;
  /** It was not tried: it comes back at once, and the delivery does not count as an attempt. */
  release?: boolean | undefined;
}
