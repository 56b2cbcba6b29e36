/**
 * Reads the head of a request or response, strictly (RFC 9112; where it leaves a choice, the one that no two
 * readers can read differently). One pass over the bytes; no object per field: positions are kept in arrays that
 * are used again, and the head becomes one latin1 string of which the fields are slices.
 *
 * A head is parsed only when all of it is there. What it says is valid until the next `parse`, so a worker has
 * one parser per direction and is done with it before it reads on. Nothing of a refused head is passed on.
 */
import { CLASS, F, FIELD_VALUE, fieldAt, HOST, TARGET, TARGET_ODD, TOKEN } from "./grammar.ts";
import type { Refusal } from "./refusal.ts";

export interface HeadLimits {
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly targetBytesMax: number;
}

export const INCOMPLETE = -1;
export const REFUSED = -2;

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const HTAB = 0x09;
const COLON = 0x3a;
const SLASH = 0x2f;
const DOT = 0x2e;
const QUERY = 0x3f;

const REQUEST_LINE_END = " HTTP/1.x\r\n".length;

/** What a head says about how the message goes on; the same for requests and responses. */
export class Head {
  /** The head as latin1, from its first byte to the empty line. All positions count from its start. */
  text = "";
  /** Number of fields. */
  count = 0;
  /** For field i at 4i: name start, name end, value start, value end. */
  readonly at: Int32Array;
  /** The known number (grammar.ts) of field i. */
  readonly field: Uint8Array;
  /** Minor version: 0 or 1. */
  minor = 1;
  /** -1 when it is not given. */
  contentLength = -1;
  chunked = false;
  /** What `Connection` and the version say about the time after this message. */
  keepAlive = true;
  /** Index of the field, -1 when absent. */
  upgrade = -1;
  hasUpgradeToken = false;
  /** Tokens of `Connection` in lower case, but for a lone close or keep-alive. Shared when empty. */
  connectionTokens: readonly string[] = NO_TOKENS;
  refusal: Refusal = "request_line";

  // Request
  method = "";
  /** [targetStart, pathEnd) is the path, [pathEnd, targetEnd) the query with its `?`. */
  targetStart = 0;
  pathEnd = 0;
  targetEnd = 0;
  /** The path needs a closer look (path.ts) before it is matched. */
  oddPath = false;
  host = -1;
  expectsContinue = false;

  // Response
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;

