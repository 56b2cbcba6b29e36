/** The head that a backend gets: the client's fields as they may be passed on, and what the proxy says of its own. */
import { F, namesToRemove } from "./http1/grammar.ts";
import type { Head } from "./http1/head.ts";
import { fieldsOf } from "./http1/write.ts";
import type { Client } from "./peer.ts";
import type { Route } from "./route.ts";
import type { Trace } from "./trace.ts";

/** How the request's body is framed. */
export type RequestBody = "none" | "length" | "chunked";

/** All lines but the first, Host of the backend, and the empty one. */
export function composeFields(
  head: Head,
  route: Route,
  body: RequestBody,
  wantsUpgrade: boolean,
  peer: Client,
  trace: Trace,
): string {
  const { request, guard } = route;
  let names: readonly string[] = request.names;
  if (head.connectionTokens.length > 0) {
    const named = namesToRemove(head.connectionTokens);
    if (named.length > 0) names = [...names, ...named];
  }
  if (guard) names = [...names, ...guard.requestNames];
  let fields = fieldsOf(head, route.dropRequest, names);
  if (head.host < 0) fields = `Host: ${route.settings.name}\r\n${fields}`;
  if (wantsUpgrade) fields += `Connection: Upgrade\r\nUpgrade: ${head.value(head.upgrade)}\r\n`;
  if (body === "chunked") fields += "Transfer-Encoding: chunked\r\n";
  if (head.find(F.te) >= 0 && /(?:^|[ ,])trailers(?:$|[ ,;])/i.test(head.get("te") ?? ""))
    fields += "TE: trailers\r\n";
  const flags = trace.isSampled ? "-01\r\n" : "-00\r\n";
  return (
    `${fields}${forwardedLines(head, peer)}X-Request-Id: ${trace.requestId}` +
    `\r\ntraceparent: 00-${trace.traceId}-${trace.spanId}${flags}${request.lines}`
  );
}

// What an untrusted peer says of those before it is dropped (route.ts).
function forwardedLines(head: Head, peer: Client): string {
  const host = head.host < 0 ? "" : head.value(head.host);
  if (!peer.isTrusted) {
    return `${peer.ownLines}X-Forwarded-Host: ${host}\r\n`;
  }
  const before = head.get("x-forwarded-for");
  const proto = head.get("x-forwarded-proto");
  const port = head.get("x-forwarded-port");
  const own = proto
    ? `X-Forwarded-Proto: ${proto}\r\n${port ? `X-Forwarded-Port: ${port}\r\n` : ""}`
    : peer.forwardedLines;
  return (
    `X-Forwarded-For: ${before ? `${before}, ` : ""}${peer.address}\r\n` +
    `X-Forwarded-Host: ${head.get("x-forwarded-host") ?? host}\r\n${own}${peer.certificateLine}`
  );
}

// h2c would begin another protocol behind our back; with a body it would not be clear where it begins.
// In HTTP/2 there are no such fields, so there it is an extended CONNECT (http2-in.ts).
export function isUpgrade(head: Head, route: Route, body: RequestBody): boolean {
  if (head.upgrade < 0 || !head.hasUpgradeToken || body !== "none" || head.minor === 0) return false;
  const isH2c = head.value(head.upgrade).toLowerCase().startsWith("h2c");
  return !isH2c && route.settings.upgrades !== false;
}

/** A field in a head's text, by its name in lower case; several are joined. For who comes after the head is gone. */
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
