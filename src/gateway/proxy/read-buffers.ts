/**
 * Where the bytes of plain connections are read into. All of a worker share one buffer, since what is read is dealt
 * with before anything else is read: an idle connection has none. One that brings a large body gets a buffer of its
 * own, so that its bytes can be written from where they were read; what the other side does not take at once stays
 * where it is, and the next bytes are read elsewhere.
 */
import type { OnReadOpts } from "node:net";
import type { Lender } from "./passing.ts";

export interface Reader extends Lender {
  ownsBytes: boolean;
  /** More of a body is to come. */
  readonly isInBody: boolean;
  /** bytes[start, end) are there. */
  read(bytes: Buffer, start: number, end: number): void;
}

const READ_BYTES = 65_536;
/** A read of this size is one of many, most likely. */
const LARGE = 16_384;
const SPARE_MAX = 64;

export class ReadBuffers {
  readonly #shared = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #spare: Buffer[] = [];

  /** For the `onread` of this connection's socket. */
  of(reader: Reader): OnReadOpts {
    let current: Buffer = this.#shared;
    reader.ownsBytes = false;
    return {
      /** Asked before the first read, and after each. */
      buffer: () => current,
      callback: (length: number, bytes: Uint8Array): boolean => {
        reader.read(bytes as Buffer, 0, length);
        current = this.#next(reader, current, length);
        return true;
      },
    };
  }

  #next(reader: Reader, last: Buffer, length: number): Buffer {
    const { ownsBytes, isLent } = reader;
    reader.isLent = false;
    if (reader.isInBody && (ownsBytes || length > LARGE)) {
      if (ownsBytes && !isLent) return last;
      reader.ownsBytes = true;
      return this.#spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    }
    if (ownsBytes && !isLent && this.#spare.length < SPARE_MAX) this.#spare.push(last);
    reader.ownsBytes = false;
    return this.#shared;
  }
}
