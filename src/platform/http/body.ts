/**
 * Reading a request's body: whole within a limit, checked as UTF-8 and for depth before it is parsed, or as
 * a stream of lines with back-pressure. A body that is too large is refused by its declared length before a
 * byte is read, or as soon as it passes the limit.
 */
import { isUtf8 } from "node:buffer";
import { IncomingMessage } from "node:http";
import { HotSwapError } from "../../core/errors.ts";
import { refuseDeepJson } from "../../core/json.ts";

/** Bodies of requests that may have to be read twice. */
const kept = new WeakMap<IncomingMessage, { bytes?: Promise<Buffer> }>();

/** From now on `readBody` of this request gives the same bytes again: it may have to be passed on to another node. */
export function keepBody(request: IncomingMessage): void {
  if (!kept.has(request)) kept.set(request, {});
}

/** What `readBody` has read of a request whose body is kept. */
export function keptBody(request: IncomingMessage): Promise<Buffer> | undefined {
  return kept.get(request)?.bytes;
}

export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const slot = kept.get(request);
  if (!slot) return readOnce(request, limitBytes);
  slot.bytes ??= readOnce(request, limitBytes);
  return slot.bytes;
}

/**
 * A request whose body can be taken as the parser finds it. The stream in between would cost a small body more than
 * its parser does: events, ticks, and an end of life that nobody waits for. Untaken it is a request like any other.
 */
export class BodyRequest extends IncomingMessage {
  #take: ((chunk: Buffer | null) => boolean) | undefined;
  #hasBegun = false;

  /** Hands over each chunk, and null at the end; `take` says whether it wants more. False when some has come before. */
  takeBody(take: (chunk: Buffer | null) => boolean): boolean {
    if (this.#hasBegun) return false;
    this.#take = take;
    return true;
  }

  /** What Node's parser calls. */
  override push(chunk: Buffer | null): boolean {
    this.#hasBegun = true;
    return this.#take ? this.#take(chunk) : super.push(chunk);
  }
}

function readOnce(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > limitBytes) return Promise.reject(tooLarge(limitBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer | null): boolean => {
      if (chunk === null) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
      else if (size + chunk.length > limitBytes) {
        reject(tooLarge(limitBytes));
        return false;
      } else {
        chunks.push(chunk);
        size += chunk.length;
      }
      return true;
    };
    if (!(request instanceof BodyRequest && request.takeBody(take))) {
      request.on("data", (chunk: Buffer) => take(chunk) || request.pause());
      request.on("end", () => take(null));
    }
    // Also after an error, which without a listener of its own is no event at all.
    request.on("close", () => {
      if (!request.complete) reject(new HotSwapError("request_timeout", "The body ended early."));
    });
  });
}

function tooLarge(limitBytes: number): HotSwapError {
  return new HotSwapError("body_too_large", `The body may have ${limitBytes} bytes at most.`);
}

/** Parses JSON text strictly; rejects what is not UTF-8, too deep or malformed. */
export function parseJson(bytes: Buffer, depthLimit: number): unknown {
  if (!isUtf8(bytes)) throw new HotSwapError("encoding_invalid", "The body is not valid UTF-8.");
  refuseDeepJson(bytes, depthLimit);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    // The engine's message quotes the input's surroundings, which is the caller's own text.
    throw new HotSwapError("json_malformed", (error as Error).message);
  }
}

/** By its head; the body itself may not have arrived yet. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** The media type without parameters, in lower case; "" when there is none. */
export function mediaType(request: IncomingMessage): string {
  const type = request.headers["content-type"] ?? "";
  return type === "application/json" ? type : type.split(";", 1)[0]!.trim().toLowerCase();
}

/**
 * Lines of a streamed body, in batches as they arrive, without their line ends; empty lines are left out.
 * The next chunk is read only when the consumer asks for it, so a slow consumer slows the sender.
 */
export async function* readLines(request: IncomingMessage, lineLimitBytes: number): AsyncGenerator<Buffer[]> {
  let rest: Buffer | undefined;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    const bytes: Buffer = rest ? Buffer.concat([rest, chunk]) : chunk;
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      if (end - start > lineLimitBytes) throw lineTooLong(lineLimitBytes);
      const line = bytes.subarray(start, bytes[end - 1] === 13 ? end - 1 : end);
      if (line.length > 0) lines.push(line);
      start = end + 1;
    }
    rest = start < bytes.length ? bytes.subarray(start) : undefined;
    if (rest && rest.length > lineLimitBytes) throw lineTooLong(lineLimitBytes);
    if (lines.length > 0) yield lines;
  }
  if (rest) yield [rest];
}

function lineTooLong(limitBytes: number): HotSwapError {
  return new HotSwapError("body_too_large", `A line may have ${limitBytes} bytes at most.`);
}
