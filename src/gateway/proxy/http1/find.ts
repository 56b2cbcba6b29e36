/** Finds fields in the text of a head, and cookies in a field: for who comes after the head is gone. */

/** A field in a head's text, by its name in lower case; several are joined. */
export function fieldIn(text: string, name: string): string | undefined {
  let found: string | undefined;
  for (let at = text.indexOf("\r\n"); at >= 0 && at + 4 < text.length; at = text.indexOf("\r\n", at + 2)) {
    const start = at + 2;
    if (text.charCodeAt(start + name.length) !== 0x3a) continue;
    if (text.slice(start, start + name.length).toLowerCase() !== name) continue;
    const value = text.slice(start + name.length + 1, text.indexOf("\r\n", start)).trim();
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

export function cookieIn(cookies: string | undefined, name: string): string | undefined {
  for (const pair of cookies?.split(";") ?? []) {
    const equals = pair.indexOf("=");
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
