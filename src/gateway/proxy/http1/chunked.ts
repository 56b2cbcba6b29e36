/**
 * Takes the chunks of a body apart (RFC 9112 §7.1). Data comes out as views on what went in; sizes, extensions and
 * the trailer have bounds, since none of them says beforehand how long it will be. Extensions are checked and
 * dropped: they are for the next hop only.
 */
import { CLASS, TOKEN } from "./grammar.ts";
import type { Refusal } from "./refusal.ts";

const SIZE_DIGITS_MAX = 12;
const EXTENSION_BYTES_MAX = 256;
const TRAILER_BYTES_MAX = 8192;
/** Of all extensions of a body; a body of one-byte chunks with long extensions costs more than it brings. */
const EXTENSION_BYTES_ALL = 65_536;

type State = "size" | "extension" | "sizeEnd" | "data" | "dataEnd" | "dataEndLf" | "trailer" | "done";

const EXTENSION =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"[\t \x21\x23-\x5b\x5d-\x7e]*"))?)*$/;

export class ChunkedReader {
  refusal: Refusal | undefined;
  /** The raw trailer, with its empty line; set when done. */
  trailer: Buffer = EMPTY;
  #state: State = "size";
  #left = 0;
  #digits = 0;
  #extension = "";
  #extensions = 0;
  #trailerParts: Buffer[] = [];
  #trailerBytes = 0;
  /** How much of CRLF CRLF the trailer ends with; it begins as if a line had just ended. */
  #matched = 2;

  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Reads from bytes[start, end), adds what is data to `data`, and returns where it stopped: `end`, or before it
   * when the body is done. -1 when it is refused.
   */
  read(bytes: Buffer, start: number, end: number, data: Buffer[]): number {
    let at = start;
    while (at < end && this.#state !== "done") {
      if (this.#state === "data") {
        const taken = Math.min(this.#left, end - at);
        data.push(bytes.subarray(at, at + taken));
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = "dataEnd";
      } else if (this.#state === "trailer") at = this.#readTrailer(bytes, at, end);
      else {
        const refusal = this.#step(bytes[at++]!);
        if (refusal) this.refusal = refusal;
      }
      if (this.refusal) return -1;
    }
    return at;
  }

  #step(byte: number): Refusal | undefined {
    switch (this.#state) {
      case "size":
        return this.#size(byte);
      case "extension":
        return this.#extend(byte);
      case "sizeEnd":
        if (byte !== 0x0a) return "chunk_size";
        this.#state = this.#left === 0 ? "trailer" : "data";
        return undefined;
      case "dataEnd":
        this.#state = "dataEndLf";
        return byte === 0x0d ? undefined : "chunk_end";
      default:
        this.#state = "size";
        this.#digits = 0;
        this.#left = 0;
        return byte === 0x0a ? undefined : "chunk_end";
    }
  }

  #size(byte: number): Refusal | undefined {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      return ++this.#digits > SIZE_DIGITS_MAX ? "chunk_size" : undefined;
    }
    if (this.#digits === 0) return "chunk_size";
    if (byte === 0x0d) this.#state = "sizeEnd";
    else if (byte === 0x3b) {
      this.#state = "extension";
      this.#extension = ";";
    } else return "chunk_size";
    return undefined;
  }

  #extend(byte: number): Refusal | undefined {
    if (byte !== 0x0d) {
      this.#extension += String.fromCharCode(byte);
      const isTooLong =
        this.#extension.length > EXTENSION_BYTES_MAX || ++this.#extensions > EXTENSION_BYTES_ALL;
      return isTooLong || byte < 0x20 || byte > 0x7e ? "chunk_extension" : undefined;
    }
    this.#state = "sizeEnd";
    return EXTENSION.test(this.#extension) ? undefined : "chunk_extension";
  }

  #readTrailer(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#matched < 4) {
      const byte = bytes[at++]!;
      const wanted = this.#matched % 2 === 0 ? 0x0d : 0x0a;
      if (byte === wanted) this.#matched++;
      else this.#matched = byte === 0x0d ? 1 : 0;
    }
    this.#trailerBytes += at - start;
    if (this.#trailerBytes > TRAILER_BYTES_MAX) {
      this.refusal = "trailer";
      return at;
    }
    this.#trailerParts.push(Buffer.from(bytes.subarray(start, at)));
    if (this.#matched === 4) {
      this.trailer = this.#trailerBytes === 2 ? EMPTY : Buffer.concat(this.#trailerParts);
      this.#state = "done";
    }
    return at;
  }
}

const EMPTY = Buffer.alloc(0);

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 && CLASS[byte]! & TOKEN ? lower - 0x57 : -1;
}
