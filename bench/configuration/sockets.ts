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

/** A connection over which an answer comes in for ever. */
export class Stream {
  socket: Socket | undefined;
  /** Told of each piece that arrives, with the time. */
  onData: (text: string, at: number) => void = () => {};
  onLost: () => void = () => {};

  /** Resolves when the answer has begun; rejects with the seconds that the server asks to wait. */
  open(address: Address, request: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...address, noDelay: true });
      this.socket = socket;
      let head = "";
      let isOpen = false;
      socket.setEncoding("latin1");
      socket.once("connect", () => socket.write(request));
      socket.on("error", (error) => reject(error));
      socket.on("close", () => {
        if (isOpen) this.onLost();
        reject(new Error("closed"));
      });
      socket.on("data", (text: string) => {
        const at = performance.now();
        if (isOpen) return this.onData(text, at);
        head += text;
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        const status = Number(head.slice(9, 12));
        if (status !== 200) {
          const after = Number(/retry-after: (\d+)/i.exec(head)?.[1] ?? 1);
          socket.destroy();
          return reject(Object.assign(new Error(`answered ${status}`), { status, afterMs: after * 1_000 }));
        }
        isOpen = true;
        resolve();
        if (head.length > end + 4) this.onData(head.slice(end + 4), at);
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

  close(): void {
    this.onLost = () => {};
    this.socket?.destroy();
  }
}

/** Requests over a few kept-alive connections, one at a time on each. */
export class Calls {
  readonly #address: Address;
  readonly #idle: Socket[] = [];
  readonly #waiting: ((socket: Socket) => void)[] = [];

  constructor(address: Address, connections: number) {
    this.#address = address;
    for (let n = 0; n < connections; n++) this.#idle.push(this.#connect());
  }

  async call(request: string): Promise<{ status: number; body: string }> {
    const socket = this.#idle.pop() ?? (await new Promise<Socket>((resolve) => this.#waiting.push(resolve)));
    try {
      return await exchange(socket, request);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(socket);
      else this.#idle.push(socket);
    }
  }

  close(): void {
    for (const socket of this.#idle) socket.destroy();
  }

  #connect(): Socket {
    const socket = connect({ ...this.#address, noDelay: true });
    socket.setEncoding("utf8");
    socket.on("error", () => {}); // the exchange sees it
    return socket;
  }
}

function exchange(socket: Socket, request: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let text = "";
    const end = (settle: () => void) => {
      socket.off("data", onData).off("close", onClose);
      settle();
    };
    const onClose = () => end(() => reject(new Error("the connection was closed")));
    const onData = (chunk: string) => {
      text += chunk;
      const head = text.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
      if (Buffer.byteLength(text.slice(head + 4)) < length) return;
      end(() => resolve({ status: Number(text.slice(9, 12)), body: text.slice(head + 4) }));
    };
    socket.on("data", onData).on("close", onClose);
    socket.write(request);
  });
}
