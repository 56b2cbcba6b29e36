/**
 * How long things may be. A file: 400 lines, 700 at most. A function: 70 lines from its first to its last; in
 * test code functions nested in it are not counted, since a suite is one function around many. A line: 120
 * columns, unless an address or a literal on it cannot be broken.
 *
 * Functions are found by their braces: a `{` opens one when what stands before it, back to the end of the
 * statement or argument before, ends in `=>`, has the word `function`, or looks like a method's head. Limits:
 * arrow functions without braces are not seen, .tsx is not scanned, and a type `() => {…}` counts as a
 * function.
 */
import { isScript, isTestCode, lineAt, type Source, type Violation } from "./source.ts";

const FILE_LINES = 400;
const FILE_LINES_MAX = 700;
const FUNCTION_LINES = 70;
const COLUMNS = 120;

const lineCount = (text: string) => text.split("\n").length - (text.endsWith("\n") ? 1 : 0);

function longerThan(sources: readonly Source[], limit: number): Violation[] {
  return sources
    .filter((file) => isScript(file) && lineCount(file.text) > limit)
    .map(({ path, text }) => ({ path, what: `${lineCount(text)} lines, more than ${limit}` }));
}

export const longFiles = (sources: readonly Source[]) => longerThan(sources, FILE_LINES_MAX);

/** Not refused, but worth a look. */
export const ratherLongFiles = (sources: readonly Source[]) => longerThan(sources, FILE_LINES);

export function longLines(sources: readonly Source[]): Violation[] {
  return sources.filter(isScript).flatMap(({ path, text, code }) => {
    const blanked = code.split("\n");
    return text.split("\n").flatMap((line, index) => {
      if (line.length <= COLUMNS || breakable(line, blanked[index]!) <= COLUMNS) return [];
      return [{ path, line: index + 1, what: `${line.length} columns, more than ${COLUMNS}` }];
    });
  });
}

// Biome breaks code wherever it can, so a long line of code with a literal in it is long for the literal.
function breakable(line: string, blanked: string): number {
  return /["'`]|\/ +\//.test(blanked) ? 0 : line.replace(/https?:\/\/\S+/g, "").length;
}

interface Block {
  readonly start: number;
  readonly isFunction: boolean;
  /** Where the statement or argument begins that is being read in this block. */
  segment: number;
  /** Lines of the functions within. */
  nested: number;
}

export function longFunctions(sources: readonly Source[]): Violation[] {
  return sources
    .filter(({ path }) => /\.(ts|js)$/.test(path))
    .flatMap((file) =>
      functionsOf(file)
        .map(({ line, lines, own }) => ({ line, length: isTestCode(file.path) ? own : lines }))
        .filter(({ length }) => length > FUNCTION_LINES)
        .map(({ line, length }) => ({
          path: file.path,
          line,
          what: `a function of ${length} lines, more than ${FUNCTION_LINES}`,
        })),
    );
}

/** First line, length in lines, and the same without the functions nested in it. */
export function functionsOf({ code }: Source): { line: number; lines: number; own: number }[] {
  const found: { line: number; lines: number; own: number }[] = [];
  const blocks: Block[] = [{ start: 0, isFunction: false, segment: 0, nested: 0 }];
  for (const { 0: char, index } of code.matchAll(/[()[\]{};,]/g)) {
    const block = blocks.at(-1)!;
    if (char === ";" || char === ",") block.segment = index + 1;
    else if ("([{".includes(char)) {
      const head = code.slice(block.segment, index);
      const start = block.segment + head.length - head.trimStart().length;
      blocks.push({ start, isFunction: char === "{" && opensFunction(head), segment: index + 1, nested: 0 });
    } else if (blocks.length > 1) {
      blocks.pop();
      const outer = blocks.at(-1)!;
      // What goes on after the brace, as in `): { a: number } {`, is still the same statement.
      if (char === "}" && !/^\s*[{>|&[=.,)?:]/.test(code.slice(index + 1, index + 200)))
        outer.segment = index + 1;
      const line = lineAt(code, block.start);
      const lines = lineAt(code, index) - line + 1;
      if (block.isFunction) found.push({ line, lines, own: lines - block.nested });
      outer.nested += block.isFunction ? lines : block.nested;
    }
  }
  return found;
}

const CONTROL = /^(?:if|else|for|while|do|switch|catch|try|with|return|class|interface|namespace|enum)\b/;
// The second form: of `f<A, B>(x)` only `B>(x)` is left after the comma.
const METHOD =
  /^(?:(?:public|private|protected|static|async|override|get|set)\s+|\*\s*)*(?:[#\w$"'.[\]]+\s*(?:<[\s\S]*>)?|[^()]*>)\s*\([\s\S]*\)\s*(?::[\s\S]*)?$/;

function opensFunction(segment: string): boolean {
  const head = segment.trim();
  if (head.endsWith("=>") || /\bfunction\b/.test(head)) return true;
  return !CONTROL.test(head.replace(/^[}\s]+/, "")) && METHOD.test(head);
}
