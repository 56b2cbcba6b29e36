/**
 * Writes heads anew from what was parsed: never the bytes that came in, always `Name: value` CRLF, names in the case
 * in which they came. A run of fields that are kept and were in that form already is taken as one slice, which is
 * the same text (write.test.ts holds the two against each other) for a tenth of the time.
 */
import type { Head } from "./head.ts";

/**
 * The fields of `head` but those whose known number is marked in `drop`, and those of `names` (lower case).
 */
export function fieldsOf(head: Head, drop: Uint8Array, names: readonly string[] = []): string {
  const { at, field, count, text } = head;
  let out = "";
  let runStart = -1;
  let runEnd = 0;
  for (let i = 0; i < count; i++) {
    const slot = 4 * i;
    const nameStart = at[slot]!;
    const nameEnd = at[slot + 1]!;
    const kept =
      !drop[field[i]!] &&
      (names.length === 0 || !names.includes(text.slice(nameStart, nameEnd).toLowerCase()));
    const valueEnd = at[slot + 3]!;
    const lineEnd = i + 1 < count ? at[slot + 4]! : text.length - 2;
    const isNormal =
      at[slot + 2]! === nameEnd + 2 && lineEnd === valueEnd + 2 && text.charCodeAt(nameEnd + 1) === 0x20;
    if (kept && isNormal) {
      if (runStart < 0) runStart = nameStart;
      runEnd = lineEnd;
      continue;
    }
    if (runStart >= 0) out += text.slice(runStart, runEnd);
    runStart = -1;
    if (kept) out += `${text.slice(nameStart, nameEnd)}: ${text.slice(at[slot + 2]!, valueEnd)}\r\n`;
  }
  return runStart < 0 ? out : out + text.slice(runStart, runEnd);
}

/** The last chunk, and with it the fields of a trailer that may be passed on. */
export function lastChunk(fields: string): string {
  return `0\r\n${fields}\r\n`;
}

/** A marked number is dropped. */
export function dropping(base: Uint8Array, ...fields: readonly number[]): Uint8Array {
  const drop = Uint8Array.from(base);
  for (const field of fields) drop[field] = 1;
  return drop;
}