  readonly #limits: HeadLimits;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.at = new Int32Array(4 * (limits.headersMax + 1));
    this.field = new Uint8Array(limits.headersMax + 1);
  }

  name(index: number): string {
    return this.text.slice(this.at[4 * index], this.at[4 * index + 1]);
  }

  value(index: number): string {
    return this.text.slice(this.at[4 * index + 2], this.at[4 * index + 3]);
  }

  /** The first field with this known number, or -1. */
  find(field: number): number {
    for (let i = 0; i < this.count; i++) if (this.field[i] === field) return i;
    return -1;
  }

  /** Values of all fields of that name (lower case), joined as one; undefined when there is none. */
  get(name: string): string | undefined {
    let found: string | undefined;
    for (let i = 0; i < this.count; i++) {
      if (this.at[4 * i + 1]! - this.at[4 * i]! !== name.length || this.name(i).toLowerCase() !== name)
        continue;
      found = found === undefined ? this.value(i) : `${found}, ${this.value(i)}`;
    }
    return found;
  }

  get target(): string {
    return this.text.slice(this.targetStart, this.targetEnd);
  }

  /** With its CRLF. */
  get requestLine(): string {
    return this.text.slice(0, this.targetEnd + REQUEST_LINE_END);
  }

  /**
   * Reads a request's head from bytes[start, end). Returns the position after it, or INCOMPLETE when it is not
   * all there, or REFUSED with `refusal` set. An empty line before the request line is passed over, once.
   */
  parseRequest(bytes: Buffer, start: number, end: number): number {
    this.#reset();
    const max = this.#limits.headBytesMax;
    const stop = Math.min(end, start + max);
    const from = bytes[start] === CR && bytes[start + 1] === LF ? start + 2 : start;
    let at = this.#requestLine(bytes, from, stop);
    if (at > 0) at = this.#fields(bytes, from, at, stop);
    if (at === INCOMPLETE && end - start >= max) return this.#refuse("head_too_large");
    if (at < 0) return at;
    this.text = bytes.toString("latin1", from, at);
    return this.#finishRequest() ? at : REFUSED;
  }

  /** The same for a response. 1xx are heads of their own. */
  parseResponse(bytes: Buffer, start: number, end: number): number {
    this.#reset();
    const max = this.#limits.headBytesMax;
    const stop = Math.min(end, start + max);
    let at = this.#statusLine(bytes, start, stop);
    if (at > 0) at = this.#fields(bytes, start, at, stop);
    if (at === INCOMPLETE && end - start >= max) return this.#refuse("head_too_large");
    if (at < 0) return at;
    this.text = bytes.toString("latin1", start, at);
    return this.#finishFraming() ? at : REFUSED;
  }

  /** Fields alone, up to and with the empty line: a trailer. */
  parseTrailer(bytes: Buffer, start: number, end: number): number {
    this.#reset();
    const at = this.#fields(bytes, start, start, end);
    if (at > 0) this.text = bytes.toString("latin1", start, at);
    return at;
  }

  #reset(): void {
    this.count = 0;
    this.contentLength = -1;
    this.chunked = false;
    this.upgrade = -1;
    this.hasUpgradeToken = false;
    this.connectionTokens = NO_TOKENS;
    this.host = -1;
    this.expectsContinue = false;
    this.oddPath = false;
  }

  #refuse(refusal: Refusal): number {
    this.refusal = refusal;
    return REFUSED;
  }

  // METHOD SP target SP HTTP/1.x CRLF
  #requestLine(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && CLASS[bytes[at]!]! & TOKEN) at++;
    if (at - start > 32) return this.#refuse("method");
    if (at === end) return INCOMPLETE;
    if (bytes[at] !== SP || at === start) return this.#refuse("method");
    this.method = methodAt(bytes, start, at);
    const targetStart = ++at;
    if (at === end) return INCOMPLETE;
    if (bytes[at] !== SLASH && bytes[at] !== 0x2a) return this.#refuse("target");
    at = this.#target(bytes, start, targetStart, end);
    if (at < 0) return at;
    if (at + 11 > end) return INCOMPLETE;
    return this.#versionAt(bytes, at + 1) ? this.#lineEnd(bytes, at + 9) : this.#refuse("version");
  }

  /** Returns the position of the space behind the target. */
  #target(bytes: Buffer, lineStart: number, start: number, end: number): number {
    const stop = Math.min(end, start + this.#limits.targetBytesMax + 1);
    let at = start;
    let query = -1;
    let previous = 0;
    for (; at < stop; at++) {
      const byte = bytes[at]!;
      const kind = CLASS[byte]!;
      if (!(kind & TARGET)) break;
      if (query < 0) {
        if (byte === QUERY) query = at;
        else if (kind & TARGET_ODD || (previous === SLASH && (byte === SLASH || byte === DOT)))
          this.oddPath = true;
        previous = byte;
      }
    }
    if (at - start > this.#limits.targetBytesMax) return this.#refuse("target_too_long");
    if (at === end) return INCOMPLETE;
    if (bytes[at] !== SP) return this.#refuse("target");
    this.targetStart = start - lineStart;
    this.targetEnd = at - lineStart;
    this.pathEnd = (query < 0 ? at : query) - lineStart;
    return at;
  }

  /** "HTTP/1.0" or "HTTP/1.1" at `at`. */
  #versionAt(bytes: Buffer, at: number): boolean {
    const isHttp1 =
      bytes[at] === 0x48 &&
      bytes[at + 1] === 0x54 &&
      bytes[at + 2] === 0x54 &&
      bytes[at + 3] === 0x50 &&
      bytes[at + 4] === SLASH &&
      bytes[at + 5] === 0x31 &&
      bytes[at + 6] === DOT;
    this.minor = bytes[at + 7]! - 0x30;
    this.keepAlive = this.minor === 1;
    return isHttp1 && (this.minor === 0 || this.minor === 1);
  }

  #lineEnd(bytes: Buffer, at: number): number {
    return bytes[at] === CR && bytes[at + 1] === LF ? at + 2 : this.#refuse("line_end");
  }

  // HTTP/1.x SP 3DIGIT SP reason CRLF; the space before an empty reason may be missing.
  #statusLine(bytes: Buffer, start: number, end: number): number {
    if (end - start < 14)
      return end - start > 0 && bytes[start] !== 0x48 ? this.#refuse("status_line") : INCOMPLETE;
    if (!this.#versionAt(bytes, start) || bytes[start + 8] !== SP) return this.#refuse("status_line");
    const a = bytes[start + 9]! - 0x30;
    const b = bytes[start + 10]! - 0x30;
    const c = bytes[start + 11]! - 0x30;
    if (a < 1 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9) return this.#refuse("status_line");
    this.status = a * 100 + b * 10 + c;
    let at = start + 12;
    if (bytes[at] === SP) at++;
    else if (bytes[at] !== CR) return this.#refuse("status_line");
    this.reasonStart = at - start;
    while (at < end && CLASS[bytes[at]!]! & FIELD_VALUE) at++;
    this.reasonEnd = at - start;
    if (at + 2 > end) return at < end && bytes[at] !== CR ? this.#refuse("status_line") : INCOMPLETE;
    return this.#lineEnd(bytes, at);
  }

  /** `origin` is where positions count from. Returns the position after the empty line. */
  #fields(bytes: Buffer, origin: number, start: number, end: number): number {
    const { at: positions, field } = this;
    const max = this.#limits.headersMax;
    let at = start;
    let count = 0;
    for (;;) {
      if (at >= end) return INCOMPLETE;
      const nameStart = at;
      while (at < end && CLASS[bytes[at]!]! & TOKEN) at++;
      if (at === end) return INCOMPLETE;
      if (at === nameStart) {
        if (bytes[at] !== CR) return this.#refuse(isBlank(bytes[at]!) ? "folded" : "field_name");
        if (at + 1 === end) return INCOMPLETE;
        this.count = count;
        return this.#lineEnd(bytes, at);
      }
      if (bytes[at] !== COLON) return this.#refuse("field_name");
      if (count === max) return this.#refuse("fields_too_many");
      const nameEnd = at++;
      while (at < end && isBlank(bytes[at]!)) at++;
      const valueStart = at;
      while (at < end && CLASS[bytes[at]!]! & FIELD_VALUE) at++;
      if (at + 2 > end) return at < end && bytes[at] !== CR ? this.#refuse("field_value") : INCOMPLETE;
      if (bytes[at] !== CR) return this.#refuse(bytes[at] === LF ? "line_end" : "field_value");
      if (bytes[at + 1] !== LF) return this.#refuse("line_end");
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1]!)) valueEnd--;
      at += 2;
      const slot = count * 4;
      positions[slot] = nameStart - origin;
      positions[slot + 1] = nameEnd - origin;
      positions[slot + 2] = valueStart - origin;
      positions[slot + 3] = valueEnd - origin;
      const known = fieldAt(bytes, nameStart, nameEnd);
      field[count] = known;
      if (known !== 0 && known <= F.expect && !this.#note(bytes, known, count, valueStart, valueEnd))
        return REFUSED;
      count++;
    }
  }

  /** What the fields say that decide about framing and connection. False when that is refused. */
  #note(bytes: Buffer, field: number, index: number, start: number, end: number): boolean {
    switch (field) {
      case F.host:
        if (this.host >= 0) return this.#refuse("host") > 0;
        this.host = index;
        return isHost(bytes, start, end) || this.#refuse("host") > 0;
      case F.contentLength:
        if (this.contentLength >= 0) return this.#refuse("length") > 0;
        this.contentLength = numberAt(bytes, start, end);
        return this.contentLength >= 0 || this.#refuse("length") > 0;
      case F.transferEncoding:
        if (this.chunked || bytes.toString("latin1", start, end).toLowerCase() !== "chunked")
          return this.#refuse("encoding") > 0;
        this.chunked = true;
        return true;
      case F.connection:
        this.#connection(bytes.toString("latin1", start, end));
        return true;
      case F.upgrade:
        this.upgrade = index;
        return true;
      case F.expect:
        this.expectsContinue = bytes.toString("latin1", start, end).toLowerCase() === "100-continue";
        return this.expectsContinue || this.#refuse("expect") > 0;
      default:
        return true;
    }
  }

  #connection(value: string): void {
    const lower = value.toLowerCase();
    if (lower === "close") this.keepAlive = false;
    else if (lower === "keep-alive") this.keepAlive = this.keepAlive || this.minor === 0;
    else {
      const tokens = lower.split(",").map((token) => token.trim());
      if (tokens.includes("close")) this.keepAlive = false;
      else if (this.minor === 0 && tokens.includes("keep-alive")) this.keepAlive = true;
      if (tokens.includes("upgrade")) this.hasUpgradeToken = true;
      this.connectionTokens = [...this.connectionTokens, ...tokens];
    }
  }

  #finishRequest(): boolean {
    if (!METHODS.has(this.method)) return this.#refuse("method_unsupported") > 0;
    if (this.host < 0 && this.minor === 1) return this.#refuse("host") > 0;
    const isAsterisk = this.text.charCodeAt(this.targetStart) === 0x2a;
    if (isAsterisk && (this.method !== "OPTIONS" || this.targetEnd - this.targetStart !== 1)) {
      return this.#refuse("target") > 0;
    }
    if (this.minor === 0) this.expectsContinue = false;
    return this.#finishFraming();
  }

  #finishFraming(): boolean {
    if (!this.chunked) return true;
    if (this.contentLength >= 0) return this.#refuse("length_and_encoding") > 0;
    return this.minor === 1 || this.#refuse("encoding_version") > 0;
  }
}

/** Registered ones (RFC 9110 §16.1.2) but CONNECT and TRACE; a closed set, so that every backend knows them too. */
const METHODS = new Set(
  (
    "GET HEAD POST PUT DELETE PATCH OPTIONS QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT " +
    "MKACTIVITY CHECKOUT MERGE MKCALENDAR BIND REBIND UNBIND ACL LINK UNLINK PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH"
  ).split(" "),
);

const NO_TOKENS: readonly string[] = [];

const isBlank = (byte: number) => byte === SP || byte === HTAB;

/** At most 15 digits, so that it is exact; -1 otherwise. */
function numberAt(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 15) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

// No user, no path, no list: characters of names, addresses and a port.
function isHost(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!(CLASS[bytes[at]!]! & HOST)) return false;
  return end > start && end - start < 256;
}

// The usual ones without a new string.
function methodAt(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  const first = bytes[start];
  if (length === 3 && first === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54) return "GET";
  if (
    length === 4 &&
    first === 0x50 &&
    bytes[start + 1] === 0x4f &&
    bytes[start + 2] === 0x53 &&
    bytes[start + 3] === 0x54
  )
    return "POST";
  return bytes.toString("latin1", start, end);
}
