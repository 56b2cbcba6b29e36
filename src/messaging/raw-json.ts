/**
 * Finds the bytes of members inside JSON text, so that a payload can be stored exactly as it was sent. Works
 * on text that JSON.parse has accepted before; on anything else the result means nothing.
 */
const quote = 0x22;
const backslash = 0x5c;
/** Up to here to walk costs less than the call of a search. */
const nearBytes = 24;

/** The bytes of each top-level member's value. Of a name that appears twice the last one counts, as in JSON.parse. */
export function rawMembers(text: Buffer, start = 0): Map<string, Buffer> {
  const members = new Map<string, Buffer>();
  let at = skipSpace(text, start) + 1; // past the brace
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] === 0x7d) return members;
    if (text[at] === 0x2c) {
      at += 1;
      continue;
    }
    const nameEnd = skipString(text, at);
    const name = nameOf(text.toString("utf8", at + 1, nameEnd - 1));
    at = skipSpace(text, skipSpace(text, nameEnd) + 1); // past the colon
    const end = skipValue(text, at);
    members.set(name, text.subarray(at, end));
    at = end;
  }
}

function nameOf(between: string): string {
  return between.includes("\\") ? (JSON.parse(`"${between}"`) as string) : between;
}

/** The bytes of each element of the array. */
export function rawElements(text: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  let at = skipSpace(text, 0) + 1; // past the bracket
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] === 0x5d) return elements;
    if (text[at] === 0x2c) {
      at += 1;
      continue;
    }
    const end = skipValue(text, at);
    elements.push(text.subarray(at, end));
    at = end;
  }
}

function skipSpace(text: Buffer, from: number): number {
  let at = from;
  while (text[at] === 0x20 || text[at] === 0x0a || text[at] === 0x0d || text[at] === 0x09) at += 1;
  return at;
}

/**
 * From an opening quote to behind the closing one. A short string is walked; in a longer one it jumps from quote to
 * quote, as strings are mostly plain.
 */
function skipString(text: Buffer, from: number): number {
  const near = Math.min(text.length, from + nearBytes);
  for (let at = from + 1; at < near && text[at] !== backslash; at++) if (text[at] === quote) return at + 1;
  for (let end = text.indexOf(quote, from + 1); end >= 0; end = text.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}

function skipValue(text: Buffer, from: number): number {
  const first = text[from];
  if (first === quote) return skipString(text, from);
  if (first !== 0x7b && first !== 0x5b) return skipScalar(text, from);
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const byte = text[at];
    if (byte === quote) at = skipString(text, at) - 1;
    else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** A number, true, false or null ends at white space or a structural byte. */
function skipScalar(text: Buffer, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const byte = text[at]!;
    if (byte <= 0x20 || byte === 0x2c || byte === 0x7d || byte === 0x5d) break;
  }
  return at;
}
