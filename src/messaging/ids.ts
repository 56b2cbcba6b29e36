/**
 * Message ids and receipts say where the message is, so that neither needs an index:
 *
 *   message id   topic-partition-offset                   each number in base 36
 *   receipt      subscription-partition-offset-fence      the fence is that of the lease
 *
 * Neither is a secret: whoever may consume from the topic may settle its messages, and only with the fence of
 * the lease that is current.
 */
import { HotSwapError } from "../core/errors.ts";

export interface MessageId {
  topic: number;
  partition: number;
  offset: number;
}

export interface Receipt {
  subscription: number;
  partition: number;
  offset: number;
  fence: number;
}

export function formatMessageId(topic: number, partition: number, offset: number): string {
  return `${topic.toString(36)}-${partition.toString(36)}-${offset.toString(36)}`;
}

export function parseMessageId(text: string): MessageId {
  const [topic, partition, offset, ...rest] = parseNumbers(text);
  if (topic === undefined || partition === undefined || offset === undefined || rest.length > 0) {
    throw new HotSwapError("message_not_found", `${JSON.stringify(text)} is not the id of a message.`);
  }
  return { topic, partition, offset };
}

export function formatReceipt(
  subscription: number,
  partition: number,
  offset: number,
  fence: number,
): string {
  return `${formatMessageId(subscription, partition, offset)}-${fence.toString(36)}`;
}

export function parseReceipt(text: string): Receipt {
  const [subscription, partition, offset, fence, ...rest] = parseNumbers(text);
  if (subscription === undefined || partition === undefined || offset === undefined) throw invalidReceipt();
  if (fence === undefined || rest.length > 0) throw invalidReceipt();
  return { subscription, partition, offset, fence };
}

export function invalidReceipt(detail = "The receipt has not the form of a receipt."): HotSwapError {
  return new HotSwapError("receipt_invalid", detail);
}

/** Empty when any part is not a canonical base-36 integer that a double holds exactly. */
function parseNumbers(text: string): number[] {
  const numbers: number[] = [];
  for (const part of text.split("-", 5)) {
    const number = Number.parseInt(part, 36);
    if (!Number.isSafeInteger(number) || number.toString(36) !== part) return [];
    numbers.push(number);
  }
  return numbers;
}
