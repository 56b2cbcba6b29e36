/**
 * Randomness as an argument: the system's for production, a seeded generator for simulations, so that a
 * printed seed replays a failure. The seeded generator is not for secrets.
 */
import { randomBytes } from "node:crypto";

export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  number(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
}

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  number: () => Math.random(),
  below: (bound) => Math.floor(Math.random() * bound),
};

/** xoshiro128** 1.1 (Blackman & Vigna), seeded through SplitMix32; 32 bits a step, period 2^128 - 1. */
export function seededRandom(seed: number): Random {
  let mix = seed >>> 0;
  const next32 = () => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const state = new Uint32Array([next32(), next32(), next32(), next32()]);
  const rotate = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0;
  const step = () => {
    const [s0, s1, s2, s3] = state as unknown as [number, number, number, number];
    const result = Math.imul(rotate(Math.imul(s1, 5) >>> 0, 7), 9) >>> 0;
    state[2] = s2 ^ s0;
    state[3] = s3 ^ s1;
    state[1] = s1 ^ state[2]!;
    state[0] = s0 ^ state[3]!;
    state[2] = state[2]! ^ (s1 << 9);
    state[3] = rotate(state[3]!, 11);
    return result;
  };
  return {
    bytes: (length) => Uint8Array.from({ length }, () => step() & 0xff),
    number: () => step() / 0x1_0000_0000,
    below: (bound) => Math.floor((step() / 0x1_0000_0000) * bound),
  };
}
