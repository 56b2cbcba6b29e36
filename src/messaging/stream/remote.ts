/**
 * The part of a stream that another node serves: one connection to that node, over which the frames of its channels
 * pass in both directions as they are, under the caller's own token. The client notices nothing of it.
 *
 * Receipts are handed to the session, which writes those of all nodes in the order of the publishes. When this
 * connection ends or a topic leaves the node, so does the client's: it connects anew, and all is looked up again.
 */
import type { IncomingHttpHeaders } from "node:http";
import { type RawData, WebSocket } from "ws";
import { HotSwapError } from "../../core/errors.ts";
import type { Problem } from "../../platform/http/problem.ts";
import { hopHeader } from "../nodes/forward.ts";
import type { BrokerNode } from "../nodes/node.ts";
import { moved } from "../nodes/tenancy.ts";
import type { Settled } from "../settlements.ts";
import type { ControlOf } from "./control.ts";
import { kind, readHead } from "./frames.ts";

export interface RemoteOptions {
  protocol: string;
  /** Of the client's own connection. */
  headers: IncomingHttpHeaders;
  requestId: string;
  /** To the client. Resolves when there is room for more. */
  send(frame: Buffer | string): Promise<void> | undefined;
  /** So many messages are on their way to the client. */
  onMessages(channel: number, count: number): void;
  /** The other node has closed or refused the channel, and the client knows. */
  onChannelOver(channel: number): void;
  /** The node stops, or a topic has left it. What is under way is still answered. */
  onMoved(): void;
  /** The connection is over, and why. */
  onEnd(error: HotSwapError): void;
}

export type Settlement = ControlOf<"ack"> | ControlOf<"nack"> | ControlOf<"extend">;

interface Answer<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/** What is read of a text frame; anything else of it is the client's. */
interface TextFrame {
  type: string;
  id?: number;
  channel?: number;
  error?: Problem;
}

const passedHeaders = ["authorization", "traceparent", "tracestate", "baggage"];
const handshakeMs = 3000;
/** Frames of messages are many and large, and need not be read to be passed on. */
const messagesStart = '{"type":"messages",';
const movedCodes = new Set(["topic_moved", "log_fenced"]);

export class Remote {
  readonly #options: RemoteOptions;
  readonly #socket: WebSocket;
  readonly #welcome = Promise.withResolvers<void>();
  /** Publishes without receipts, in order. */
  readonly #published: (Answer<Buffer | string> & { id: number | undefined })[] = [];
  readonly #settling = new Map<number, Answer<Settled>>();
  #nextId = 2 ** 32 - 1;
  /** What the node said before it ended the connection. */
  #problem: Problem | undefined;
  #isOpen = false;
  #isClosed = false;

