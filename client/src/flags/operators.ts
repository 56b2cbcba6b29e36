/**
 * What flagd adds to JSON Logic: fractional, sem_ver, starts_with and ends_with (flagd.dev, custom operations). What
 * they cannot make sense of is null, so that the default variant is taken.
 */
import { LogicError, lookUp, type Operator } from "./json-logic.ts";
import { murmur3 } from "./murmur3.ts";

const utf8 = new TextEncoder();
const weightMax = 0x7fffffff;

/**
 * Buckets by the first argument if that is a text, else by flag key and targeting key. The hash is scaled to the sum of
 * the weights by whole numbers: who is in a bucket stays in it when its weight grows and those before do not change.
 */
const fractional: Operator = (args, data) => {
  if (args.length === 0) return null;
  const [first, ...rest] = args;
  const hasKey = typeof first === "string";
  const targetingKey = lookUp("targetingKey", data);
  if (!hasKey && (typeof targetingKey !== "string" || targetingKey === "")) return null;
  const key = hasKey ? first : `${lookUp("$flagd.flagKey", data, "")}${String(targetingKey)}`;
  const buckets = (hasKey || first === null ? rest : args).map(bucketOf);
  const total = buckets.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0 || total > weightMax) return null;
  const position = Number((BigInt(murmur3(utf8.encode(key))) * BigInt(total)) >> 32n);
  let end = 0;
  for (const { variant, weight } of buckets) {
    end += weight;
    if (position < end) return variant;
  }
  return null;
};

function bucketOf(bucket: unknown): { variant: unknown; weight: number } {
  if (!Array.isArray(bucket) || bucket.length === 0)
    throw new LogicError("fractional takes [variant, weight]");
  const [variant, weight = 1] = bucket;
  if (!Number.isInteger(weight)) throw new LogicError("a weight of fractional must be a whole number");
  return { variant, weight: Math.max(0, weight) };
}

interface Semver {
  numbers: readonly number[];
  prerelease: readonly string[];
}

const semver = /^[vV]?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

function parseSemver(value: unknown): Semver | undefined {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" && text.length <= 256 ? semver.exec(text) : undefined;
  if (!match) return undefined;
  return {
    numbers: match.slice(1, 4).map((part) => Number(part ?? 0)),
    prerelease: match[4]?.split(".") ?? [],
  };
}

/** SemVer 2.0.0 §11: build metadata does not count. */
function compareSemver(a: Semver, b: Semver): number {
  for (const [index, number] of a.numbers.entries()) {
    if (number !== b.numbers[index]) return number - b.numbers[index]!;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0)
    return b.prerelease.length - a.prerelease.length;
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    if (part === other) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(part), /^\d+$/.test(other)];
    if (isNumber && isOtherNumber) return Number(part) - Number(other);
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return part < other ? -1 : 1;
  }
  return a.prerelease.length - b.prerelease.length;
}

const semVer: Operator = (args) => {
  if (args.length !== 3) return null;
  const [left, operator, right] = args;
  const [a, b] = [parseSemver(left), parseSemver(right)];
  if (!a || !b) return null;
  const order = compareSemver(a, b);
  const isSame = (parts: number) =>
    a.numbers.slice(0, parts).every((number, index) => number === b.numbers[index]);
  switch (operator) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    case "^":
      return isSame(1);
    case "~":
      return isSame(2);
    default:
      return null;
  }
};

const onTexts = (holds: (text: string, part: string) => boolean): Operator => {
  return (args) => {
    const [text, part] = args;
    return args.length === 2 && typeof text === "string" && typeof part === "string"
      ? holds(text, part)
      : null;
  };
};

export const flagOperators: ReadonlyMap<string, Operator> = new Map([
  ["fractional", fractional],
  ["sem_ver", semVer],
  ["starts_with", onTexts((text, part) => text.startsWith(part))],
  ["ends_with", onTexts((text, part) => text.endsWith(part))],
]);
