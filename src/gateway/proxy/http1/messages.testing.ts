/**
 * Reads a stream of whole messages with our codec, as the connections do, for tests: head, then body by its framing.
 */
import { ChunkedReader } from "./chunked.ts";
import { Head, INCOMPLETE } from "./head.ts";

export const limits = { headBytesMax: 16_384, headersMax: 100, targetBytesMax: 8192 };

export interface Message {
  method: string;
  target: string;
  status: number;
  fields: [name: string, value: string][];
  body: Buffer;
  trailer: [name: string, value: string][];
  keepAlive: boolean;
  upgrade: boolean;
  /** Where it ended. */
  end: number;
}

export function fieldList(head: Head): [string, string][] {
  return Array.from({ length: head.count }, (_, i): [string, string] => [head.name(i), head.value(i)]);
}

/** Messages that are whole and accepted; and what stopped the reading, undefined at the end of the bytes. */
export function readMessages(kind: "request" | "response", bytes: Buffer, { toHead = false } = {}) {
  const head = new Head(limits);
  const messages: Message[] = [];
  let at = 0;
  while (at < bytes.length) {
    const parsed =
      kind === "request"
        ? head.parseRequest(bytes, at, bytes.length)
        : head.parseResponse(bytes, at, bytes.length);
    if (parsed < 0) return { messages, stopped: parsed === INCOMPLETE ? "incomplete" : head.refusal };
    const message: Message = {
      method: kind === "request" ? head.method : "",
      target: kind === "request" ? head.target : "",
      status: kind === "request" ? 0 : head.status,
      fields: fieldList(head),
      body: Buffer.alloc(0),
      trailer: [],
      keepAlive: head.keepAlive,
      upgrade: head.upgrade >= 0 && head.hasUpgradeToken,
      end: parsed,
    };
    const isBodiless =
      kind === "response" && (toHead || head.status < 200 || head.status === 204 || head.status === 304);
    if (head.chunked && !isBodiless) {
      const reader = new ChunkedReader();
      const parts: Buffer[] = [];
      message.end = reader.read(bytes, parsed, bytes.length, parts);
      if (message.end < 0) return { messages, stopped: reader.refusal };
      if (!reader.done) return { messages, stopped: "incomplete" };
      message.body = Buffer.concat(parts);
      if (reader.trailer.length > 0) {
        if (head.parseTrailer(reader.trailer, 0, reader.trailer.length) < 0)
          return { messages, stopped: "trailer" };
        message.trailer = fieldList(head);
      }
    } else if (head.contentLength > 0 && !isBodiless) {
      message.end = parsed + head.contentLength;
      if (message.end > bytes.length) return { messages, stopped: "incomplete" };
      message.body = bytes.subarray(parsed, message.end);
    } else if (kind === "response" && head.contentLength < 0 && !isBodiless) {
      message.end = bytes.length;
      message.body = bytes.subarray(parsed);
    }
    messages.push(message);
    at = message.end;
    if (!message.keepAlive || message.upgrade) break;
  }
  return { messages, stopped: undefined };
}
