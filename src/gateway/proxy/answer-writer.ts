/**
 * Writes a backend's answer to the client: its head, and its body in the framing that the client understands. A small
 * answer is one string and one write.
 */
import { namesToRemove } from "./http1/grammar.ts";
import type { Head } from "./http1/head.ts";
import { fieldsOf, lastChunk } from "./http1/write.ts";
import { chunkText, INLINE_MAX, type Source, wholeText } from "./outlet.ts";
import type { Client } from "./peer.ts";
import { TO_CLIENT } from "./route.ts";
import type { Framing } from "./upstream.ts";

/** Of the reason, where the version, the status and a space are before it. */
const STATUS_LINE_START = "HTTP/1.1 200 ".length;

export interface AnswerStyle {
  /** Lower-case names of fields that are left out, besides those for one hop. */
  readonly names: readonly string[];
  /** Lines that are added. */
  readonly lines: string;
  readonly isHead: boolean;
  /** Of the client's version: 0 knows no chunks. */
  readonly minor: number;
  readonly keep: boolean;
  readonly requestId: string;
}

export class AnswerWriter {
  readonly #peer: Client;
  #framing: "none" | "length" | "chunked" | "raw" = "none";

  constructor(peer: Client) {
    this.#peer = peer;
  }

  /** Whether the body can only end with the connection. */
  get endsByClosing(): boolean {
    return this.#framing === "raw";
  }

  /** The head's text, and from here on the framing of the body. */
  head(head: Head, framing: Framing, style: AnswerStyle): string {
    this.#framing =
      framing === "none" || framing === "length" ? framing : style.minor === 1 ? "chunked" : "raw";
    let { names } = style;
    if (head.connectionTokens.length > 0) names = [...names, ...namesToRemove(head.connectionTokens)];
    let fields = fieldsOf(head, TO_CLIENT, names) + style.lines;
    if (this.#framing === "chunked") fields += "Transfer-Encoding: chunked\r\n";
    if (!style.keep || this.#framing === "raw") fields += "Connection: close\r\n";
    else if (style.minor === 0) fields += "Connection: keep-alive\r\n";
    return `${statusLine(head)}${fields}X-Request-Id: ${style.requestId}\r\n\r\n`;
  }

  /** Head and all of the body. */
  whole(text: string, body: Buffer, from: Source): void {
    const peer = this.#peer;
    if (this.#framing === "chunked") peer.write(text + wholeText(body));
    else if (body.length <= INLINE_MAX) peer.write(body.length === 0 ? text : text + body.toString("latin1"));
    else {
      peer.write(text);
      peer.pass(body, from);
    }
  }

  /** Head and what of the body is there. */
  begin(text: string, body: Buffer, from: Source): void {
    const peer = this.#peer;
    if (body.length === 0) peer.write(text);
    else if (body.length <= INLINE_MAX) {
      peer.write(text + (this.#framing === "chunked" ? chunkText(body) : body.toString("latin1")));
    } else {
      peer.write(text);
      this.part(body, from);
    }
  }

  part(body: Buffer, from: Source): void {
    if (this.#framing === "chunked") this.#peer.passChunk(body, from);
    else this.#peer.pass(body, from);
  }

  /** `trailer` is lines. */
  end(trailer: string): void {
    if (this.#framing === "chunked") this.#peer.write(lastChunk(trailer));
  }
}

/** As it came where that is what would be written. */
function statusLine({ text, minor, status, reasonStart, reasonEnd }: Head): string {
  if (minor === 1 && reasonStart === STATUS_LINE_START) return text.slice(0, reasonEnd + 2);
  return `HTTP/1.1 ${status} ${text.slice(reasonStart, reasonEnd)}\r\n`;
}
