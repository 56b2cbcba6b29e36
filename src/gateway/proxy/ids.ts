/**
 * Ids of requests and traces: random, made from a generator of the worker that is seeded once, since asking the
 * system for bytes with each request would cost more than parsing it. Not secrets.
 *
 * Digits are made for many ids at once; an id is a slice of them, which is one piece of memory however often it is
 * written.
 */
const WORDS = 1024;
const DIGITS = WORDS * 8;

export class Ids {
  readonly #state: Uint32Array;
  readonly #words = new Uint32Array(WORDS);
  #digits = "";
  #at = DIGITS;

  constructor(seed: Uint8Array) {
    this.#state = new Uint32Array(4);
    new Uint8Array(this.#state.buffer).set(seed.subarray(0, 16));
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** 32 hex digits, not all of them 0. */
  trace(): string {
    return this.#take(32);
  }

  /** 16 hex digits, not all of them 0. */
  span(): string {
    return this.#take(16);
  }

  #take(length: number): string {
    if (this.#at + length > DIGITS) this.#make();
    const start = this.#at;
    this.#at += length;
    return this.#digits.slice(start, this.#at);
  }

  #make(): void {
    for (let i = 0; i < WORDS; i++) this.#words[i] = this.#next() || 1;
    this.#digits = Buffer.from(this.#words.buffer).toString("hex");
    this.#at = 0;
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

/**
 * The span of an attempt at a backend (1, 2, …) within that of its request. Made from it, so that who writes the
 * spans afterwards knows what the backend was told.
 */
export function attemptSpanId(spanId: string, attempt: number): string {
  const end = Number.parseInt(spanId.slice(-8), 16) ^ attempt;
  return spanId.slice(0, -8) + (end >>> 0).toString(16).padStart(8, "0");
}

export function isRequestId(text: string): boolean {
  return /^[\w.:+=@/-]{1,128}$/.test(text);
}
