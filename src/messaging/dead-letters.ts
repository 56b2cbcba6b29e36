/**
 * The dead letters of a topic as people see them: what there is, grouped by why, and selections of it. They are read
 * from the queue's partition; which of them are dealt with is what the queue's own subscription says.
 */
import { HotSwapError } from "../core/errors.ts";
import type { LogPartition } from "../stores/log/port.ts";
import type { DeadLetterTopics } from "./dead-letter-topics.ts";
import type { Registry } from "./delivery/registry.ts";
import { scan } from "./delivery/scan.ts";
import type { LiveSubscription } from "./delivery/subscription.ts";
import type { LiveTopic } from "./delivery/topic.ts";
import { formatMessageId, parseMessageId } from "./ids.ts";
import { type Origin, originOf } from "./message.ts";
import { type DeadLetter, matches, type Selection } from "./selection.ts";
import { showStored } from "./show.ts";
import { queueSubscription } from "./topics.ts";

export interface Group {
  subscription: string;
  cause: Origin["cause"];
  reason: string;
  count: number;
  firstAt: string;
  lastAt: string;
}

/** An open queue of dead letters: all of them are in its first partition. */
export interface OpenQueue {
  topic: LiveTopic;
  log: LogPartition;
  live: LiveSubscription;
}

/** How many dead letters one answer looks at; it says so when there are more. */
const scanMax = 100_000;
const groupsMax = 200;

export class DeadLetters {
  readonly #registry: Registry;
  readonly #topics: DeadLetterTopics;

  constructor(registry: Registry, topics: DeadLetterTopics) {
    this.#registry = registry;
    this.#topics = topics;
  }

  /** Undefined when nothing of the topic was ever given up. Throws `topic_not_found` when it never was. */
  async queueOf(tenant: string, name: string): Promise<OpenQueue | undefined> {
    const topic = this.#topics.find({ tenant, name });
    if (!topic) this.#registry.topic(tenant, name);
    const live = await topic?.subscription(queueSubscription);
    const log = (await topic?.partitions())?.[0];
    return topic && log && live ? { topic, log, live } : undefined;
  }

  /** What is there and not dealt with, oldest first: `limit` of it from an offset on, and the groups of all. */
  async list(tenant: string, name: string, selection: Selection, page: { from: number; limit: number }) {
    const queue = await this.queueOf(tenant, name);
    const groups = new Map<string, Group>();
    const shown: DeadLetter[] = [];
    let total = 0;
    let next: number | undefined;
    for await (const letter of queue ? this.select(queue, selection, 0, queue.log.end) : []) {
      total += 1;
      addTo(groups, letter);
      if (letter.offset < page.from) continue;
      if (shown.length < page.limit) shown.push(letter);
      else next ??= letter.offset;
    }
    const complete = !queue || queue.log.end - queue.log.start <= scanMax;
    const records = shown.map(({ offset, body }) => ({ partition: 0, offset, body }));
    const messages = queue ? showStored(queue.topic.spec, records) : Buffer.from(`{"messages":[]}`);
    const summary = { total, complete, groups: [...groups.values()].slice(0, groupsMax), next: next ?? null };
    return { summary, messages };
  }

  /** Dead letters of the selection that are not dealt with, with offsets from `from` to before `to`. */
  async *select(
    queue: OpenQueue,
    selection: Selection,
    from: number,
    to: number,
  ): AsyncGenerator<DeadLetter> {
    const { topic, log, live } = queue;
    const start = Math.max(from, log.start);
    for await (const records of scan(log, start, Math.min(to, start + scanMax))) {
      for (const { offset, body } of records) {
        const text = originOf(body);
        if (text === undefined || live.isDone(0, offset)) continue; // somebody has published into the queue
        const messageId = formatMessageId(topic.spec.number, 0, offset);
        const letter = { offset, messageId, body, origin: JSON.parse(text) as Origin };
        if (matches(letter, selection)) yield letter;
      }
    }
  }

  /** The dead letter of this id, or of the message that had it. Throws `message_not_found`. */
  async find(tenant: string, id: string): Promise<{ queue: OpenQueue; letter: DeadLetter }> {
    const { topic: number, offset } = parseMessageId(id);
    const topic = this.#registry.byNumber(tenant, number);
    const of = topic?.spec.deadLettersOf;
    const queue = topic && (await this.queueOf(tenant, of ?? topic.spec.name));
    if (queue) {
      const [from, to] = of === undefined ? [0, queue.log.end] : [offset, offset + 1];
      for await (const letter of this.select(queue, { messageIds: [id] }, from, to)) return { queue, letter };
    }
    throw new HotSwapError("message_not_found", `There is no dead letter ${id} that waits.`);
  }
}

function addTo(groups: Map<string, Group>, { origin }: DeadLetter): void {
  const { subscription, cause, reason, deadLetteredAt } = origin;
  const key = JSON.stringify([subscription, cause, reason]);
  const group = groups.get(key);
  if (!group) {
    groups.set(key, {
      subscription,
      cause,
      reason,
      count: 1,
      firstAt: deadLetteredAt,
      lastAt: deadLetteredAt,
    });
    return;
  }
  group.count += 1;
  group.lastAt = deadLetteredAt;
}
