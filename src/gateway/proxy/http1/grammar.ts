/**
 * The characters of HTTP/1.1 (RFC 9110 §5.5, §5.6.2, RFC 9112) as one table of bits, and the names of fields that
 * mean something to a proxy as small numbers, so that a head is walked once and nothing is compared twice.
 */

export const TOKEN = 1;
export const FIELD_VALUE = 2;
export const TARGET = 4;
/** In a target: worth a closer look before it is matched (`%`, `\`, `;`), see path.ts. */
export const TARGET_ODD = 8;
export const HOST = 16;

export const CLASS = new Uint8Array(256);
const mark = (characters: string, bit: number) => {
  for (const character of characters) CLASS[character.charCodeAt(0)]! |= bit;
};
const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
mark(`${alphanumeric}!#$%&'*+-.^_\`|~`, TOKEN);
mark(`${alphanumeric}-._~:[]`, HOST);
for (let code = 0x20; code < 0x100; code++) if (code !== 0x7f) CLASS[code]! |= FIELD_VALUE;
mark("\t", FIELD_VALUE);
// RFC 3986 and what browsers leave as it is in queries. No `#`: a fragment is never sent. No quotes or angles.
for (let code = 0x21; code < 0x7f; code++)
  if (!'"#<>'.includes(String.fromCharCode(code))) CLASS[code]! |= TARGET;
mark("%\\;", TARGET_ODD);

/** Numbers of known fields. 0 is every other. */
export const F = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  upgrade: 5,
  keepAlive: 6,
  proxyConnection: 7,
  te: 8,
  trailer: 9,
  expect: 10,
  forwardedFor: 11,
  forwardedProto: 12,
  forwardedHost: 13,
  forwardedPort: 14,
  requestId: 15,
  traceparent: 16,
  tracestate: 17,
  authorization: 18,
  cookie: 19,
  origin: 20,
  http2Settings: 21,
  proxyAuthenticate: 22,
  proxyAuthorization: 23,
  maxForwards: 24,
  date: 25,
  location: 26,
  forwarded: 27,
  realIp: 28,
  clientCertificate: 29,
} as const;

const NAMES: readonly (readonly [string, number])[] = [
  ["host", F.host],
  ["connection", F.connection],
  ["content-length", F.contentLength],
  ["transfer-encoding", F.transferEncoding],
  ["upgrade", F.upgrade],
  ["keep-alive", F.keepAlive],
  ["proxy-connection", F.proxyConnection],
  ["te", F.te],
  ["trailer", F.trailer],
  ["expect", F.expect],
  ["x-forwarded-for", F.forwardedFor],
  ["x-forwarded-proto", F.forwardedProto],
  ["x-forwarded-host", F.forwardedHost],
  ["x-forwarded-port", F.forwardedPort],
  ["x-request-id", F.requestId],
  ["traceparent", F.traceparent],
  ["tracestate", F.tracestate],
  ["authorization", F.authorization],
  ["cookie", F.cookie],
  ["origin", F.origin],
  ["http2-settings", F.http2Settings],
  ["proxy-authenticate", F.proxyAuthenticate],
  ["proxy-authorization", F.proxyAuthorization],
  ["max-forwards", F.maxForwards],
  ["date", F.date],
  ["location", F.location],
  ["forwarded", F.forwarded],
  ["x-real-ip", F.realIp],
  ["x-client-certificate", F.clientCertificate],
];

/** Candidates by length: [codes of the lower-case name, number], … */
const BY_LENGTH: { readonly codes: Uint8Array; readonly field: number }[][] = Array.from(
  { length: 32 },
  () => [],
);
for (const [name, field] of NAMES) {
  BY_LENGTH[name.length]!.push({ codes: Uint8Array.from(name, (letter) => letter.charCodeAt(0)), field });
}

/** The number of the field whose name lies at [start, end) of `bytes`, in any case. */
export function fieldAt(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > 20) return F.other;
  const candidates = BY_LENGTH[length]!;
  for (let i = 0; i < candidates.length; i++) {
    const { codes, field } = candidates[i]!;
    // Sets bit 6 of letters; `-` (0x2d) has it. No token character becomes another's lower case that way but
    // letters: the ones at risk, 0x0d and below, are no token characters.
    let k = 0;
    while (k < length && (bytes[start + k]! | 0x20) === codes[k]!) k++;
    if (k === length) return field;
  }
  return F.other;
}

/** Of a connection between two neighbours (RFC 9110 §7.6.1): never passed on. */
export const HOP_BY_HOP = new Uint8Array(32);
for (const field of [
  F.connection,
  F.transferEncoding,
  F.upgrade,
  F.keepAlive,
  F.proxyConnection,
  F.te,
  F.trailer,
  F.http2Settings,
  F.proxyAuthenticate,
  F.proxyAuthorization,
]) {
  HOP_BY_HOP[field] = 1;
}

/** What `Connection` may not take away: the receiver's framing, routing and trust depend on it. */
const PROTECTED =
  /^(host|content-length|content-type|authorization|cookie|origin|forwarded|x-forwarded-.*|x-real-ip|x-request-id|traceparent|tracestate)$/;

/** The names in a `Connection` field that are to be removed, lower case; none of those that it may not name. */
export function namesToRemove(tokens: readonly string[]): string[] {
  return tokens.filter(
    (token) => token !== "close" && token !== "keep-alive" && token !== "upgrade" && !PROTECTED.test(token),
  );
}

export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!(CLASS[text.charCodeAt(i) & 0xff]! & TOKEN)) return false;
  return text.length > 0;
}

/** Whether a value may be written into a head: no control character, nothing beyond one byte. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || !(CLASS[code]! & FIELD_VALUE)) return false;
  }
  return text === text.trim();
}
