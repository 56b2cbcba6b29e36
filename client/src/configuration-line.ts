/**
 * What an instance hears, and how its heartbeats go. Over a WebSocket both take one connection, and a heartbeat costs a
 * fraction of a request. Where none can be opened (a proxy in between, an older server) the next connection is a stream
 * of server-sent events, with heartbeats by requests; the one after that tries a WebSocket again.
 */
import { readEvents } from "./event-stream.ts";
import type { InstanceAnswer, InstanceHeartbeat, Instances } from "./instances.ts";
import { HotSwapConnectionError, HotSwapProblem, type ProblemBody } from "./problem.ts";
import type { Socket } from "./socket.ts";
import { after, nowMs, sleep } from "./time.ts";
import { path, type Transport } from "./transport.ts";

export interface LineOptions {
  transport: Transport;
  instances: Instances;
  instanceId: string;
  /** Ends everything. */
  signal: AbortSignal;
  onEvent(name: string, data: unknown): void;
}

interface Waiting {
  resolve(answer: InstanceAnswer): void;
  reject(error: Error): void;
}

const protocol = "hotswap.instance.v1";
/** The server says something every 15 seconds. */
const silenceMs = 45_000;
const noLimitMs = 0x7fffffff;

export class ConfigurationLine {
  readonly #options: LineOptions;
  /** The revision that was heard last. */
  #since: number | undefined;
  #tries: "socket" | "events" = "socket";
  #socket: Socket | undefined;
  /** Of the heartbeat that has not been answered yet. */
  #waiting: Waiting | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** One at a time. */
  async heartbeat(beat: InstanceHeartbeat, timeoutMs: number): Promise<InstanceAnswer> {
    const { instances, instanceId, signal } = this.#options;
    const socket = this.#socket;
    if (!socket) return instances.heartbeat(instanceId, beat, { signal, timeoutMs });
    let cancel = () => {};
    const answered = new Promise<InstanceAnswer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      cancel = after(timeoutMs, () => {
        reject(new HotSwapConnectionError("timeout", "a heartbeat was not answered in time"));
        if (this.#socket === socket) this.#socket = undefined;
        socket.close();
      });
    });
    socket.send(JSON.stringify({ type: "heartbeat", ...beat }));
    try {
      return await answered;
    } finally {
      cancel();
      this.#waiting = undefined;
    }
  }

  /** Says what now runs, when that can be said without being answered; false: a heartbeat has to say it. */
  report(applied: InstanceHeartbeat["applied"]): boolean {
    this.#socket?.send(JSON.stringify({ type: "report", applied }));
    return this.#socket !== undefined;
  }

  /** Listens until the connection ends; resolves to how long the server asks to wait before coming back. */
  async listen(): Promise<number | undefined> {
    const way = this.#tries;
    this.#tries = "socket";
    if (way === "events") return this.#listenToEvents();
    let isOpen = false;
    try {
      return await this.#listenBySocket(() => {
        isOpen = true;
      });
    } catch (error) {
      // What our server says of the instance or the token, it would say of the other way as well.
      const isOfServer = error instanceof HotSwapProblem && !/^http_|^route_not_found$/.test(error.code);
      if (!isOpen && !isOfServer) this.#tries = "events";
      throw error;
    }
  }

  #hear(name: string, data: { revision?: unknown }): void {
    this.#options.onEvent(name, data);
    if (name === "config" && typeof data.revision === "number") this.#since = data.revision;
  }

  async #listenBySocket(onOpen: () => void): Promise<number | undefined> {
    const { transport, instanceId, signal } = this.#options;
    const token = await transport.token();
    const since = this.#since === undefined ? "" : `?since=${this.#since}`;
    const url = transport.socketUrl(path`/api/v1/instances/${instanceId}/socket` + since);
    signal.throwIfAborted();
    let retryMs: number | undefined;
    let problem: ProblemBody | undefined;
    let close = () => {};
    const closed = new Promise<void>((resolve, reject) => {
      const socket = transport.openSocket(
        { url, protocol, token },
        {
          onOpen: () => {
            onOpen();
            this.#socket = socket;
          },
          onMessage: (data) => {
            const { type, ...said } = JSON.parse(data as string);
            if (type === "answer" && this.#waiting) this.#waiting.resolve(said);
            else if (type === "welcome") retryMs = said.retryMs;
            else if (type === "error") problem = said.error;
            else this.#hear(type, said);
          },
          onClose: (code, reason, error) => {
            if (error !== undefined) reject(error);
            else if (code > 4_000) reject(new HotSwapProblem(code - 4_000, problem ?? { code: reason }));
            else resolve();
          },
        },
      );
      close = () => socket.close();
    });
    signal.addEventListener("abort", close, { once: true });
    try {
      await closed;
      return retryMs;
    } finally {
      signal.removeEventListener("abort", close);
      this.#socket = undefined;
      this.#waiting?.reject(new HotSwapConnectionError("lost", "the connection ended before the answer"));
    }
  }

  async #listenToEvents(): Promise<number | undefined> {
    const { transport, instanceId } = this.#options;
    const silent = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, silent.signal]);
    const since = this.#since;
    const response = await transport.open({
      ...{ method: "GET", path: path`/api/v1/instances/${instanceId}/stream` },
      headers: {
        accept: "text/event-stream",
        ...(since !== undefined && { "last-event-id": String(since) }),
      },
      ...{ signal, timeoutMs: noLimitMs },
    });
    let retryMs: number | undefined;
    let heardAt = nowMs();
    const watch = watchSilence(() => heardAt, silent);
    try {
      for await (const part of readEvents(response.chunks())) {
        heardAt = nowMs();
        if (!part) continue;
        if ("retryMs" in part) retryMs = part.retryMs;
        else this.#hear(part.event, JSON.parse(part.data));
      }
      return retryMs;
    } finally {
      silent.abort(new HotSwapConnectionError("lost", "the stream has ended"));
      await watch;
    }
  }
}

async function watchSilence(heardAt: () => number, silent: AbortController): Promise<void> {
  const { signal } = silent;
  while (!signal.aborted) {
    await sleep(silenceMs - (nowMs() - heardAt()), signal).catch(() => {});
    if (nowMs() - heardAt() < silenceMs) continue;
    silent.abort(new HotSwapConnectionError("timeout", "nothing was heard from the server for too long"));
  }
}
