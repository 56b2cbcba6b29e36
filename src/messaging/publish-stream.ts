/**
 * Publishing a stream of lines: each chunk of the body becomes one append while the next is read, and the
 * receipts go out in the order of the lines. At most `windowChunks` appends are under way; then reading stops,
 * which slows the sender down through its socket. A client that does not read its receipts stops its own
 * stream the same way.
 */
import { hasCode } from "../core/errors.ts";
import { readLines } from "../platform/http/body.ts";
import { asHotSwapError, toProblem } from "../platform/http/problem.ts";
import type { Context } from "../platform/http/route.ts";
import { write } from "../platform/http/write.ts";
import type { Placement } from "./delivery/publisher.ts";
import type { LiveTopic } from "./delivery/topic.ts";
import type { NewMessage } from "./message.ts";
import { type Messages, receiptText } from "./messages.ts";
import { parseLine } from "./publish.ts";

const windowChunks = 8;

export async function publishLines(
  messages: Messages,
  tenant: string,
  name: string,
  context: Context,
): Promise<void> {
  const topic = messages.topic(tenant, name);
  const { request, response, requestId } = context;
  // An error from here on is told in the stream, in its place; the status says that the stream was taken.
  response.writeHead(201, { "content-type": "application/x-ndjson", "x-request-id": requestId });
  const underWay: Promise<void>[] = [];
  let last = Promise.resolve();
  // Each answer goes out as soon as it and all before it are there: a sender may wait for it before it goes on.
  const answer = (text: Promise<string>) => {
    last = Promise.all([text, last]).then(([lines]) => write(response, lines));
    last.catch(() => {}); // is awaited below
    return last;
  };
  try {
    for await (const lines of readLines(request, messages.limits.lineBytes)) {
      underWay.push(answer(publishChunk(messages, topic, lines, context)));
      if (underWay.length >= windowChunks) await underWay.shift();
    }
    await last;
  } catch (error) {
    await last.catch(() => {}); // what was answered in full comes first
    await write(response, `${errorText(error, requestId)}\n`);
  }
  response.end();
}

async function publishChunk(
  messages: Messages,
  topic: LiveTopic,
  lines: Buffer[],
  context: Context,
): Promise<string> {
  const { requestId } = context;
  const answers = new Array<string>(lines.length);
  const accepted: NewMessage[] = [];
  const indexes: number[] = [];
  lines.forEach((line, index) => {
    try {
      accepted.push(parseLine(line, messages.limits));
      indexes.push(index);
    } catch (error) {
      answers[index] = errorText(error, requestId);
    }
  });
  const placements = accepted.length > 0 ? await published(topic, accepted) : [];
  if (messages.relay && placements.some((outcome) => isElsewhere(outcome))) {
    const moved = indexes.filter((_, i) => isElsewhere(placements[i]));
    const texts = await messages.relay(
      context,
      topic.spec.name,
      moved.map((index) => lines[index]!),
    );
    for (const [i, text] of texts.entries()) answers[moved[i]!] = text;
  }
  placements.forEach((placement: Placement | Error, i) => {
    answers[indexes[i]!] ??=
      placement instanceof Error ? errorText(placement, requestId) : receiptText(topic, placement);
  });
  return `${answers.join("\n")}\n`;
}

/** A topic that moves to another node refuses the call as a whole; here each message has its outcome. */
async function published(topic: LiveTopic, messages: NewMessage[]): Promise<(Placement | Error)[]> {
  try {
    return await topic.publish(messages);
  } catch (error) {
    if (!isElsewhere(error)) throw error;
    return messages.map(() => error as Error);
  }
}

/** Refused for certain, because another node serves the topic now. */
const isElsewhere = (outcome: unknown) => hasCode(outcome, "topic_moved") || hasCode(outcome, "log_fenced");

export function errorText(error: unknown, requestId: string): string {
  return JSON.stringify({ error: toProblem(asHotSwapError(error), requestId) });
}
