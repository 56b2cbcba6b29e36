/** Messages as the API sees them: bytes in, bytes out. The work is done by delivery/; nothing here touches SQL. */
import { HotSwapError, hasCode } from "../core/errors.ts";
import { encodeCursor } from "../platform/http/page.ts";
import type { Context } from "../platform/http/route.ts";
import type { LogPartition, LogRecord } from "../stores/log/port.ts";
import { eventBatch } from "./cloudevents.out.ts";
import type { ConsumerName } from "./delivery/consumers.ts";
import { delayPartition } from "./delivery/delay-log.ts";
import { placeOf } from "./delivery/places.ts";
import type { Placement } from "./delivery/publisher.ts";
import type { Registry } from "./delivery/registry.ts";
import type { LiveTopic } from "./delivery/topic.ts";
import { formatMessageId, parseMessageId } from "./ids.ts";
import type { NewMessage } from "./message.ts";
import { type PublishLimits, parsePublish } from "./publish.ts";
import { showOne, showReceived, showScheduled, showStored } from "./show.ts";
import { type Tracer, traceReceive } from "./traces.ts";

export interface MessageLimits extends PublishLimits {
  /** Of one request that is not a stream. */
  batchBytes: number;
  /** Of one line of a stream. */
  lineBytes: number;
  waitMs: number;
}

export interface ConsumeRequest {
  tenant: string;
  topic: string;
  subscription: string;
  limit: number;
  waitMs: number;
  asEvents: boolean;
  who: ConsumerName;
}

/** Resolves to the answer of each line: its receipt, or its error. */
export type Relay = (context: Context, topic: string, lines: readonly Buffer[]) => Promise<string[]>;

/** Places that one error names. */
const fieldsMax = 20;

/** Bytes of one answer: a peek or read never takes more at once. */
const peekBytes = 4 << 20;

export class Messages {
  readonly limits: MessageLimits;
  /** Publishes lines of a stream whose topic went to another node meanwhile; only where there are several. */
  relay: Relay | undefined;
  readonly #registry: Registry;
  readonly #tracer: Tracer;

  constructor(registry: Registry, limits: MessageLimits, tracer: Tracer) {
    this.#registry = registry;
    this.#tracer = tracer;
    this.limits = limits;
  }

  /** Throws `topic_not_found`. */
  topic(tenant: string, name: string): LiveTopic {
    return this.#registry.topic(tenant, name);
  }

