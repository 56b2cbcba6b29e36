/**
 * From what a frame holds to messages, and from what became of them to its answer. Each message of a frame has its
 * own outcome: one that is refused does not stop the others.
 */
import type { Static } from "typebox";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { parseJson } from "../../platform/http/body.ts";
import { asHotSwapError, toProblem } from "../../platform/http/problem.ts";
import { validator } from "../../platform/http/validation.ts";
import type { Placement } from "../delivery/publisher.ts";
import type { LiveTopic } from "../delivery/topic.ts";
import { isJsonType, type NewMessage } from "../message.ts";
import { type MessageLimits, receiptText } from "../messages.ts";
import { messageFields, parseLine, toNewMessage } from "../publish.ts";
import type { PublishEntry, Published } from "./frames.ts";

const validateFields = validator(messageFields, "body") as (value: unknown) => Static<typeof messageFields>;
const keyMax = 512;

export interface PublishContext {
  requestId: string;
  /** Why nothing is taken any more. */
  refusal: HotSwapError | undefined;
  /** Another node serves the topic by now. */
  onMoved(): void;
}

/** Publishes what can be read, in order, and resolves to the outcome of each. */
export async function publishEach<Given>(
  topic: LiveTopic,
  given: readonly Given[],
  read: (one: Given, index: number) => NewMessage,
  { requestId, refusal, onMoved }: PublishContext,
): Promise<Published[]> {
  const outcomes = new Array<Published>(given.length);
  const accepted: NewMessage[] = [];
  const indexes: number[] = [];
  const problemOf = (error: unknown) => ({
    problem: JSON.stringify(toProblem(asHotSwapError(error), requestId)),
  });
  given.forEach((one, index) => {
    try {
      if (refusal) throw refusal;
      accepted.push(read(one, index));
      indexes.push(index);
    } catch (error) {
      outcomes[index] = problemOf(error);
    }
  });
  if (accepted.length === 0) return outcomes;
  // A topic that is served elsewhere by now refuses the call as a whole; here each message has its outcome.
  const placements = await topic.publish(accepted).catch((error) => accepted.map(() => error as Error));
  if (placements.some(isElsewhere)) onMoved();
  placements.forEach((placement, i) => {
    if (placement instanceof Error) outcomes[indexes[i]!] = problemOf(placement);
    else if (isPlain(placement)) outcomes[indexes[i]!] = placement;
    else outcomes[indexes[i]!] = { receipt: receiptText(topic, placement) };
  });
  return outcomes;
}

const isElsewhere = (outcome: unknown) => hasCode(outcome, "topic_moved") || hasCode(outcome, "log_fenced");

/** Whether its place says all of it. */
const isPlain = ({ duplicate, scheduledFor }: Placement) => !duplicate && scheduledFor === undefined;

/** A message of a text frame: the same object as everywhere. */
export function messageOfText(text: Buffer, index: number, limits: MessageLimits): NewMessage {
  return within(index, () => parseLine(text, limits));
}

/** A message of a binary frame: its payload stays as it is, once it is known to be what it says. */
export function messageOfEntry(entry: PublishEntry, index: number, limits: MessageLimits): NewMessage {
  return within(index, () => {
    const { key, payload } = entry;
    const size = payload.length + entry.fields.length;
    if (size > limits.messageBytes) {
      throw new HotSwapError(
        "message_too_large",
        `Payload and fields may have ${limits.messageBytes} bytes together.`,
        {
          fields: [{ pointer: "/payload", message: `has ${size} bytes with the fields` }],
        },
      );
    }
    if (key !== undefined && (key.length > keyMax || key.includes("\ufffd"))) {
      throw new HotSwapError("validation_failed", `A key must be UTF-8 of at most ${keyMax} characters.`, {
        fields: [{ pointer: "/key", message: `must be UTF-8 of at most ${keyMax} characters` }],
      });
    }
    const fields = entry.fields.length === 0 ? {} : validateFields(parseJson(entry.fields, 4));
    if (isJsonType(fields.contentType)) parseJson(payload, limits.jsonDepth);
    return toNewMessage(fields, key, payload);
  });
}

/** Pointers of the error begin at the frame, as they do for a batch over HTTP. */
function within(index: number, read: () => NewMessage): NewMessage {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HotSwapError) || error.fields.length === 0) throw error;
    const inFrame = error.fields.map(({ pointer, message }) => ({
      pointer: `/messages/${index}${pointer}`,
      message,
    }));
    throw new HotSwapError(error.code, error.message, { fields: inFrame, cause: error });
  }
}
