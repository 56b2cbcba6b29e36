/**
 * A line of input as a message: the JSON text of its payload, and the key that keeps messages in order.
 * JSON goes through as it was written: parsing it and writing it anew would change long numbers.
 */
import { HotSwapError } from "../core/errors.ts";

export interface MessageFlags {
  /** Lines are JSON documents, not text. */
  json?: boolean;
  key?: string;
  keyField?: string;
  keyRegexp?: RegExp;
  keyColumn?: number;
  separator?: string;
  /** For later: at this time (ISO 8601), or in so many seconds. */
  at?: string;
  in?: number;
  header?: Record<string, string>;
  priority?: number;
  /** Seconds. */
  ttl?: number;
  idempotencyKey?: string;
}

export interface TextMessage {
  /** JSON text. */
  payload: string;
  key: string | undefined;
  deliverAt?: string;
  delayMs?: number;
  headers?: Record<string, string>;
  priority?: number;
  ttlSeconds?: number;
  idempotencyKey?: string;
}

type Fields = Omit<TextMessage, "payload" | "key">;

/** Undefined: the line is blank and stands for no message. */
export type MessageText = (line: string) => TextMessage | undefined;

export function messageText({ json = false, ...flags }: MessageFlags): MessageText {
  const keyOf = keyReader(flags);
  const fields = fieldsOf(flags);
  if (!json) return (line) => ({ payload: JSON.stringify(line), key: keyOf(line, undefined), ...fields });
  return (line) => {
    const trimmed = line.trim();
    return trimmed === "" ? undefined : { payload: trimmed, key: keyOf(line, parse(trimmed)), ...fields };
  };
}

/** What all messages of a command have in common. */
function fieldsOf({ at, in: seconds, header, priority, ttl, idempotencyKey }: MessageFlags): Fields {
  return {
    ...(at !== undefined && { deliverAt: at }),
    ...(seconds !== undefined && { delayMs: seconds * 1_000 }),
    ...(header && { headers: header }),
    ...(priority !== undefined && { priority }),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  };
}

/**
 * A message of the command line. It is JSON when it can be read as JSON and is not said to be text; what is
 * laid out over several lines is put on one.
 */
export function singleMessageText(message: string, flags: MessageFlags & { text?: boolean }): TextMessage {
  const json = flags.json ?? (!flags.text && isJson(message));
  if (!json) return messageText({ ...flags, json })(message)!;
  // Line ends stand between the parts of JSON only, never inside of its strings.
  const made = messageText({ ...flags, json })(message.replaceAll(/[\r\n]+/g, " "));
  if (made === undefined) throw new HotSwapError("json_malformed", "The message is empty.");
  return made;
}

function isJson(message: string): boolean {
  try {
    JSON.parse(message);
    return true;
  } catch {
    return false;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new HotSwapError("json_malformed", "It is not a JSON document.");
  }
}

type KeyOf = (line: string, payload: unknown) => string | undefined;

function keyReader({ key, keyField, keyRegexp, keyColumn, separator }: MessageFlags): KeyOf {
  if (key !== undefined) return () => key;
  if (keyField !== undefined) {
    const path = keyField.split(".");
    return (_, payload) => asKey(path.reduce(member, payload));
  }
  if (keyRegexp !== undefined) {
    return (line) => {
      const match = keyRegexp.exec(line);
      return match?.[1] ?? match?.[0];
    };
  }
  if (keyColumn !== undefined) {
    const split = separator ?? /\s+/;
    return (line) => {
      const cells = (separator === undefined ? line.trim() : line).split(split, keyColumn);
      return cells[keyColumn - 1] || undefined;
    };
  }
  return () => undefined;
}

function member(value: unknown, name: string): unknown {
  const isObject = typeof value === "object" && value !== null && Object.hasOwn(value, name);
  return isObject ? (value as Record<string, unknown>)[name] : undefined;
}

function asKey(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
