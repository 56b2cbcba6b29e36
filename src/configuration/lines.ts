/**
 * A line is one connection over which an instance hears. A reader that is too slow is cut off, since it comes back and
 * hears what it missed.
 *
 * Here those of server-sent events. The body ends with the connection and is not chunked, so that telling 10,000
 * instances is 10,000 writes of the same bytes.
 */
import type { ServerResponse } from "node:http";
import type { Notice } from "./events.ts";

export interface Line {
  readonly isOpen: boolean;
  /** Never throws. */
  send(notice: Notice): void;
  keepAlive(): void;
  /** In order: who is there comes back. */
  end(): void;
  onClose(listener: () => void): void;
}

export interface EventLineOptions {
  requestId: string;
  /** How long to wait before coming back. */
  retryMs: number;
  pendingBytesMax: number;
}

const keepAlive = Buffer.from(":\n\n");

export class EventLine implements Line {
  readonly #response: ServerResponse;
  readonly #pendingBytesMax: number;

  constructor(response: ServerResponse, { requestId, retryMs, pendingBytesMax }: EventLineOptions) {
    this.#response = response;
    this.#pendingBytesMax = pendingBytesMax;
    response.removeHeader("transfer-encoding");
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-request-id": requestId,
      connection: "close",
    });
    response.write(`retry: ${retryMs}\n\n`);
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  send({ event }: Notice): void {
    this.#write(event);
  }

  keepAlive(): void {
    this.#write(keepAlive);
  }

  end(): void {
    this.#response.end();
  }

  onClose(listener: () => void): void {
    this.#response.once("close", listener);
  }

  #write(bytes: Buffer): void {
    if (!this.isOpen) return;
    const response = this.#response;
    if (response.writableLength > this.#pendingBytesMax) response.destroy();
    // The head has gone and the body is not chunked: the response would only cork the socket, and uncork it again.
    else (response.socket ?? response).write(bytes);
  }
}
