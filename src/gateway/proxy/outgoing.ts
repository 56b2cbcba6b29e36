/**
 * The request as its backend gets it: the client's fields as they may be passed on, what the proxy says of its own, and
 * the body when all of it came with the head. Kept until there is an answer, since it may be sent again.
 */
import type { Backend } from "./backend.ts";
import { F, namesToRemove } from "./http1/grammar.ts";
import type { Head } from "./http1/head.ts";
import { fieldsOf } from "./http1/write.ts";
import { INLINE_MAX, type Source, wholeText } from "./outlet.ts";
import type { Client } from "./peer.ts";
import type { Route } from "./route.ts";
import type { Trace } from "./trace.ts";
import type { Upstream } from "./upstream.ts";

/** How the request's body is framed. */
export type RequestBody = "none" | "length" | "chunked";

/** The body was copied to be kept. */
const OWN: Source = { memory: "fresh" };

export class Outgoing {
  /** The whole body, when it came with its head. */
  inline: Buffer | undefined;
  wantsUpgrade = false;
  #body: RequestBody = "none";
  #requestLine = "";
  #fields = "";
  /** It goes to each backend under that backend's own name. */
  #isRenamed = false;

  begin(body: RequestBody, inline: Buffer | undefined): void {
    this.#body = body;
    this.inline = inline;
    this.wantsUpgrade = false;
  }

  get isChunked(): boolean {
    return this.#body === "chunked";
  }

  /** Nothing of it is still to come. */
  get isWhole(): boolean {
    return this.#body === "none" || this.inline !== undefined;
  }

  /** `path` and `query` as they came. */
  compose(head: Head, route: Route, path: string, query: string, peer: Client, trace: Trace): void {
    if (route.rewrites) this.#requestLine = `${head.method} ${route.target(path, query)} HTTP/1.1\r\n`;
    else
      this.#requestLine = head.minor === 1 ? head.requestLine : `${head.method} ${head.target} HTTP/1.1\r\n`;
    this.wantsUpgrade = isUpgrade(head, route, this.#body);
    this.#fields = composeFields(head, route, this.#body, this.wantsUpgrade, peer, trace);
    this.#isRenamed = route.settings.request?.host === "backend";
  }

  /** A further attempt is a span of its own. */
  within(trace: Trace): void {
    const { traceId, attempts } = trace;
    const of = (attempt: number) => `\r\ntraceparent: 00-${traceId}-${trace.parentFor(attempt)}`;
    this.#fields = this.#fields.replace(of(attempts - 1), of(attempts));
  }

  add(lines: string): void {
    this.#fields += lines;
  }

  /** The head, with its empty line. `host`: for who goes by its own name. */
  head(host: string): string {
    return `${this.#requestLine}${this.#isRenamed ? `Host: ${host}\r\n` : ""}${this.#fields}\r\n`;
  }

  /** The whole body as it goes on the wire, when it came with the head. */
  bodyText(): string {
    const { inline } = this;
    if (!inline) return "";
    return this.isChunked ? wholeText(inline) : inline.toString("latin1");
  }

  /** The head, and the body when that is there. */
  send(upstream: Upstream, { endpoint }: Backend): void {
    const { inline } = this;
    const { out } = upstream;
    const head = this.head(endpoint.authority);
    if (!inline || inline.length <= INLINE_MAX) out.write(head + this.bodyText());
    else {
      out.write(head);
      if (this.isChunked) out.write(this.bodyText());
      else out.pass(inline, OWN);
    }
  }
}

/** All lines but the first, Host of the backend, and the empty one. */
function composeFields(
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
  // It belongs to a trace that we did not take up (W3C Trace Context §3.4).
  if (head.find(F.tracestate) >= 0 && !trace.isContinued) names = [...names, "tracestate"];
  let fields = fieldsOf(head, route.dropRequest, names);
  if (head.host < 0) fields = `Host: ${route.settings.name}\r\n${fields}`;
  if (wantsUpgrade) fields += `Connection: Upgrade\r\nUpgrade: ${head.value(head.upgrade)}\r\n`;
  if (body === "chunked") fields += "Transfer-Encoding: chunked\r\n";
  if (head.find(F.te) >= 0 && /(?:^|[ ,])trailers(?:$|[ ,;])/i.test(head.get("te") ?? ""))
    fields += "TE: trailers\r\n";
  const flags = trace.isSampled ? "-01\r\n" : "-00\r\n";
  return (
    `${fields}${forwardedLines(head, peer)}X-Request-Id: ${trace.requestId}` +
    `\r\ntraceparent: 00-${trace.traceId}-${trace.parentFor(1)}${flags}${request.lines}`
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
function isUpgrade(head: Head, route: Route, body: RequestBody): boolean {
  if (head.upgrade < 0 || !head.hasUpgradeToken || body !== "none" || head.minor === 0) return false;
  const isH2c = head.value(head.upgrade).toLowerCase().startsWith("h2c");
  return !isH2c && route.settings.upgrades !== false;
}
