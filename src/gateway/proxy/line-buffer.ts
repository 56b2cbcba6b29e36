/**
 * Bytes of text lines, put together in place: the characters go straight to where they are written from. Strings of
 * forty parts would be made, walked and copied twice for the same.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const HEX = "0123456789abcdef";
/** Bytes of an escaped character. */
const ESCAPED_MAX = 6;
const NUMBER_MAX = 24;

export class LineBuffer {
  readonly #capacity: number;
  #bytes: Buffer;
  #at = 0;

  /** Grows when a line asks for more than `capacity` bytes. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get length(): number {
    return this.#at;
  }

  /** What is there so far. It is the taker's from now on; the next text begins in new memory. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#bytes = Buffer.allocUnsafeSlow(this.#capacity);
    this.#at = 0;
    return taken;
  }

  /** Characters up to U+00FF, a byte each, as they are. */
  text(text: string): void {
    this.#reserve(text.length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  /** What is the same in every line, made bytes once. */
  bytes(part: Uint8Array): void {
    this.#reserve(part.length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < part.length; i++) bytes[at++] = part[i]!;
    this.#at = at;
  }

  /** A string of JSON, of ASCII alone: everything else is escaped. */
  quoted(text: string): void {
    this.#reserve(ESCAPED_MAX * text.length + 2);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = QUOTE;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x20 && code < 0x7f && code !== QUOTE && code !== BACKSLASH) bytes[at++] = code;
      else at = escaped(bytes, at, code);
    }
    bytes[at++] = QUOTE;
    this.#at = at;
  }

  /** A whole number, 0 or more, below 2^53. */
  integer(value: number): void {
    this.#reserve(NUMBER_MAX);
    this.#at = digits(this.#bytes, this.#at, value);
  }

  /** A whole number below 1,000, with its zeros. */
  threeDigits(value: number): void {
    this.#reserve(3);
    const bytes = this.#bytes;
    const hundreds = Math.floor(value / 100);
    const rest = value - hundreds * 100;
    const tens = Math.floor(rest / 10);
    bytes[this.#at++] = ZERO + hundreds;
    bytes[this.#at++] = ZERO + tens;
    bytes[this.#at++] = ZERO + rest - tens * 10;
  }

  /** A number with three places after the point, less those that are 0. -1 and the like stay as they are. */
  thousandths(value: number): void {
    if (value < 0) {
      this.text("-");
      this.thousandths(-value);
      return;
    }
    const all = Math.round(value * 1000);
    const whole = Math.floor(all / 1000);
    const part = all - whole * 1000;
    this.integer(whole);
    if (part === 0) return;
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = 0x2e;
    const hundreds = Math.floor(part / 100);
    const tens = Math.floor(part / 10) % 10;
    const ones = part % 10;
    bytes[at++] = ZERO + hundreds;
    if (tens + ones > 0) bytes[at++] = ZERO + tens;
    if (ones > 0) bytes[at++] = ZERO + ones;
    this.#at = at;
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

function escaped(bytes: Buffer, start: number, code: number): number {
  let at = start;
  bytes[at++] = BACKSLASH;
  if (code === QUOTE || code === BACKSLASH) bytes[at++] = code;
  else {
    bytes[at++] = 0x75;
    for (let shift = 12; shift >= 0; shift -= 4) bytes[at++] = HEX.charCodeAt((code >>> shift) & 0xf);
  }
  return at;
}

function digits(bytes: Buffer, start: number, value: number): number {
  let end = start + 1;
  for (let left = value; left >= 10; left = Math.floor(left / 10)) end++;
  let left = value;
  for (let at = end - 1; at >= start; at--) {
    const rest = Math.floor(left / 10);
    bytes[at] = ZERO + (left - rest * 10);
    left = rest;
  }
  return end;
}
