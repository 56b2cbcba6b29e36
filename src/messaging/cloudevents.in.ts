/**
 * CloudEvents 1.0 over HTTP to messages: structured, batched, and binary, where attributes are header fields. An
 * attribute becomes the header `ce-<name>` of the message, `datacontenttype` its content type, `partitionkey` its key,
 * and source and id together its idempotency key, as they identify an event. Anything that is not as the
 * specification says is refused, with a pointer.
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { HotSwapError } from "../core/errors.ts";
import { parseJson } from "../platform/http/body.ts";
import { attributeName, attributePrefix } from "./cloudevents.out.ts";
import { isJsonType, type NewMessage } from "./message.ts";
import { type PublishLimits, refuseMore } from "./publish.ts";
import { rawElements, rawMembers } from "./raw-json.ts";

export const eventType = "application/cloudevents+json";
export const eventBatchType = "application/cloudevents-batch+json";

type Event = Record<string, unknown>;

const required = ["id", "source", "type"] as const;
const keyMax = 512;
const idempotencyKeyMax = 255;
/** Members of the structured format that are no attributes of the message. */
const notAttributes = new Set(["specversion", "data", "data_base64", "datacontenttype", "partitionkey"]);

/** `application/cloudevents+json`: one event. */
export function parseEvent(bytes: Buffer, limits: PublishLimits): NewMessage {
  return toMessage(parseJson(bytes, limits.jsonDepth), bytes, "", limits);
}

/** `application/cloudevents-batch+json`: any number of events, also none. */
export function parseEventBatch(bytes: Buffer, limits: PublishLimits): NewMessage[] {
  const value = parseJson(bytes, limits.jsonDepth);
  if (!Array.isArray(value)) throw invalid("", "must be an array of events");
  refuseMore(value.length, limits.batch, "");
  const texts = rawElements(bytes);
  return value.map((event, index) => toMessage(event, texts[index]!, `/${index}`, limits));
}

/** The body is the data, and the attributes are header fields. */
export function parseBinaryEvent(
  headers: IncomingHttpHeaders,
  body: Buffer,
  limits: PublishLimits,
): NewMessage {
  const event: Event = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(attributePrefix)) continue;
    event[name.slice(attributePrefix.length)] = decode(name, String(value));
  }
  const contentType = headers["content-type"];
  const attributes = attributesOf(
    { ...event, ...(contentType !== undefined && { datacontenttype: contentType }) },
    "header",
  );
  const isJson = isJsonType(contentType);
  if (isJson && body.length > 0) parseJson(body, limits.jsonDepth);
  const payload = isJson && body.length === 0 ? noData : body;
  return messageOf(attributes, payload, contentType, limits, "header");
}

const noData = Buffer.from("null");

function toMessage(value: unknown, text: Buffer, at: string, limits: PublishLimits): NewMessage {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(at, "must be an event");
  const event = value as Event;
  const attributes = attributesOf(event, at);
  const contentType = event.datacontenttype as string | undefined;
  return messageOf(attributes, dataOf(event, text, contentType, at, limits), contentType, limits, at);
}

function dataOf(
  event: Event,
  text: Buffer,
  type: string | undefined,
  at: string,
  limits: PublishLimits,
): Buffer {
  const { data, data_base64: encoded } = event;
  const isJson = isJsonType(type);
  if (encoded !== undefined) {
    if (data !== undefined) throw invalid(`${at}/data_base64`, "cannot stand beside data");
    const bytes = Buffer.from(typeof encoded === "string" ? encoded : "", "base64");
    if (bytes.toString("base64") !== encoded) throw invalid(`${at}/data_base64`, "must be base64");
    if (isJson) parseInner(bytes, `${at}/data_base64`, limits);
    return bytes;
  }
  if (data === undefined) return isJson ? noData : Buffer.alloc(0);
  if (isJson) return rawMembers(text).get("data")!;
  if (typeof data !== "string") throw invalid(`${at}/data`, "must be text, as datacontenttype is not JSON");
  return Buffer.from(data);
}

