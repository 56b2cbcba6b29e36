/**
 * The kinds of value that a setting can have. A kind reads what a person wrote (text from a flag or the
 * environment, a scalar or list from the file), says in one phrase what it allows, and shows a value without
 * the credentials in it.
 */
import { isIP } from "node:net";
import { resolve } from "node:path";

export interface Kind<Value> {
  readonly name: string;
  /** Completes "must be …". */
  readonly allowed: string;
  readonly unit?: string;
  /** Undefined when it is not allowed. Relative folders start at `cwd`. */
  read(raw: unknown, cwd: string): Value | undefined;
  show(value: Value): string;
}

/** Suffixes that may follow a number, as multiples of the unit. */
const suffixes: Record<string, Record<string, number>> = {
  milliseconds: { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
  seconds: { s: 1, m: 60, h: 3_600, d: 86_400 },
  bytes: { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 },
};

/** A whole number. With a unit, text may carry a suffix: `5m`, `64 MiB`; the value is in the unit. */
export function integer(minimum: number, maximum: number, unit?: string): Kind<number> {
  const factors = suffixes[unit ?? ""];
  const hint = factors ? `, also with a suffix (${Object.keys(factors).join(", ")})` : "";
  return {
    name: "integer",
    allowed: `a whole number${unit ? ` of ${unit}` : ""} from ${minimum} to ${maximum}${hint}`,
    ...(unit && { unit }),
    read(raw) {
      const value = typeof raw === "string" ? wholeNumber(raw, factors) : raw;
      const fits =
        Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
      return fits ? (value as number) : undefined;
    },
    show: String,
  };
}

function wholeNumber(text: string, factors: Record<string, number> = {}): number | undefined {
  const [, digits, suffix] = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = suffix ? factors[suffix] : 1;
  return digits && factor ? Number(digits) * factor : undefined;
}

/** A share from 0 to 1. */
export function ratio(): Kind<number> {
  return {
    name: "number",
    allowed: "a number from 0 to 1",
    read(raw) {
      const value = typeof raw === "string" && /^\d*\.?\d+$/.test(raw) ? Number(raw) : raw;
      return typeof value === "number" && value >= 0 && value <= 1 ? value : undefined;
    },
    show: String,
  };
}

export function boolean(): Kind<boolean> {
  return {
    name: "boolean",
    allowed: "true or false",
    read(raw) {
      if (raw === true || raw === "true") return true;
      return raw === false || raw === "false" ? false : undefined;
    },
    show: String,
  };
}

export function choice<const Value extends string>(values: readonly Value[]): Kind<Value> {
  return {
    name: "choice",
    allowed: `one of ${values.join(", ")}`,
    read: (raw) => values.find((value) => value === raw),
    show: (value) => value,
  };
}

/** Text that `accepts`; `allowed` says in words what that is. */
export function text(allowed: string, accepts: (value: string) => boolean): Kind<string> {
  return {
    name: "text",
    allowed,
    read: (raw) => (typeof raw === "string" && accepts(raw) ? raw : undefined),
    show: (value) => value,
  };
}

export function folder(): Kind<string> {
  return {
    name: "folder",
    allowed: "the path of a folder; a relative one starts where hotswap is started",
    read: (raw, cwd) => (typeof raw === "string" && raw !== "" ? resolve(cwd, raw) : undefined),
    show: (value) => value,
  };
}

export function url(schemes: readonly string[]): Kind<string> {
  return urlOr([], schemes);
}

/** Where a store lives: a word for the embedded default, or the URL of a server. */
export function store(embedded: string, schemes: readonly string[] = []): Kind<string> {
  return urlOr([embedded], schemes);
}

function urlOr(words: readonly string[], schemes: readonly string[]): Kind<string> {
  const choices = [...words.map((word) => `\`${word}\``), ...schemes.map((scheme) => `${scheme}://…`)];
  return {
    name: "URL",
    allowed: choices.join(" or "),
    read(raw) {
      if (typeof raw !== "string") return undefined;
      if (words.includes(raw)) return raw;
      return URL.canParse(raw) && schemes.includes(new URL(raw).protocol.slice(0, -1)) ? raw : undefined;
    },
    show: maskCredentials,
  };
}

/** Origins of web pages, as a list in the file or separated by commas in text. */
export function origins(): Kind<readonly string[]> {
  const isOrigin = (value: unknown) =>
    typeof value === "string" &&
    /^https?:/.test(value) &&
    URL.canParse(value) &&
    new URL(value).origin === value;
  return {
    name: "list",
    allowed: "origins such as https://console.example.com, separated by commas",
    read(raw) {
      const values: unknown = typeof raw === "string" ? raw.split(",").map((part) => part.trim()) : raw;
      return Array.isArray(values) && values.every(isOrigin) ? (values as string[]) : undefined;
    },
    show: (values) => values.join(", "),
  };
}

/** Names such as those of environments, as a list in the file or separated by commas. Empty is none. */
export function names(): Kind<readonly string[]> {
  const isName = (value: unknown) =>
    typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(value);
  return {
    name: "list",
    allowed: "names, separated by commas",
    read(raw) {
      const split = (text: string) => text.split(",").map((part) => part.trim());
      const values: unknown = typeof raw === "string" ? (raw.trim() === "" ? [] : split(raw)) : raw;
      return Array.isArray(values) && values.every(isName) ? (values as string[]) : undefined;
    },
    show: (values) => values.join(", "),
  };
}

/** IP addresses, each with the bits of its network or with a port, as a list in the file or separated by commas. */
export function networks(): Kind<readonly string[]> {
  const isAddress = (value: unknown) => {
    if (typeof value !== "string") return false;
    const [, bracketed, plain, bits] =
      /^(?:\[([^\]]+)\](?::\d+)?|([^/]+?))(?:\/(\d{1,3}))?$/.exec(value) ?? [];
    const address = bracketed ?? plain?.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1") ?? "";
    const family = isIP(address);
    return family !== 0 && Number(bits ?? 0) <= (family === 4 ? 32 : 128);
  };
  return {
    name: "list",
    allowed: "addresses such as 10.0.0.0/8 or 192.0.2.1, separated by commas",
    read(raw) {
      const values: unknown = typeof raw === "string" ? raw.split(",").map((part) => part.trim()) : raw;
      return Array.isArray(values) && values.every(isAddress) ? (values as string[]) : undefined;
    },
    show: (values) => values.join(", "),
  };
}

/** The password of a URL, also of one that cannot be parsed, is not for screens. */
export function maskCredentials(value: string): string {
  return value
    .replace(/(\/\/[^/@]*?:)[^@]*@/, "$1***@")
    .replace(/((?:password|secret|token)=)[^&]*/gi, "$1***");
}