  private constructor(node: BrokerNode, options: RemoteOptions) {
    this.#options = options;
    const { protocol, headers, requestId } = options;
    const passed = passedHeaders.flatMap((name) => (headers[name] ? [[name, headers[name]]] : []));
    const url = `${node.address.replace(/^http/, "ws").replace(/\/$/, "")}/api/v1/messages/stream`;
    this.#socket = new WebSocket(url, [protocol], {
      headers: { ...Object.fromEntries(passed), [hopHeader]: "1", "x-request-id": requestId },
      perMessageDeflate: false,
      handshakeTimeout: handshakeMs,
    });
    this.#socket.on("message", (data, isBinary) => {
      try {
        this.#hear(data, isBinary);
      } catch {
        this.#socket.terminate(); // it speaks of what this node does not know: as if it were gone
      }
    });
    this.#socket.on("error", () => {}); // ends in `close`
    this.#socket.on("close", () => this.#end());
    this.#welcome.promise.catch(() => {}); // is awaited by `open`
  }

  /** Resolves once frames can pass; rejects with `topic_moved` when the node cannot be reached or refuses. */
  static async open(node: BrokerNode, options: RemoteOptions): Promise<Remote> {
    const remote = new Remote(node, options);
    await remote.#welcome.promise;
    return remote;
  }

  /** A frame of a channel, as the client sent it. */
  pass(frame: Buffer, isBinary: boolean): void {
    this.#socket.send(frame, { binary: isBinary });
  }

  /** Resolves to the frame with its receipts. `id` is that of a frame of text. */
  publish(frame: Buffer, isBinary: boolean, id?: number): Promise<Buffer | string> {
    return new Promise((resolve, reject) => {
      this.#published.push({ id, resolve, reject });
      this.pass(frame, isBinary);
    });
  }

  settle(control: Settlement): Promise<Settled> {
    const id = this.#nextId--;
    return new Promise((resolve, reject) => {
      this.#settling.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...control, id }));
    });
  }

  renew(token: string): void {
    this.#socket.send(JSON.stringify({ type: "token", token }));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
  }

  #hear(data: RawData, isBinary: boolean): void {
    const frame = data as Buffer;
    if (!isBinary) return void this.#hearText(frame.toString());
    const head = readHead(frame);
    if (head.kind === kind.receipts) return void this.#published.shift()?.resolve(frame);
    if (head.kind === kind.messages) this.#options.onMessages(head.channel, head.count);
    this.#toClient(frame);
  }

  #hearText(text: string): void {
    if (text.startsWith(messagesStart)) this.#toClient(text);
    else this.#read(text);
  }

  #read(text: string): void {
    const frame = JSON.parse(text) as TextFrame & Settled;
    const { type, id, channel, error } = frame;
    if (type === "welcome") this.#open();
    else if (type === "receipts") this.#published.shift()?.resolve(text);
    else if (type === "settled") this.#settled(id!)?.resolve(countsOf(frame));
    else if (type === "drain") this.#options.onMoved();
    else if (error && movedCodes.has(error.code)) this.#options.onMoved();
    else if (channel !== undefined) this.#aboutChannel(channel, frame, text);
    else if (error && id !== undefined) this.#refused(id, error, text);
    else if (error) this.#problem = error; // its end follows
  }

  #open(): void {
    this.#isOpen = true;
    this.#welcome.resolve();
  }

  #aboutChannel(channel: number, { type, id, error }: TextFrame, text: string): void {
    this.#toClient(text);
    const isRefused = type === "error" && id === undefined;
    if (isRefused || (type === "closed" && error)) this.#options.onChannelOver(channel);
  }

  #refused(id: number, { code, detail }: Problem, text: string): void {
    const settling = this.#settled(id);
    settling?.reject(new HotSwapError(code, detail));
    const at = settling ? -1 : this.#published.findIndex((one) => one.id === id);
    for (const published of at < 0 ? [] : this.#published.splice(at, 1)) published.resolve(text);
  }

  #settled(id: number): Answer<Settled> | undefined {
    const settling = this.#settling.get(id);
    this.#settling.delete(id);
    return settling;
  }

  #toClient(frame: Buffer | string): void {
    const room = this.#options.send(frame);
    if (!room) return;
    this.#socket.pause();
    void room.then(() => this.#socket.resume());
  }

  #end(): void {
    this.#welcome.reject(moved("?"));
    if (this.#isClosed || !this.#isOpen) return; // one that never opened is tried again by who wanted it
    const { code = "topic_moved", detail: said = "The node that serves the topic was lost." } =
      this.#problem ?? {};
    this.#options.onEnd(new HotSwapError(code, said));
    const detail = "The node that serves the topic was lost before it answered.";
    const lost = new HotSwapError("log_outcome_unknown", detail, { retryAfterMs: 1000 });
    for (const { reject } of this.#published.splice(0)) reject(lost);
    for (const { reject } of this.#settling.values()) reject(lost);
    this.#settling.clear();
  }
}

const countsOf = ({ settled, alreadySettled, failed }: Settled): Settled => ({
  settled,
  alreadySettled,
  failed,
});
