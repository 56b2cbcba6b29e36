/**
 * The path that routes are matched against, of one that has something odd in it. A backend decodes and tidies a path
 * in its own way; what it could read as another path than we matched is refused here, or tidied before matching:
 * unreserved characters are decoded (`%61` is `a`, RFC 3986 §6.2.2.2), empty segments are passed over. The backend
 * gets the path as it came.
 */

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/** Undefined when it is refused: dot segments, also encoded or with `;`, a backslash, NUL, a broken encoding. */
export function matchedPath(path: string): string | undefined {
  let isBroken = false;
  const decoded = path.replace(/%(.{0,2})/g, (whole, digits: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) isBroken = true;
    const code = Number.parseInt(digits, 16);
    if (code < 0x20 || code === 0x5c || code === 0x7f) isBroken = true;
    const character = String.fromCharCode(code);
    return UNRESERVED.test(character) ? character : whole.toUpperCase();
  });
  if (isBroken || decoded.includes("\\")) return undefined;
  // `%2F` stays one character of its segment here, but a backend may see a separator.
  for (const segment of decoded.split(/\/|%2F/)) {
    const name = segment.split(";", 1)[0];
    if (name === "." || name === "..") return undefined;
  }
  return decoded.replace(/\/{2,}/g, "/");
}
