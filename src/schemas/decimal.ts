/**
 * Exact arithmetic on the numbers of JSON: a number is the shortest decimal that names it, as people write it,
 * so 0.3 is a multiple of 0.1 though their doubles are not. Fractions are kept reduced, in big integers.
 */
export interface Fraction {
  readonly top: bigint;
  readonly bottom: bigint;
}

/** Of a finite number. */
export function fractionOf(value: number): Fraction {
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const [whole = "", decimals = ""] = digits.split(".");
  const shift = Number(exponent) - decimals.length;
  const top = BigInt(whole + decimals);
  return shift >= 0 ? { top: top * 10n ** BigInt(shift), bottom: 1n } : reduce(top, 10n ** BigInt(-shift));
}

export function reduce(top: bigint, bottom: bigint): Fraction {
  const by = gcd(top, bottom);
  return { top: top / by, bottom: bottom / by };
}

export function isMultiple(of: Fraction, by: Fraction): boolean {
  return (of.top * by.bottom) % (of.bottom * by.top) === 0n;
}

/** `value` is a multiple of `step`, both as decimals. */
export function isMultipleOf(value: number, step: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(step)) return value % step === 0;
  return isMultiple(fractionOf(value), fractionOf(step));
}

/** The smallest positive number that is a multiple of both. */
export function commonMultiple(a: Fraction, b: Fraction): Fraction {
  const top = (a.top / gcd(a.top, b.top)) * b.top;
  return reduce(top, gcd(a.bottom, b.bottom));
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x === 0n ? 1n : x;
}

/** Largest integer not above the quotient. */
export function floorDivide({ top: a, bottom: b }: Fraction, { top: c, bottom: d }: Fraction): bigint {
  const [top, bottom] = [a * d, b * c];
  const quotient = top / bottom;
  return top % bottom !== 0n && top < 0n !== bottom < 0n ? quotient - 1n : quotient;
}
