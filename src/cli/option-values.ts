/** Option values of the command line, read by the same kinds as settings, so that `90s` means one thing. */
import { InvalidArgumentError } from "commander";
import type { Kind } from "../platform/settings/kind.ts";

/** A parser for commander. Without a value of this kind the command ends with exit code 2. */
export function read<Value>(kind: Kind<Value>): (raw: string) => Value {
  return (raw) => {
    const value = kind.read(raw, process.cwd());
    if (value === undefined) throw new InvalidArgumentError(`It must be ${kind.allowed}.`);
    return value;
  };
}

/** A time of ISO 8601, of this machine's zone where it names none, as the API takes it. */
export function readTime(raw: string): string {
  const time = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(raw) ? Date.parse(raw) : Number.NaN;
  if (Number.isNaN(time)) throw new InvalidArgumentError("It must be a time such as 2026-12-24T08:00:00Z.");
  return new Date(time).toISOString();
}

/** For an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** For an option of pairs that may be given several times. */
export function collectPair(raw: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = raw.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be name=value.");
  return { ...previous, [raw.slice(0, at)]: raw.slice(at + 1) };
}
