/**
 * Many connections of one process, as cheap as they can be on the client's side, so that what is measured is the
 * server: plain sockets, requests written by hand, answers looked at for what is asked of them only.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const addressOf = (url: string): Address => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
};

export function requestText(
  method: string,
  path: string,
  headers: Record<string, string>,
  body = "",
): string {
  const lines = Object.entries({ host: "bench", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const length =
    body === "" ? "" : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}${length}\r\n${body}`;
}

/** A WebSocket frame of text as a client sends it, with a mask of zeros: nothing stands between that it protects. */
export function clientFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 125) throw new TypeError("such a long frame is not needed here");
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

/** All sockets read into the same bytes, and none of them has a stream around it: what comes is looked at at once. */
const shared = Buffer.allocUnsafe(256 * 1024);

/** `onText` gets each piece that arrives as Latin-1 text. */
function open(address: Address, onText: (text: string) => void): Socket {
  const callback = (length: number) => {
    onText(shared.toString("latin1", 0, length));
    return true;
  };
  return connect({ ...address, noDelay: true, onread: { buffer: shared, callback } });
}

/** A connection over which an answer comes in for ever, or frames both ways. */
export class Stream {
  socket: Socket | undefined;
  /** Told of each piece that arrives, with the time. */
  onData: (text: string, at: number) => void = () => {};
  onLost: () => void = () => {};

  /** Resolves when the answer has begun; rejects with the seconds that the server asks to wait. */
  open(address: Address, request: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let head = "";
      let isOpen = false;
      const hear = (text: string) => {
        const at = performance.now();
        if (isOpen) return this.onData(text, at);
        head += text;
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        const status = Number(head.slice(9, 12));
        if (status !== 200 && status !== 101) {
          const after = Number(/retry-after: (\d+)/i.exec(head)?.[1] ?? 1);
          socket.destroy();
          return reject(Object.assign(new Error(`answered ${status}`), { status, afterMs: after * 1_000 }));
        }
        isOpen = true;
        resolve();
        if (head.length > end + 4) this.onData(head.slice(end + 4), at);
      };
      const socket = open(address, hear);
      this.socket = socket;
      socket.once("connect", () => socket.write(request));
      socket.on("error", (error) => reject(error));
      socket.on("close", () => {
        if (isOpen) this.onLost();
        reject(new Error("closed"));
      });
    });
  }

  /** Comes back as a good client does: when it is told to. */
  async openPatiently(address: Address, request: string, untilMs: number): Promise<number> {
    for (let refused = 0; ; ) {
      try {
        await this.open(address, request);
        return refused;
      } catch (error) {
        if (performance.now() > untilMs) throw error;
        const { afterMs } = error as { afterMs?: number };
        if (afterMs !== undefined) refused++;
        await sleep((afterMs ?? 500) + Math.random() * 500);
      }
    }
  }

  write(bytes: Buffer): void {
    this.socket?.write(bytes);
  }

  close(): void {
    this.onLost = () => {};
    this.socket?.destroy();
  }
}

/** A kept-alive connection, with one request at a time. */
class Connection {
  readonly #socket: Socket;
  #text = "";
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  constructor(address: Address) {
    this.#socket = open(address, (text) => this.#hear(text));
    this.#socket.on("error", () => {}); // the close says it
    this.#socket.on("close", () => this.#settle?.reject(new Error("the connection was closed")));
  }

  exchange(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #hear(text: string): void {
    this.#text += text;
    const head = this.#text.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#text.slice(0, head))?.[1] ?? 0);
    if (this.#text.length < head + 4 + length) return;
    const answer = { status: Number(this.#text.slice(9, 12)), body: this.#text.slice(head + 4) };
    this.#text = "";
    this.#settle?.resolve(answer);
  }
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Requests over a few kept-alive connections. */
export class Calls {
  readonly #all: Connection[];
  readonly #idle: Connection[];
  readonly #waiting: ((connection: Connection) => void)[] = [];

  constructor(address: Address, connections: number) {
    this.#all = Array.from({ length: connections }, () => new Connection(address));
    this.#idle = [...this.#all];
  }

  async call(request: string): Promise<Answer> {
    const connection =
      this.#idle.pop() ?? (await new Promise<Connection>((resolve) => this.#waiting.push(resolve)));
    try {
      return await connection.exchange(request);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }

  close(): void {
    for (const connection of this.#all) connection.close();
  }
}
