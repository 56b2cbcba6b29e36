/**
 * An engine in this thread, backends that say exactly what a test wants, and clients that speak bytes, so that tests
 * see what is on the wire.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { LIMIT_BYTES } from "./limits.ts";
import { allocateShared } from "./shared.ts";
import type { Backend } from "./snapshot.backend.ts";
import type { Route } from "./snapshot.route.ts";
import type { Snapshot } from "./snapshot.ts";
import type { BackendEvent } from "./stats.ts";

export interface Running extends AsyncDisposable {
  readonly engine: Engine;
  readonly port: number;
  readonly events: BackendEvent[];
  publish(snapshot: Partial<Snapshot>): ReturnType<Engine["apply"]>;
}

/** One route `r` to `url` unless the snapshot says otherwise. */
export async function startEngine(
  snapshot: Partial<Snapshot> = {},
  proxy: Partial<EngineOptions["proxy"]> = {},
  onCohorts: NonNullable<EngineOptions["onCohorts"]> = () => {},
): Promise<Running> {
  const memory = allocateShared(1, LIMIT_BYTES);
  const events: BackendEvent[] = [];
  const engine = new Engine({
    worker: 0,
    memory,
    proxy: { listen: [{ port: 0 }], ...proxy },
    clock: systemClock,
    random: systemRandom,
    offsetMs: 0,
    onBackend: (event) => events.push(event),
    onCohorts,
  });
  const slots: Record<string, number> = {};
  let revision = 0;
  const publish = (change: Partial<Snapshot>) => {
    for (const { id } of change.backends ?? []) slots[id] ??= Object.keys(slots).length;
    return engine.apply({ ...change, revision: ++revision }, slots);
  };
  publish(snapshot);
  const [address] = await engine.start();
  return { engine, port: address!.port, events, publish, [Symbol.asyncDispose]: () => engine.stop(0) };
}

export const routeTo = (backends: readonly string[], over: Partial<Route> = {}): Route => ({
  id: "r",
  name: "r",
  tenant: "t",
  match: {},
  targets: backends.map((backend) => ({ backend })),
  ...over,
});

/** A backend of raw bytes: `talk` is called with each connection. */
export async function startBackend(id: string, talk: (socket: Socket, index: number) => void) {
  let count = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    talk(socket, count++);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    settings: (over: Partial<Backend> = {}): Backend => ({ id, url: `http://127.0.0.1:${port}`, ...over }),
    port,
    sockets,
    get connections() {
      return count;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close").catch(() => {});
    },
  };
}

/** Answers each request (without a body, or with a short one) with what `answer` makes of it. */
export function answering(answer: (request: string, socket: Socket) => string | undefined) {
  return (socket: Socket) => {
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      for (;;) {
        const end = seen.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(seen.slice(0, end))?.[1] ?? 0);
        if (end < 0 || seen.length < end + 4 + length) return;
        const request = seen.slice(0, end + 4 + length);
        seen = seen.slice(end + 4 + length);
        const text = answer(request, socket);
        if (text !== undefined) socket.write(text, "latin1");
      }
    });
  };
}

export const ok = (body = "ok", fields = "") =>
  `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

/** A client that sends bytes and waits for what it expects to see. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  received = "";
  ended = false;
  #look: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
      this.#look?.();
    });
    const end = () => {
      this.ended = true;
      this.#look?.();
    };
    this.socket.on("error", () => {});
    this.socket.on("end", end);
    this.socket.on("close", end);
  }

  send(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Resolves when `seen` holds of what was received; rejects when the connection ends before. */
  until(seen: string | RegExp | ((received: string) => boolean)): Promise<string> {
    const holds = () =>
      typeof seen === "string"
        ? this.received.includes(seen)
        : seen instanceof RegExp
          ? seen.test(this.received)
          : seen(this.received);
    return new Promise((resolve, reject) => {
      this.#look = () => {
        if (holds()) resolve(this.received);
        else if (this.ended) reject(new Error(`ended after ${JSON.stringify(this.received.slice(0, 500))}`));
      };
      this.#look();
    });
  }

  /** Everything, until the other side ends. */
  end(): Promise<string> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (this.ended) resolve(this.received);
      };
      this.#look();
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
