/**
 * What a file may not contain, and how it may not be called. Each rule is a line of a table: where it looks,
 * at the code alone or at the whole text, and what it refuses.
 */
import { basename } from "node:path";
import { isScript, isTestCode, lineAt, type Source, type Violation } from "./source.ts";

interface Rule {
  readonly pattern: RegExp;
  readonly what: string;
  /** Where the rule holds; everywhere when absent. */
  readonly holds?: (path: string) => boolean;
  /** Look at words too; a rule sees code alone otherwise. */
  readonly inText?: boolean;
  /** Accepted when a comment on the line, or the line above, gives a reason. */
  readonly unlessReasoned?: boolean;
}

const isServer = (path: string) => path.startsWith("src/") && !isTestCode(path);
const isTidy = (path: string) => path.startsWith("test/tidy/");

const RULES: readonly Rule[] = [
  {
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
    what: "do it, or write an issue",
    inText: true,
    holds: (p) => !isTidy(p),
  },
  {
    pattern: /(?<![\w/.])\/(home|root|work|Users)\/\w+/,
    what: "a path of somebody's machine",
    inText: true,
    holds: (path) => !isTidy(path),
  },
  {
    pattern: /\bconsole\.\w+/,
    what: "log through telemetry",
    holds: (path) => isServer(path) && !path.startsWith("src/cli/"),
  },
  {
    pattern: /\b(Date\.now\b|Math\.random\b|new Date\(\)|(?<!\.)setTimeout\b|(?<!\.)setInterval\b)/,
    what: "time and chance come in as arguments (core/clock.ts, core/random.ts)",
    holds: (path) => isServer(path) && !path.startsWith("src/core/"),
  },
  { pattern: /["'](?:node:)?timers\/promises["']/, what: "use the clock", inText: true, holds: isServer },
  {
    pattern: /[:<|&,(]\s*any\b|\bas any\b|\bany\[\]/,
    what: "any without a reason beside it",
    unlessReasoned: true,
  },
  { pattern: /\b(test|it|suite|describe|t)\.only\(|\bonly:\s*true/, what: "keeps other tests from running" },
  {
    pattern: /\b(test|it|suite|describe)\.(skip|todo)\(|\bskip:\s*true|\btodo:\s*true/,
    what: "skip with a reason",
  },
];

export function bannedWords(sources: readonly Source[]): Violation[] {
  return sources.flatMap((file) =>
    RULES.filter((rule) => rule.holds?.(file.path) ?? true)
      .filter((rule) => rule.inText || isScript(file))
      .flatMap((rule) => matches(file, rule)),
  );
}

function matches(file: Source, { pattern, what, inText, unlessReasoned }: Rule): Violation[] {
  const found = (inText ? file.text : file.code).matchAll(new RegExp(pattern, "g"));
  return [...found].flatMap((match) => {
    const line = lineAt(file.text, match.index);
    if (unlessReasoned && hasReason(file, line)) return [];
    return [{ path: file.path, line, what: `${match[0].trim()}: ${what}` }];
  });
}

function hasReason({ text }: Source, line: number): boolean {
  const [above = "", here = ""] = text.split("\n").slice(Math.max(0, line - 2), line);
  return /\/\/|\/\*/.test(here) || /^\s*(\/\/|\*|\/\*)/.test(above);
}

/** A header says what the file is for. In tests the names of the tests do. */
export function headless(sources: readonly Source[]): Violation[] {
  return sources
    .filter((file) => isScript(file) && /^(src|client\/src|console\/src|scripts|bin)\//.test(file.path))
    .filter(({ path }) => !path.endsWith(".test.ts"))
    .filter(({ text }) => !/^(#![^\n]*\n)?\s*(\/\*\*|\/\/)/.test(text))
    .map(({ path }) => ({ path, what: "begin with a comment that says what this file is for" }));
}

const EMPTY_WORDS = /(^|[-_.])(utils?|helpers?|common|managers?|misc|stuff)([-_.]|$)/i;

export function badNames(paths: readonly string[]): Violation[] {
  return paths.flatMap((path) => {
    const empty = path.split("/").find((part) => EMPTY_WORDS.test(part));
    if (empty) return [{ path, what: `${empty} says nothing; name the noun` }];
    if (!/^[\x21-\x7e]+$/.test(path)) return [{ path, what: "a name of plain ASCII without spaces" }];
    if (/\.(ts|tsx|sql)$/.test(path) && /[A-Z]/.test(basename(path)))
      return [{ path, what: "lower-case, with dashes" }];
    return [];
  });
}
