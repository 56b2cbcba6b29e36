/**
 * Where the bytes of backends are read into. All connections of a worker share one buffer, since what is read is dealt
 * with before anything else is read: an idle connection has none. One that brings a large body gets a buffer of its
 * own, so that its bytes can be written from where they were read; what the client does not take at once stays where
 * it is, and the next bytes are read elsewhere.
 */
import type { Upstream } from "./upstream.ts";

const READ_BYTES = 65_536;
/** A read of this size is one of many, most likely. */
const LARGE = 16_384;
const SPARE_MAX = 64;

export class ReadBuffers {
  readonly #shared = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #spare: Buffer[] = [];

  /** For the `onread` of this connection's socket. */
  of(upstream: Upstream) {
    let current: Buffer = this.#shared;
    upstream.ownsBytes = false;
    return {
      /** Asked before the first read, and after each. */
      buffer: () => current,
      callback: (length: number, bytes: Uint8Array): boolean => {
        upstream.read(bytes as Buffer, 0, length);
        current = this.#next(upstream, current, length);
        return true;
      },
    };
  }

  #next(upstream: Upstream, last: Buffer, length: number): Buffer {
    const { ownsBytes, isLent } = upstream;
    upstream.isLent = false;
    if (upstream.isAnswering && (ownsBytes || length > LARGE)) {
      if (ownsBytes && !isLent) return last;
      upstream.ownsBytes = true;
      return this.#spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    }
    if (ownsBytes && !isLent && this.#spare.length < SPARE_MAX) this.#spare.push(last);
    upstream.ownsBytes = false;
    return this.#shared;
  }
}
