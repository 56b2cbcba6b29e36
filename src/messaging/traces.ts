/**
 * Traces of messages, by OpenTelemetry's conventions for messaging: a message carries the span of the publish that
 * made it, or the context that its publisher gave it; a receive or delivery links to those of what it hands over, and a
 * settlement to the receives. One span a call or frame, however many messages. Where nothing is sampled nothing is
 * stored, and a call costs a look at each message.
 */
import {
  type Attributes,
  activeSpan,
  activeTrace,
  type SpanOptions,
  type TraceContext,
  type Traces,
} from "../platform/telemetry/index.ts";
import { hasFields, type NewMessage, traceOf } from "./message.ts";

export type Tracer = Pick<Traces, "enabled" | "span">;

/** What the SDK keeps of a span's links by default. */
export const linksMax = 128;

const isSampled = (trace: TraceContext | undefined): trace is TraceContext =>
  trace !== undefined && (trace.flags & 1) === 1;

const hasTrace = ({ trace }: NewMessage) => trace !== undefined;

/** Runs the append of these messages, which carry its span from here on. The span fails when one of them does. */
export function tracePublish<Outcome>(
  tracer: Tracer,
  topic: string,
  messages: readonly NewMessage[],
  append: () => Promise<(Outcome | Error)[]>,
): Promise<(Outcome | Error)[]> {
  const caller = activeTrace();
  const hasOwn = messages.some(hasTrace);
  if (!hasOwn && !isSampled(caller)) return append();
  const links = hasOwn ? distinct(messages.map(({ trace }) => trace)) : [];
  const parent = isSampled(caller) ? caller : links[0];
  const options = {
    kind: "producer",
    attributes: attributesOf(topic, "publish", "send", messages.length),
    links,
    parent,
  } as const;
  // A message whose own trace is not sampled carries none: that is what its publisher decided.
  const carry = (context: TraceContext | undefined) => {
    for (const message of messages) {
      message.trace ??= context;
      if (!isSampled(message.trace)) message.trace = undefined;
    }
  };
  if (!parent) {
    carry(undefined);
    return append();
  }
  return tracer.span(`publish ${topic}`, options, async () => {
    carry(isSampled(caller) ? activeTrace() : undefined);
    const outcomes = await append();
    const failure = outcomes.find((outcome) => outcome instanceof Error);
    if (failure) activeSpan()?.fail(failure);
    return outcomes;
  });
}

/** Messages on their way to a consumer. */
export interface Outgoing {
  topic: string;
  subscription: string;
  /** How it was routed: by which strategy, and to whom. */
  strategy: string;
  consumer: string;
  deliveries: readonly { readonly body: Buffer; receivedIn(span: TraceContext): void }[];
}

/**
 * Runs `answer` in a span that links to the publishes of what is handed over; without one when none was traced. The
 * wait for messages is the request's own span.
 */
export function traceReceive<Result>(tracer: Tracer, outgoing: Outgoing, answer: () => Result): Result {
  if (!tracer.enabled || !isSampled(activeTrace())) return answer();
  const links = publishesOf(outgoing);
  if (links.length === 0) return answer();
  return inReceive(tracer, outgoing, { name: "receive", kind: "consumer", links, parent: undefined }, answer);
}

/**
 * The same for what goes out by itself, over a stream, as events or to a webhook: the span goes on in the trace of the
 * first message that has one. `deliver` is given its context.
 */
export function traceDelivery<Result>(
  tracer: Tracer,
  outgoing: Outgoing,
  kind: "consumer" | "client",
  deliver: (trace: TraceContext | undefined) => Result,
): Result {
  const links = publishesOf(outgoing);
  const [parent] = links;
  if (!parent) return deliver(undefined);
  return inReceive(tracer, outgoing, { name: "deliver", kind, links, parent }, () => deliver(activeTrace()));
}

function inReceive<Result>(
  tracer: Tracer,
  { topic, subscription, strategy, consumer, deliveries }: Outgoing,
  { name, ...options }: Required<Pick<SpanOptions, "kind" | "links" | "parent">> & { name: string },
  work: () => Result,
): Result {
  const attributes = {
    ...attributesOf(topic, name, "receive", deliveries.length),
    "messaging.destination.subscription.name": subscription,
    "messaging.client.id": consumer,
    "hotswap.routing.strategy": strategy,
  };
  return tracer.span(`${name} ${topic}`, { ...options, attributes }, () => {
    const span = activeTrace();
    if (tracer.enabled && span) for (const delivery of deliveries) delivery.receivedIn(span);
    return work();
  });
}

const publishesOf = ({ deliveries }: Outgoing) =>
  distinct(deliveries.map(({ body }) => (hasFields(body) ? traceOf(body) : undefined)));

export interface Settling {
  topic: string;
  subscription: string;
  name: "ack" | "nack";
  /** Of each message the span in which it was received, if any. */
  receives: readonly (TraceContext | undefined)[];
}

/** Runs a settlement in a span that links to the receives of its messages; without one when none was traced. */
export function traceSettle<Result>(
  tracer: Tracer,
  { topic, subscription, name, receives }: Settling,
  settle: () => Result,
): Result {
  const links = distinct(receives);
  if (links.length === 0) return settle();
  const caller = activeTrace();
  const attributes = {
    ...attributesOf(topic, name, "settle", receives.length),
    "messaging.destination.subscription.name": subscription,
  };
  const parent = isSampled(caller) ? caller : links[0];
  return tracer.span(`${name} ${topic}`, { kind: "client", attributes, links, parent }, settle);
}

/** Messages of one batch share their span. */
function distinct(traces: readonly (TraceContext | undefined)[]): TraceContext[] {
  const known = new Map<string, TraceContext>();
  for (const trace of traces) {
    if (known.size === linksMax) break;
    if (isSampled(trace)) known.set(trace.traceId + trace.spanId, trace);
  }
  return [...known.values()];
}

function attributesOf(topic: string, name: string, type: string, count: number): Attributes {
  return {
    "messaging.system": "hotswap",
    "messaging.destination.name": topic,
    "messaging.operation.name": name,
    "messaging.operation.type": type,
    "messaging.batch.message_count": count,
  };
}
