/**
 * Java's .properties, by the rules of java.util.Properties.load (Java SE API): natural and logical lines, continuation,
 * comments with # and !, separators `=`, `:` and white space, the escapes \t \n \r \f and \uXXXX, and a backslash
 * before anything else which only goes. One thing is stricter: a key that comes twice is refused, where Java takes
 * the last. The value is one flat object of strings; dots in keys mean nothing here, as in Java.
 */
import { below, nodesMax, type Parsed, Places, refuseName, refuseText, Unreadable } from "./format.ts";

const isSpace = (mark: string | undefined) => mark === " " || mark === "\t" || mark === "\f";
const isEnd = (mark: string | undefined) => mark === "\n" || mark === "\r";
const escapes: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

export function parseProperties(text: string): Parsed {
  const places = new Places(text);
  const value: { [key: string]: string } = {};
  let count = 0;
  let at = 0;
  while (at < text.length) {
    while (isSpace(text[at]) || isEnd(text[at])) at += 1;
    if (at >= text.length) break;
    if (text[at] === "#" || text[at] === "!") {
      while (at < text.length && !isEnd(text[at])) at += 1;
      continue;
    }
    const start = at;
    const key = readPart(text, at, places, true);
    at = skipSeparator(text, key.end);
    const element = readPart(text, at, places, false);
    at = element.end;
    const pointer = below("", key.text);
    const place = () => places.offsetAt(start);
    refuseName(key.text, place, pointer);
    refuseText(element.text, place, pointer);
    if (Object.hasOwn(value, key.text)) throw new Unreadable("is there twice", place(), pointer);
    if (++count > nodesMax) throw new Unreadable(`has more than ${nodesMax} keys`, place());
    value[key.text] = element.text;
    places.set(pointer, start);
  }
  places.set("", 0);
  return { value, locate: places.locate };
}

interface Part {
  text: string;
  end: number;
}

/** To the end of the logical line; a key also ends before a separator. */
function readPart(text: string, from: number, places: Places, isKey: boolean): Part {
  let read = "";
  let at = from;
  while (at < text.length) {
    const mark = text[at]!;
    if (isEnd(mark) || (isKey && (mark === "=" || mark === ":" || isSpace(mark)))) break;
    if (mark !== "\\") {
      read += mark;
      at += 1;
      continue;
    }
    const next = text[at + 1];
    if (next === undefined || isEnd(next)) at = continuation(text, at + 1);
    else if (next === "u") {
      read += unicode(text, at, places);
      at += 6;
    } else {
      read += escapes[next] ?? next;
      at += 2;
    }
  }
  return { text: read, end: at };
}

/** After a backslash at the end of a line: the next line without the white space it begins with. */
function continuation(text: string, end: number): number {
  let at = end;
  if (text[at] === "\r" && text[at + 1] === "\n") at += 2;
  else if (at < text.length) at += 1;
  while (isSpace(text[at])) at += 1;
  return at;
}

function unicode(text: string, at: number, places: Places): string {
  const hex = text.slice(at + 2, at + 6);
  if (!/^[0-9a-fA-F]{4}$/.test(hex)) {
    throw new Unreadable("\\u needs four hexadecimal digits", places.offsetAt(at));
  }
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** White space, at most one `=` or `:`, white space; continued lines count as white space too. */
function skipSeparator(text: string, from: number): number {
  let at = from;
  let isSeen = false;
  for (;;) {
    const mark = text[at];
    if (isSpace(mark)) at += 1;
    else if (mark === "\\" && isEnd(text[at + 1])) at = continuation(text, at + 1);
    else if (!isSeen && (mark === "=" || mark === ":")) {
      isSeen = true;
      at += 1;
    } else return at;
  }
}