function parseInner(bytes: Buffer, pointer: string, { jsonDepth }: PublishLimits): void {
  try {
    parseJson(bytes, jsonDepth);
  } catch (error) {
    if (error instanceof HotSwapError) throw invalid(pointer, "must hold JSON, as datacontenttype says");
    throw error;
  }
}

/** Checks every attribute; an extension that is not text comes out as its text. */
function attributesOf(event: Event, at: string): Record<string, string> {
  for (const name of required) {
    if (event[name] === undefined) throw invalid(`${at}/${name}`, "is required");
  }
  if (event.specversion !== "1.0") throw invalid(`${at}/specversion`, `must be "1.0"`);
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(event)) {
    if (name === "data" || name === "data_base64") continue;
    if (!attributeName.test(name))
      throw invalid(`${at}/${name}`, "must be a name of a-z and 0-9, 20 at most");
    attributes[name] = textOf(name, value, `${at}/${name}`);
  }
  return attributes;
}

const isUriReference = (text: string) => URL.canParse(text, "http://h") && !/[\s<>"{}|\\^`]/.test(text);
const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[ -~]*)?$/;
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

const checks: Record<string, [(text: string) => boolean, string]> = {
  source: [isUriReference, "must be a URI reference"],
  dataschema: [(text) => URL.canParse(text), "must be a URI"],
  datacontenttype: [(text) => mediaType.test(text), "must be a media type"],
  time: [(text) => timestamp.test(text) && !Number.isNaN(Date.parse(text)), "must be a time of RFC 3339"],
};
const standard = new Set([...Object.keys(checks), "id", "type", "subject", "specversion"]);

function textOf(name: string, value: unknown, pointer: string): string {
  const isInt32 = Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
  const isOther = typeof value === "boolean" || isInt32;
  if (typeof value !== "string" && (standard.has(name) || !isOther)) {
    throw invalid(pointer, standard.has(name) ? "must be text" : "must be text, a whole number or a boolean");
  }
  const text = String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification refuses them (§3.1.1)
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text) || !text.isWellFormed()) {
    throw invalid(pointer, "must not hold control characters or halves of characters");
  }
  if (standard.has(name) && text === "") throw invalid(pointer, "must not be empty");
  const [check, message] = checks[name] ?? [undefined, ""];
  if (check && !check(text)) throw invalid(pointer, message);
  return text;
}

function messageOf(
  attributes: Record<string, string>,
  payload: Buffer,
  contentType: string | undefined,
  limits: PublishLimits,
  at: string,
): NewMessage {
  const headers: Record<string, string> = {};
  let size = payload.length;
  for (const [name, value] of Object.entries(attributes)) {
    if (notAttributes.has(name)) continue;
    headers[`${attributePrefix}${name}`] = value;
    size += name.length + value.length;
  }
  if (size > limits.messageBytes) {
    throw new HotSwapError("message_too_large", `An event may have ${limits.messageBytes} bytes.`, {
      fields: [{ pointer: at, message: `has ${size} bytes` }],
    });
  }
  const { partitionkey: key, source, id } = attributes;
  if (key !== undefined && (key === "" || key.length > keyMax)) {
    throw invalid(`${at}/partitionkey`, `must have 1 to ${keyMax} characters`);
  }
  return { key, headers, payload, contentType, idempotencyKey: identityOf(source!, id!) };
}

function identityOf(source: string, id: string): string {
  const identity = `${source} ${id}`;
  if (identity.length <= idempotencyKeyMax) return identity;
  return createHash("sha256").update(identity).digest("base64url");
}

function decode(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw invalid(`header/${name}`, "must be percent-encoded UTF-8");
  }
}

function invalid(pointer: string, message: string): HotSwapError {
  return new HotSwapError("validation_failed", `${pointer || "The body"} ${message}.`, {
    fields: [{ pointer, message }],
  });
}
