/**
 * The messages that every system carries: the same bytes for all of them. Each is one JSON document of exactly
 * 1,024 bytes, because HotSwap's HTTP interface takes JSON; for the peers it is an opaque body. It begins with
 * its number at a fixed place, so that a consumer finds lost and repeated messages without parsing.
 */
export const messageBytes = 1024;

const head = '{"number":"';
const digits = 10;
const textStart = `${head}${"0".repeat(digits)}","text":"`;
const variants = 64;

const words = (
  "order invoice customer tariff usage north south east west meter reading session plan " +
  "quantity total currency street city postcode status pending accepted shipped returned"
).split(" ");

/** What message `number` says, before it becomes bytes. */
export interface Document {
  readonly number: string;
  readonly text: string;
}

/** Text that differs from message to message but is the same in every run (a fixed linear congruence). */
const texts: readonly string[] = Array.from({ length: variants }, (_, variant) => {
  let state = variant + 1;
  let text = "";
  while (text.length < messageBytes) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += `${words[(state >>> 16) % words.length]} ${state.toString(36)} `;
  }
  return text.slice(0, messageBytes - textStart.length - 2);
});

const templates = texts.map((text) => Buffer.from(`${textStart}${text}"}`, "latin1"));

/** For a client that takes values: `JSON.stringify` of it is `message(number)`. */
export function document(number: number): Document {
  return { number: String(number).padStart(digits, "0"), text: texts[number % variants]! };
}

/** A fresh buffer with message `number`. */
export function message(number: number): Buffer {
  const bytes = Buffer.allocUnsafe(messageBytes);
  templates[number % variants]!.copy(bytes);
  bytes.write(String(number).padStart(digits, "0"), head.length, "latin1");
  return bytes;
}

/** The number of the message that starts at `offset` in `bytes`. */
export function messageNumber(bytes: Uint8Array, offset = 0): number {
  let number = 0;
  const start = offset + head.length;
  for (let index = start; index < start + digits; index++) number = number * 10 + bytes[index]! - 48;
  return number;
}
