/**
 * Ids of requests and traces: random, made from a generator of the worker that is seeded once, since asking the
 * system for bytes with each request would cost more than parsing it. Not secrets.
 */
const HEX4 = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, "0"));

export class Ids {
  readonly #state: Uint32Array;

  constructor(seed: Uint8Array) {
    this.#state = new Uint32Array(4);
    new Uint8Array(this.#state.buffer).set(seed.subarray(0, 16));
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** 32 hex digits. */
  trace(): string {
    return this.span() + this.span();
  }

  /** 16 hex digits, not all of them 0. */
  span(): string {
    const a = this.#next();
    const b = this.#next() || 1;
    return HEX4[a >>> 16]! + HEX4[a & 0xffff]! + HEX4[b >>> 16]! + HEX4[b & 0xffff]!;
  }

  // xoshiro128** 1.1 (Blackman & Vigna)
  #next(): number {
    const state = this.#state;
    const [s0, s1, s2, s3] = [state[0]!, state[1]!, state[2]!, state[3]!];
    const scaled = Math.imul(s1, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    state[2] = s2 ^ s0;
    state[3] = s3 ^ s1;
    state[1] = s1 ^ state[2]!;
    state[0] = s0 ^ state[3]!;
    state[2] = state[2]! ^ (s1 << 9);
    state[3] = (state[3]! << 11) | (state[3]! >>> 21);
    return result;
  }
}

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-.*)?$/;

/** W3C Trace Context; undefined for what is to be ignored. */
export function parseTraceparent(
  text: string,
): { traceId: string; spanId: string; sampled: boolean } | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? [];
  if (!traceId || !spanId || !flags || (text.startsWith("00") && text.length !== 55)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function isRequestId(text: string): boolean {
  return /^[\w.:+=@/-]{1,128}$/.test(text);
}
