/**
 * The tree as the tidy rules see it: every text file of the checkout, and for TypeScript and JavaScript a
 * copy of the text in which comments and the contents of strings, templates and regular expressions are
 * blank, so that a rule about code does not stumble over words. Positions and lines are the same in both.
 *
 * A tokenizer, not a parser: it tells a regular expression from a division by what stands before it, and is
 * wrong after `if (x) /re/`. In .tsx, text between tags is read as code.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Source {
  /** Relative to the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly code: string;
}

export interface Violation {
  readonly path: string;
  readonly line?: number;
  readonly what: string;
}

const SCRIPTS = new Set([".ts", ".tsx", ".js"]);
const TEXTS = new Set([...SCRIPTS, ".sql", ".css", ".html", ".md", ".json", ".yml", ".yaml", ".sh"]);
const NOT_OURS = /(^|\/)(node_modules|dist|coverage|\.git|\.cache|\.hotswap)(\/|$)/;

export function source(path: string, text: string): Source {
  return { path, text, code: SCRIPTS.has(extname(path)) ? blank(text) : text };
}

export function allPaths(): string[] {
  const found = globSync("**/*", { cwd: root, exclude: (path) => NOT_OURS.test(path) });
  return found.filter((path) => statSync(join(root, path)).isFile()).sort();
}

let tree: readonly Source[] | undefined;

/** Every text file of the checkout, read once. */
export function readTree(): readonly Source[] {
  tree ??= allPaths()
    .filter((path) => TEXTS.has(extname(path)) && path !== "package-lock.json")
    .map((path) => source(path, readFileSync(join(root, path), "utf8")));
  return tree;
}

export const isScript = ({ path }: { path: string }) => SCRIPTS.has(extname(path));

/** Tests and what only tests use. The build leaves the same files out. */
export function isTestCode(path: string): boolean {
  return /\.test\.ts$|(^|\/|\.)(testing|conformance|fixture|simulation|simulated)\.[\w.]*ts$|^test\//.test(
    path,
  );
}

export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < position; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

export function assertNone(violations: readonly Violation[]): void {
  const lines = violations.map(({ path, line, what }) => `${path}${line ? `:${line}` : ""}  ${what}`);
  assert.ok(lines.length === 0, `${lines.length} found:\n${lines.join("\n")}`);
}

const spaces = (text: string) => text.replace(/[^\n]/g, " ");

const OPENS_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%>~^]|\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|yield|await))$/;

/** Blanks comments and literal contents; keeps quotes and every newline in place. */
export function blank(text: string): string {
  let out = "";
  let at = 0;
  const templates: number[] = []; // for each open `${`, how many braces are open inside it
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const put = (kept: string, length: number) => {
    out += kept;
    at += length;
  };
  while (at < text.length) {
    const char = text[at]!;
    const inside = templates.length - 1;
    const comment = take(/\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|#![^\n]*/y);
    const string = take(/'(?:\\[\s\S]|[^'\\\n])*'?|"(?:\\[\s\S]|[^"\\\n])*"?/y);
    if (comment && (char !== "#" || at === 0)) put(spaces(comment), comment.length);
    else if (string) put(quoted(string), string.length);
    else if (char === "`" || (char === "}" && templates[inside] === 0)) {
      if (char === "}") templates.pop();
      const literal = take(/[`}](?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)?/y)!;
      if (literal.endsWith("${")) templates.push(0);
      put(char + spaces(literal.slice(1, -1)) + literal.slice(-1), literal.length);
    } else if (char === "/" && OPENS_REGEX.test(out.trimEnd())) {
      const regex = take(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/?[a-z]*/y) ?? char;
      put(regex.length > 1 ? quoted(regex) : regex, regex.length);
    } else {
      if (inside >= 0 && char === "{") templates[inside]!++;
      if (inside >= 0 && char === "}") templates[inside]!--;
      const word = take(/[\w$]+|\s+/y) ?? char;
      put(word, word.length);
    }
  }
  return out;
}

const quoted = (text: string) => text[0] + spaces(text.slice(1, -1)) + (text.length > 1 ? text.at(-1) : "");
