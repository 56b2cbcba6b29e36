/** A choice among dead letters, as it is asked for and as it is kept with a replay. */

import { invalid } from "./invalid.ts";
import { headersEnd, headersStart, type Origin } from "./message.ts";

export interface Selection {
  /** Of the dead letters, or of the messages that they were. */
  messageIds?: string[];
  reason?: string;
  cause?: Origin["cause"];
  subscription?: string;
  /** All of these, with exactly these values. */
  headers?: Record<string, string>;
  /** Of `deadLetteredAt`. */
  from?: string;
  to?: string;
}

export interface DeadLetter {
  offset: number;
  messageId: string;
  body: Buffer;
  origin: Origin;
}

/** Nothing was given up between a time and one before it; who asks so has mixed them up. */
export function refuseEmpty({ from, to }: Selection, at: string): void {
  if (from === undefined || to === undefined || Date.parse(from) < Date.parse(to)) return;
  throw invalid(`${at}/to`, "must be after from");
}

export function matches({ messageId, body, origin }: DeadLetter, selection: Selection): boolean {
  const { messageIds, reason, cause, subscription, headers, from, to } = selection;
  if (messageIds && !messageIds.includes(messageId) && !messageIds.includes(origin.messageId)) return false;
  if (reason !== undefined && origin.reason !== reason) return false;
  if (cause !== undefined && origin.cause !== cause) return false;
  if (subscription !== undefined && origin.subscription !== subscription) return false;
  if (from !== undefined && Date.parse(origin.deadLetteredAt) < Date.parse(from)) return false;
  if (to !== undefined && Date.parse(origin.deadLetteredAt) >= Date.parse(to)) return false;
  return headers === undefined || hasHeaders(body, headers);
}

function hasHeaders(body: Buffer, wanted: Record<string, string>): boolean {
  const text = body.toString("utf8", headersStart(body), headersEnd(body));
  const headers = new Map(Object.entries((text === "" ? {} : JSON.parse(text)) as Record<string, string>));
  return Object.entries(wanted).every(([name, value]) => headers.get(name) === value);
}