  /**
   * Publishes the body of a request and answers with the JSON of its receipts. A batch is all or nothing to
   * the caller: when a partition refuses, the answer is its error, though other partitions may have accepted.
   * Throws, or rejects, with what is wrong.
   */
  /** `idempotencyKey` is what the request says beside the body. */
  publish(tenant: string, bytes: Buffer, idempotencyKey?: string): Promise<string> {
    const { topic: name, messages, isBatch } = parsePublish(bytes, this.limits, idempotencyKey);
    return this.publishAll(this.#registry.topic(tenant, name), messages, isBatch);
  }

  async publishAll(topic: LiveTopic, messages: readonly NewMessage[], isBatch: boolean): Promise<string> {
    const inspected = topic.inspect(messages);
    const refusals = inspected && (await inspected);
    if (refusals) throw refusalOf(refusals, isBatch);
    const placements = await topic.append(messages);
    const receiptOf = (placement: Placement | Error) => {
      if (placement instanceof Error) throw placement;
      return receiptText(topic, placement);
    };
    if (!isBatch) return receiptOf(placements[0]!);
    return `{"messages":[${placements.map(receiptOf).join(",")}]}`;
  }

  /** As the API shows messages, or as a batch of CloudEvents. */
  async consume(request: ConsumeRequest, signal: AbortSignal | undefined): Promise<Buffer> {
    const { tenant, topic, subscription, limit, waitMs, who } = request;
    const live = await this.#registry.subscription(tenant, topic, subscription);
    const { batch, waitMs: longest } = this.limits;
    const received = await live.receive(Math.min(limit, batch), Math.min(waitMs, longest), signal, who);
    const { spec } = this.#registry.topic(tenant, topic);
    const { deliveries } = received;
    const { strategy } = spec.routing;
    const outgoing = { topic, subscription, strategy, consumer: who.name, deliveries };
    return traceReceive(this.#tracer, outgoing, () =>
      request.asEvents
        ? eventBatch(spec, received.deliveries, received.expiresAt)
        : showReceived(spec, received),
    );
  }

  /** Throws `message_not_found`. */
  async get(tenant: string, id: string): Promise<Buffer> {
    const { topic: number, partition, offset } = parseMessageId(id);
    const topic = this.#registry.byNumber(tenant, number);
    if (topic && partition === delayPartition) return showOne(topic.spec, await scheduled(topic, offset, id));
    const log = (await topic?.partitions())?.[partition];
    if (!topic || !log || offset < log.start || offset >= log.end) {
      throw new HotSwapError("message_not_found", `There is no message ${id}.`);
    }
    const [record] = await read(log, offset, 1, 1);
    if (!record) throw new HotSwapError("message_not_found", `There is no message ${id}.`);
    return showOne(topic.spec, { partition, offset, body: record.body });
  }

  /** Takes back a message that waits for its time; resolves when that is durable. */
  async cancel(tenant: string, id: string): Promise<Buffer> {
    const { topic: number, partition, offset } = parseMessageId(id);
    const topic = this.#registry.byNumber(tenant, number);
    if (!topic || partition !== delayPartition) throw notScheduled(id);
    const body = await (await topic.delays())?.cancel(offset);
    if (!body) throw notScheduled(id);
    return showOne(topic.spec, { partition, offset, body });
  }

  /** A page of what waits for its time, in the order in which it was published. */
  async scheduled(tenant: string, name: string, from: number, limit: number): Promise<Buffer> {
    const topic = this.#registry.topic(tenant, name);
    const waiting = (await (await topic.delays())?.list(from, limit + 1)) ?? [];
    const next = waiting[limit];
    const page = waiting.slice(0, limit).map(({ id: offset, body }) => ({ offset, body }));
    return showScheduled(
      topic.spec,
      page.map((one) => ({ partition: delayPartition, ...one })),
      next ? encodeCursor([next.id]) : null,
    );
  }

  async peek(
    tenant: string,
    name: string,
    query: { partition: number; from: string; limit: number },
  ): Promise<Buffer> {
    const topic = this.#registry.topic(tenant, name);
    const { partition, limit } = query;
    const log = (await topic.partitions())[partition];
    if (!log) {
      const fields = [{ pointer: "query/partition", message: `must be below ${topic.spec.partitions}` }];
      throw new HotSwapError("validation_failed", `${name} has ${topic.spec.partitions} partitions.`, {
        fields,
      });
    }
    const from = await startOf(query.from, log, limit);
    const records = from >= log.end ? [] : await read(log, from, limit, peekBytes);
    return showStored(
      topic.spec,
      records.map(({ offset, body }) => ({ partition, offset, body })),
    );
  }
}

async function scheduled(topic: LiveTopic, offset: number, id: string) {
  const body = await (await topic.delays())?.get(offset);
  if (!body) throw notScheduled(id);
  return { partition: delayPartition, offset, body };
}

function notScheduled(id: string): HotSwapError {
  return new HotSwapError(
    "message_not_found",
    `No message ${id} waits: it went, was cancelled, or never was.`,
  );
}

/** An offset out of range is told as such; `latest` is the newest `limit` messages. */
async function startOf(from: string, log: LogPartition, limit: number): Promise<number> {
  if (from === "latest") return Math.max(log.start, log.end - limit);
  if (from === "earliest") return log.start;
  if (!from.includes("T")) return Number(from);
  const time = Date.parse(from);
  if (!Number.isNaN(time)) return placeOf(log, { time });
  const fields = [{ pointer: "query/from", message: "is not a time" }];
  throw new HotSwapError("validation_failed", `${from} is not a time.`, { fields });
}

/** One error for the whole request, which says what is wrong with each message, within bounds. */
function refusalOf(refusals: readonly (HotSwapError | undefined)[], isBatch: boolean): HotSwapError {
  const first = refusals.find((refusal) => refusal !== undefined)!;
  if (!isBatch) return first;
  const fields = refusals.flatMap((refusal, i) =>
    (refusal?.fields ?? []).map(({ pointer, message }) => ({ pointer: `/messages/${i}${pointer}`, message })),
  );
  const at = refusals.indexOf(first);
  return new HotSwapError(first.code, `/messages/${at}: ${first.message}`, {
    fields: fields.slice(0, fieldsMax),
  });
}

/** Nothing when the topic is deleted at this very moment. */
async function read(log: LogPartition, from: number, records: number, bytes: number): Promise<LogRecord[]> {
  return log.read(from, { records, bytes }).catch((error) => {
    if (hasCode(error, "not_found")) return [];
    throw error;
  });
}

/** A receipt's members need no escaping: they are numbers, or of an alphabet without quotes. */
export function receiptText(topic: LiveTopic, placement: Placement): string {
  const { partition, offset, scheduledFor, duplicate } = placement;
  const { number, name, durability } = topic.spec;
  const id = formatMessageId(number, partition, offset);
  const waits = scheduledFor === undefined ? "" : `"scheduledFor":"${new Date(scheduledFor).toISOString()}",`;
  const place = partition === delayPartition ? waits : `"partition":${partition},"offset":${offset},`;
  return (
    `{"messageId":"${id}","topic":"${name}",${place}` +
    `"durability":"${durability}"${duplicate ? `,"duplicate":true` : ""}}`
  );
}
