/** The WebSocket of an instance as a test speaks over it: frames in order, waited for one by one. */
import { once } from "node:events";
import { WebSocket } from "ws";

// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of several shapes
type Frame = any;

export class InstanceSocket {
  readonly #socket: WebSocket;
  readonly #frames: Frame[] = [];
  readonly #closed: Promise<[number, Buffer]>;
  #isOpen = true;
  #wake = () => {};

  /** Rejects with the problem that the handshake was answered. */
  static open(url: string, token: string | undefined): Promise<InstanceSocket> {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url.replace(/^http/, "ws"), "hotswap.instance.v1", { headers });
    const opened = new InstanceSocket(socket); // before the first frame comes
    return new Promise((resolve, reject) => {
      socket.on("unexpected-response", async (_request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        const json = JSON.parse(Buffer.concat(chunks).toString());
        reject(Object.assign(new Error(json.code), { json, headers: response.headers }));
      });
      socket.on("open", () => resolve(opened));
      socket.on("error", reject);
    });
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#closed = once(socket, "close") as Promise<[number, Buffer]>;
    this.#closed.catch(() => {}); // it never opened
    socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)));
      this.#wake();
    });
    socket.on("close", () => {
      this.#isOpen = false;
      this.#wake();
    });
  }

  /** The next frame of this type; what comes before is passed over. */
  async next(type: string): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame?.type === type) return frame;
      if (frame) continue;
      if (!this.#isOpen) throw new Error(`the connection ended before ${type} came`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  say(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  sendBytes(bytes: Buffer): void {
    this.#socket.send(bytes, { binary: true });
  }

  async ended(): Promise<{ code: number; reason: string }> {
    const [code, reason] = await this.#closed;
    return { code, reason: String(reason) };
  }

  close(): void {
    this.#socket.terminate();
  }
}
