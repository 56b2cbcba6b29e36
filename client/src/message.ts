/** What a message is on each of its ways: as published, as stored, as leased, and what is said of it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What is reached before a publish is acknowledged: memory, the operating system, or the disk itself. */
export type Durability = "memory" | "os" | "fsync";

/** What a publisher gives; the server adds the rest. */
export interface NewMessage<Payload = Json> {
  payload: Payload;
  /** Messages of one key keep their order. */
  key?: string | undefined;
  headers?: Record<string, string> | undefined;
  /** 0 to 9, 0 by default; larger is delivered first. */
  priority?: number | undefined;
  /** Within the topic's window, a second message with this key is not stored; its receipt says `duplicate`. */
  idempotencyKey?: string | undefined;
  /** After this time it is not delivered any more. */
  ttlSeconds?: number | undefined;
  /** Deliver it so much later. Not together with `deliverAt`. */
  delayMs?: number | undefined;
  /** Deliver it then (ISO 8601); a time that is past is now. */
  deliverAt?: string | Date | undefined;
  /** Media type of the payload; JSON when there is none. */
  contentType?: string | undefined;
  /** The trace it belongs to, by W3C Trace Context; kept when sampled. */
  traceparent?: string | undefined;
  tracestate?: string | undefined;
}

/** The server's word that a message is stored, and how safely. */
export interface PublishReceipt {
  messageId: string;
  topic: string;
  /** Where it lies; absent while it waits for its time. */
  partition?: number;
  offset?: number;
  /** When it is due, of a message for later. */
  scheduledFor?: string;
  durability: Durability;
  /** The message was stored before, under the same idempotency key. */
  duplicate?: boolean;
}

export interface Message<Payload = Json> {
  messageId: string;
  topic: string;
  partition: number;
  offset: number;
  key: string | null;
  headers: Record<string, string>;
  /** Absent when the content type is not JSON; then there is `payloadBase64`. */
  payload: Payload;
  payloadBase64?: string;
  publishedAt: string;
  /** 0 to 9; higher ones are delivered first. */
  priority?: number;
  expiresAt?: string;
  scheduledFor?: string;
  idempotencyKey?: string;
  /** application/json when there is none. */
  contentType?: string | undefined;
  /** The publisher's trace, by W3C Trace Context. */
  traceparent?: string;
  tracestate?: string;
  /** Where a dead letter comes from. */
  origin?: Origin;
}

/** Where a dead letter comes from. Times are ISO 8601. */
export interface Origin {
  deadLetterId: string;
  messageId: string;
  topic: string;
  partition: number;
  offset: number;
  subscription: string;
  cause: "attempts" | "rejected" | "expired";
  reason: string;
  attempts: number;
  publishedAt: string;
  firstFailedAt: string;
  lastFailedAt: string;
  deadLetteredAt: string;
}

/** A message on lease: until `leaseExpiresAt` nobody else of the subscription gets it. */
export interface LeasedMessage<Payload = Json> extends Message<Payload> {
  /** 1 on the first delivery. */
  attempt: number;
  /** Proof of the lease, for ack, nack and extend. */
  receipt: string;
  leaseExpiresAt: string;
}

export interface Nack {
  receipt: string;
  /** Before the next delivery; by default the subscription's back-off. */
  delayMs?: number | undefined;
  reason?: string | undefined;
  /** It will never do: straight to the topic's dead-letter queue. */
  deadLetter?: boolean | undefined;
  /** It was not tried: back at once, and the delivery does not count as an attempt. */
  release?: boolean | undefined;
}

/** Each receipt of a call has its own outcome. */
export interface SettleAnswer {
  settled: number;
  /** Settled before; nothing changed. */
  alreadySettled: number;
  /** Came too late (`lease_lost`) or were wrong. */
  failed: { receipt: string; code: string; detail: string }[];
}
