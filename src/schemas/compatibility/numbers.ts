/**
 * Numbers: bounds, multiples and what is excluded, decided over exact decimals. With a step (integers, or any
 * multipleOf) the candidates are the multiples nearest to zero; without one, places within the bounds.
 */
import { commonMultiple, type Fraction, floorDivide, fractionOf, isMultiple } from "../decimal.ts";
import { type Atom, empty, found, type Outcome, unknown } from "./goal.ts";
import type { PartOf, ValueType } from "./model.ts";

interface Bounds {
  low: number;
  high: number;
  lowOpen: boolean;
  highOpen: boolean;
}

const candidatesMax = 256;
const one: Fraction = { top: 1n, bottom: 1n };

/** `accepts` holds a candidate against everything that is asked for. */
export function solveNumber(
  type: ValueType,
  atoms: readonly Atom[],
  accepts: (value: number) => boolean,
): Outcome {
  const bounds = boundsOf(atoms);
  const { low, high } = bounds;
  if (low > high || (low === high && (bounds.lowOpen || bounds.highOpen))) return empty;
  const steps = multiples(atoms, true).map(fractionOf);
  if (type === "integer") steps.push(one);
  const [first, ...others] = steps;
  const step = first && others.reduce(commonMultiple, first);
  if (step && type === "fraction" && step.bottom === 1n) return empty;
  if (step && multiples(atoms, false).some((by) => isMultiple(step, fractionOf(by)))) return empty;
  if (step) return amongMultiples(step, bounds, accepts);
  for (const value of places(bounds)) if (accepts(value)) return found(value);
  return low === high ? empty : unknown("no number was found within the bounds");
}

function multiples(atoms: readonly Atom[], sign: boolean): number[] {
  return atoms
    .filter((atom) => atom.sign === sign && atom.part.kind === "multipleOf")
    .map(({ part }) => (part as PartOf<"multipleOf">).value);
}

function boundsOf(atoms: readonly Atom[]): Bounds {
  const bounds = {
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
    lowOpen: false,
    highOpen: false,
  };
  for (const { part, sign } of atoms) {
    if (part.kind !== "minimum" && part.kind !== "maximum") continue;
    // Not at least 5 is below 5; not above 5 is at most 5.
    const isLow = (part.kind === "minimum") === sign;
    const isOpen = part.exclusive === sign;
    const { value } = part;
    if (isLow && (value > bounds.low || (value === bounds.low && isOpen)))
      Object.assign(bounds, { low: value, lowOpen: isOpen });
    if (!isLow && (value < bounds.high || (value === bounds.high && isOpen)))
      Object.assign(bounds, { high: value, highOpen: isOpen });
  }
  return bounds;
}

function amongMultiples(step: Fraction, bounds: Bounds, accepts: (value: number) => boolean): Outcome {
  const least = Number.isFinite(bounds.low) ? lowest(step, bounds) : undefined;
  const greatest = Number.isFinite(bounds.high) ? highest(step, bounds) : undefined;
  if (least !== undefined && greatest !== undefined && least > greatest) return empty;
  const isShort = least !== undefined && greatest !== undefined && greatest - least < BigInt(candidatesMax);
  for (const times of nearestToZero(least, greatest)) {
    const value = Number(step.top * times) / Number(step.bottom);
    if (accepts(value)) return found(value);
  }
  return isShort ? empty : unknown("no multiple was found within the bounds");
}

function lowest(step: Fraction, { low, lowOpen }: Bounds): bigint {
  const floor = floorDivide(fractionOf(low), step);
  const isExact = isMultiple(fractionOf(low), step);
  return isExact && !lowOpen ? floor : floor + 1n;
}

function highest(step: Fraction, { high, highOpen }: Bounds): bigint {
  const floor = floorDivide(fractionOf(high), step);
  return isMultiple(fractionOf(high), step) && highOpen ? floor - 1n : floor;
}

function* nearestToZero(least: bigint | undefined, greatest: bigint | undefined): Generator<bigint> {
  if (least !== undefined && least > 0n) {
    for (let i = 0n; i < candidatesMax && (greatest === undefined || least + i <= greatest); i++)
      yield least + i;
    return;
  }
  if (greatest !== undefined && greatest < 0n) {
    for (let i = 0n; i < candidatesMax && (least === undefined || greatest - i >= least); i++)
      yield greatest - i;
    return;
  }
  yield 0n;
  for (let i = 1n; i <= candidatesMax; i++) {
    if (greatest === undefined || i <= greatest) yield i;
    if (least === undefined || -i >= least) yield -i;
  }
}

function* places({ low, high }: Bounds): Generator<number> {
  const hasLow = Number.isFinite(low);
  const hasHigh = Number.isFinite(high);
  if (hasLow && low === high) yield low;
  else {
    const around = [hasLow ? low : hasHigh ? high : 0, hasHigh ? high : hasLow ? low : 0];
    for (const base of around)
      for (const offset of [0, 0.5, -0.5, 0.25, -0.25, 1.1, -1.1, 0.01, -0.01, 1e-6, -1e-6]) {
        yield base + offset;
        yield Math.trunc(base) + offset;
      }
    if (hasLow && hasHigh) for (let i = 1; i < 64; i++) yield low + ((high - low) * i) / 64;
    for (let i = 1; i < 32; i++) {
      yield around[0]! + i + 0.3;
      yield around[1]! - i - 0.3;
    }
  }
}
