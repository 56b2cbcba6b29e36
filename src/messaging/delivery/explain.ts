/** Why a message is not delivered, and what a subscription waits for. Reads what delivery knows, changes nothing. */
import type { Clock } from "../../core/clock.ts";
import { formatMessageId } from "../ids.ts";
import { expiresAtOf, isDeadLetter } from "../message.ts";
import type { Consumers } from "./consumers.ts";
import { deadLetterId } from "./dead-letters.ts";
import type { Entry } from "./entry.ts";
import type { CompiledFilter, Mismatch } from "./filter.ts";
import { type Lane, readOne } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { SubscriptionPolicy } from "./policy.ts";
import type { Routing } from "./routing.ts";

export interface SubscriptionView {
  topic: { readonly name: string; readonly number: number };
  name: string;
  clock: Clock;
  outstandingMax: number;
  routing: Routing;
  lanes: Lanes;
  policy: SubscriptionPolicy;
  filter: CompiledFilter | undefined;
  consumers: Consumers;
}

export const reasonCodes = [
  "no-consumer",
  "outstanding-limit",
  "leased",
  "delayed",
  "blocked-by-key",
  "dead-lettering",
  "parked",
  "nothing-waits",
] as const;

/** One thing that keeps messages back, and how many of them. */
export interface Reason {
  code: (typeof reasonCodes)[number];
  messages: number;
  detail: string;
}

export const messageStates = [
  "waiting",
  "ready",
  "leased",
  "delayed",
  "blocked",
  "dead-lettering",
  "parked",
  "claimed",
  "settling",
  "filtered",
  "expired",
  "done",
] as const;

export interface MessageExplanation {
  state: (typeof messageStates)[number];
  detail: string;
  attempts: number;
  consumer?: string;
  /** ISO 8601: the end of the lease, or of the delay. */
  until?: string;
  blockedBy?: { messageId: string; state: string };
  mismatch?: Mismatch;
  lastReason?: string;
  deadLetterId?: string;
}

/** Why what waits is not with a consumer. */
export function explainSubscription(view: SubscriptionView): Reason[] {
  const reasons: Reason[] = [];
  const add = (code: Reason["code"], messages: number, detail: string) => {
    if (messages > 0) reasons.push({ code, messages, detail });
  };
  let unseen = 0;
  const counts = {
    leased: 0,
    delayed: 0,
    blocked: 0,
    doomed: 0,
    parked: 0,
    ready: 0,
    claimed: 0,
    settling: 0,
  };
  for (const { partition, cursor, log } of view.lanes.all) {
    const rest = Math.max(0, log.end - cursor.next - cursor.early);
    unseen += rest;
    for (const { state } of cursor.entries()) counts[state] += 1;
    if (cursor.outstanding < view.outstandingMax) continue;
    const detail = `Partition ${partition} has ${cursor.outstanding} messages that are not settled; the rest waits for them.`;
    add("outstanding-limit", rest, detail);
  }
  const waiting = unseen + counts.ready;
  if (view.consumers.present === 0) add("no-consumer", waiting, "Nobody has asked for messages lately.");
  add("leased", counts.leased, "They are with consumers until they are settled or their lease ends.");
  add("delayed", counts.delayed, "They failed, or were given back with a delay, and wait for their time.");
  add("blocked-by-key", counts.blocked, "An earlier message of their key is not done.");
  add("dead-lettering", counts.doomed, "They were given up and are on their way to the dead-letter queue.");
  add(
    "parked",
    counts.parked,
    "They are dead letters that hold their keys until they are replayed or discarded.",
  );
  if (reasons.length === 0 && waiting === 0) {
    reasons.push({ code: "nothing-waits", messages: 0, detail: "Everything is done." });
  }
  return reasons;
}

/** Where a message stands. `body` is undefined when it is no longer stored. */
export async function explainMessage(
  view: SubscriptionView,
  partition: number,
  offset: number,
  subscription: number,
): Promise<MessageExplanation | undefined> {
  const lane = view.lanes.of(partition);
  if (!lane || offset >= lane.log.end) return undefined;
  const entry = lane.cursor.entry(offset);
  if (entry) return explainEntry(view, lane, entry, subscription);
  const body = await readOne(lane.log, offset);
  const unwanted = body && explainUnwanted(view, body);
  if (unwanted) return unwanted;
  if (lane.cursor.isDone(offset)) {
    return { state: "done", detail: "It was settled, or was there before the subscription.", attempts: 0 };
  }
  const ahead = offset - lane.cursor.next;
  const limit =
    lane.cursor.outstanding >= view.outstandingMax
      ? ` Its partition has ${view.outstandingMax} messages that are not settled, which is the limit.`
      : "";
  const consumers = view.consumers.present === 0 ? " Nobody has asked for messages lately." : "";
  const detail = `${ahead} messages of its partition are before it.${limit}${consumers}`;
  return { state: "waiting", detail, attempts: 0 };
}

function explainUnwanted(view: SubscriptionView, body: Buffer): MessageExplanation | undefined {
  if (isDeadLetter(body)) return undefined;
  const mismatch = view.filter?.mismatch(body);
  if (mismatch) {
    return { state: "filtered", detail: `It does not fit ${mismatch.condition}.`, attempts: 0, mismatch };
  }
  const expiresAt = expiresAtOf(body);
  if (expiresAt === undefined || expiresAt > view.clock.now()) return undefined;
  const until = new Date(expiresAt).toISOString();
  return { state: "expired", detail: `It was worth delivering until ${until}.`, attempts: 0, until };
}

function explainEntry(view: SubscriptionView, lane: Lane, entry: Entry, number: number): MessageExplanation {
  const { state, attempt, failure } = entry;
  const at = (monotonic: number) =>
    new Date(view.clock.now() + monotonic - view.clock.monotonic()).toISOString();
  const common = { attempts: attempt, ...(failure?.reason !== undefined && { lastReason: failure.reason }) };
  const dead = { ...common, deadLetterId: deadLetterId(number, lane.partition, entry.offset) };
  switch (state) {
    case "leased": {
      const { holder, deadline } = entry.lease!;
      const until = at(deadline);
      const detail = `It is with ${holder.name} until ${until}.`;
      return { ...common, state, detail, consumer: holder.name, until };
    }
    case "delayed": {
      const until = at(entry.dueAt);
      return { ...common, state, detail: `It is tried again at ${until}.`, until };
    }
    case "blocked":
    case "ready": {
      const before = lane.cursor.before(entry);
      if (!before) return { ...common, state: "ready", detail: readyDetail(view) };
      const messageId = formatMessageId(view.topic.number, lane.partition, before.offset);
      const detail = `Message ${messageId} of the same key is before it, and is ${before.state}.`;
      return { ...common, state: "blocked", detail, blockedBy: { messageId, state: before.state } };
    }
    case "doomed":
      return { ...dead, state: "dead-lettering", detail: "It was given up and is on its way to the queue." };
    case "parked":
      return {
        ...dead,
        state,
        detail: "It is a dead letter and holds its key until it is replayed or discarded.",
      };
    case "claimed":
      return { ...common, state, detail: "It is being replayed or discarded." };
    case "settling":
      return { ...common, state, detail: "It is being settled before it is handed out." };
  }
}

function readyDetail(view: SubscriptionView): string {
  if (view.consumers.present === 0) return "It waits for a consumer: nobody has asked for messages lately.";
  return "The next consumer that asks gets it.";
}
