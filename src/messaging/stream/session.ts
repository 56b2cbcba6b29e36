/**
 * One connection of the stream: reads frames, hands them to topics and subscriptions, and writes the answers in the
 * order in which their frames came, channel by channel. What is bounded has its own noun: channels.ts, the credit of
 * publishing.ts and consumption.ts; silence and the life of the token are watched by watch.ts.
 *
 * What concerns a topic that another node serves passes through to that node (remote.ts). When a topic moves, or such a
 * node goes, the connection is drained as if the server stopped: the client comes back, and is sent to the right node.
 *
 * A frame that breaks the protocol ends this connection with a code and touches nothing else. A message that is
 * refused does not: it is answered, like the others of its frame.
 */
import type { RawData, WebSocket } from "ws";
import type { Clock, Timer } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { authorize, type Permission } from "../../platform/access/index.ts";
import type { Principal } from "../../platform/auth/principal.ts";
import { asHotSwapError, statusOfKind, toProblem } from "../../platform/http/problem.ts";
import type { Upgraded } from "../../platform/http/route.ts";
import type { Registry } from "../delivery/registry.ts";
import { LiveTopic } from "../delivery/topic.ts";
import { connectionName } from "../messages.schema.ts";
import type { MessageLimits } from "../messages.ts";
import { isPassedOn } from "../nodes/forward.ts";
import { moved } from "../nodes/tenancy.ts";
import {
  allFailed,
  partsByTopic,
  type Settled,
  type Settlements,
  sumOf,
  topicOfReceipt,
} from "../settlements.ts";
import type { Tracer } from "../traces.ts";
import { Channels, isRemote } from "./channels.ts";
import { Consumption } from "./consumption.ts";
import { type Control, type ControlOf, creditMax, readControl } from "./control.ts";
import { countOfClaims, type FrameHead, invalid, kind, readHead, writeSettled } from "./frames.ts";
import { Publishing } from "./publishing.ts";
import type { Settlement } from "./remote.ts";
import { Remotes, type Whereabouts } from "./remotes.ts";
import { countOf, settle } from "./settling.ts";
import { Watch } from "./watch.ts";

export const streamProtocol = "hotswap.v1";

export interface StreamLimits {
  /** Silence after which a connection ends. */
  idleMs: number;
  /** Publishing and consuming channels of one connection. */
  channels: number;
  /** Messages and bytes that a client may have sent without having their receipts. */
  publish: { messages: number; bytes: number };
  /** Of one ack, nack or extend. */
  settle: number;
  message: MessageLimits;
}

export interface SessionParts {
  registry: Registry;
  settlements: Settlements;
  tracer: Tracer;
  /** Undefined on a single node, which serves everything. */
  whereabouts: Whereabouts | undefined;
  clock: Clock;
  limits: StreamLimits;
  onClose: () => void;
  onError: (error: unknown) => void;
}

const sendBufferBytes = 8 << 20;
/** How long a stopping server waits for a client to end what it has begun. */
const farewellMs = 2_000;

export class Session {
  readonly #upgraded: Upgraded;
  readonly #parts: SessionParts;
  readonly #socket: WebSocket;
  readonly #channels: Channels;
  readonly #publishing: Publishing;
  readonly #remotes: Remotes | undefined;
  /** Frames that came while it is found out where the one before them goes. */
  #held: { frame: Buffer; isBinary: boolean }[] | undefined;
  #principal: Principal;
  readonly #watch: Watch;
  /** Ends what does not end by itself. */
  #farewell: Timer | undefined;
  #underWay = 0;
  /** Why nothing more is delivered or accepted. */
  #leaving: HotSwapError | undefined;
  #isOver = false;

  constructor(upgraded: Upgraded, parts: SessionParts) {
    const { socket, signal, principal } = upgraded;
    const { clock, limits } = parts;
    this.#upgraded = upgraded;
    this.#parts = parts;
    this.#socket = socket;
    this.#principal = principal;
    this.#channels = new Channels(limits.channels);
    this.#publishing = this.#openPublishing();
    this.#remotes = parts.whereabouts && this.#openRemotes(parts.whereabouts);
    this.#watch = new Watch({
      clock,
      idleMs: limits.idleMs,
      ping: () => socket.ping(),
      onIdle: () => this.#fail(new HotSwapError("stream_idle")),
      onTokenEnd: () => this.#fail(new HotSwapError("token_expired")),
    });
    const onStop = () => this.#drain(new HotSwapError("shutting_down"));
    signal.addEventListener("abort", onStop, { once: true });
    socket.on("message", (data, isBinary) => this.#hear(data, isBinary));
    socket.on("pong", () => this.#watch.heard());
    socket.on("close", () => {
      signal.removeEventListener("abort", onStop);
      this.#end();
    });
    this.#say({
      type: "welcome",
      protocol: streamProtocol,
      publish: limits.publish,
      consume: creditMax,
      idleMs: limits.idleMs,
      frameBytes: limits.message.batchBytes,
    });
    this.#watch.tokenEndsAt(principal.expiresAt);
  }

  #openPublishing(): Publishing {
    const { limits } = this.#parts;
    return new Publishing({
      credit: limits.publish,
      limits: limits.message,
      requestId: this.#upgraded.requestId,
      refusal: () => this.#leaving,
      send: (frame) => void this.#send(frame),
      onBegin: () => {
        this.#underWay += 1;
      },
      onEnd: () => this.#finished(),
      onMoved: (topic) => this.#drain(moved(topic.spec.name)),
      onFailure: (error) => this.#fail(error),
    });
  }

  #openRemotes(whereabouts: Whereabouts): Remotes {
    const { headers, requestId, principal } = this.#upgraded;
    return new Remotes({
      whereabouts,
      tenant: principal.tenant,
      clock: this.#parts.clock,
      mayPassOn: !isPassedOn(headers),
      protocol: streamProtocol,
      headers,
      requestId,
      send: (frame) => this.#send(frame),
      onMessages: (channel, count) => {
        const open = this.#channels.get(channel);
        if (isRemote(open)) open.unsettled += count;
      },
      onChannelOver: (channel) => this.#channels.delete(channel),
      onMoved: () => this.#drain(moved("?")),
      onEnd: (error) => this.#fail(error),
    });
  }

  #hear(data: RawData, isBinary: boolean): void {
    this.#watch.heard();
    const frame = data as Buffer;
    if (this.#held) this.#held.push({ frame, isBinary });
    else this.#handle(frame, isBinary);
  }

  /** Frames that come meanwhile wait, so that all are handled in their order. */
  async #hold(work: Promise<void>): Promise<void> {
    const held: { frame: Buffer; isBinary: boolean }[] = [];
    this.#held = held;
    this.#socket.pause();
    await work.catch((error) => this.#fail(error));
    this.#held = undefined;
    this.#socket.resume();
    while (held.length > 0 && !this.#held) {
      const { frame, isBinary } = held.shift()!;
      this.#handle(frame, isBinary);
    }
    (this.#held as typeof held | undefined)?.unshift(...held);
  }

  #handle(frame: Buffer, isBinary: boolean): void {
    if (this.#isOver) return;
    try {
      if (isBinary) this.#onFrame(frame);
      else this.#onControl(readControl(frame, this.#parts.limits.message.jsonDepth + 2), frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  #onFrame(frame: Buffer): void {
    const head = readHead(frame);
    if (head.kind === kind.publish) this.#publishFrame(frame, head);
    else this.#settleFrame(frame, head);
  }

  #publishFrame(frame: Buffer, head: FrameHead): void {
    this.#require("messages.publish");
    const channel = this.#channels.get(head.channel);
    if (isRemote(channel) && !channel.consumes) {
      this.#publishing.there(channel.remote, frame, true, head);
      return;
    }
    if (!(channel instanceof LiveTopic)) throw invalid(`no topic is open on channel ${head.channel}`);
    this.#publishing.frame(channel, frame, head);
  }

  #settleFrame(frame: Buffer, head: FrameHead): void {
    this.#require("messages.consume");
    const { channel, id } = head;
    const open = this.#channels.get(channel);
    if (isRemote(open) && open.consumes) {
      if (head.kind !== kind.extend) open.unsettled -= countOfClaims(frame, head);
      open.remote.pass(frame, true);
      return;
    }
    const consumption = this.#channels.consumption(channel);
    const { receipts, outcomes } = settle(frame, head, consumption, this.#parts.limits.settle);
    if (head.kind !== kind.extend) consumption.unsettled -= receipts.length;
    this.#underWay += 1;
    outcomes
      .then(
        (known) => void this.#send(writeSettled(channel, id, countOf(receipts, known))),
        (error) => this.#refuse(error, { channel, id }),
      )
      .finally(() => this.#finished());
  }

  #onControl(control: Control, text: Buffer): void {
    const isElsewhere = "topic" in control && this.#remotes && !this.#remotes.isHere(control.topic);
    if (isElsewhere) void this.#hold(this.#reach(control, text));
    else this.#obey(control, text);
  }

  /** Does what the frame asks for where its topic is served. */
  async #reach(control: ControlOf<"open" | "publish" | "consume">, text: Buffer): Promise<void> {
    const { type } = control;
    this.#require(type === "consume" ? "messages.consume" : "messages.publish");
    const remote = await this.#remotes!.reach(control.topic);
    if (this.#isOver) return;
    if (!remote) return this.#obey(control, text);
    if (type === "publish") {
      return this.#publishing.there(remote, text, false, { count: control.messages.length, id: control.id });
    }
    this.#channels.refuseTaken(control.channel);
    this.#channels.set(control.channel, { remote, consumes: type === "consume", unsettled: 0 });
    remote.pass(text, false);
  }

  #obey(control: Control, text: Buffer): void {
    const { type } = control;
    if (type === "open") this.#open(control);
    else if (type === "publish") this.#publishText(control, text);
    else if (type === "consume") void this.#consume(control);
    else if (type === "credit") this.#grant(control, text);
    else if (type === "close") this.#close(control.channel, text);
    else if (type === "token") void this.#renew(control.token);
    else if (type === "ping")
      this.#say({ type: "pong", ...(control.id !== undefined && { id: control.id }) });
    else void this.#settleText(control);
  }

  #open({ channel, topic: name }: ControlOf<"open">): void {
    this.#require("messages.publish");
    this.#channels.refuseTaken(channel);
    try {
      const topic = this.#parts.registry.topic(this.#principal.tenant, name);
      this.#channels.set(channel, topic);
      const { number, durability } = topic.spec;
      this.#say({ type: "opened", channel, topic: name, number: number.toString(36), durability });
    } catch (error) {
      this.#refuse(error, { channel });
    }
  }

  #publishText({ id, topic: name, messages }: ControlOf<"publish">, text: Buffer): void {
    this.#require("messages.publish");
    const topic = this.#parts.registry.find(this.#principal.tenant, name);
    if (topic) this.#publishing.text(topic, text, { id, count: messages.length });
    else this.#refuse(new HotSwapError("topic_not_found", `There is no topic named ${name}.`), { id });
  }

  async #consume(control: ControlOf<"consume">): Promise<void> {
    const { channel } = control;
    try {
      this.#require("messages.consume");
      this.#channels.refuseTaken(channel);
      this.#channels.set(channel, "opening");
      const consumption = await this.#openConsumption(control);
      if (this.#isOver) return;
      this.#channels.set(channel, consumption);
      const { topic, subscription = "default" } = control;
      this.#say({
        type: "consuming",
        channel,
        topic,
        subscription,
        number: consumption.number.toString(36),
        topicNumber: consumption.topicNumber.toString(36),
      });
      consumption.start(control.messages, control.bytes);
      if (this.#leaving) consumption.close();
    } catch (error) {
      if (hasCode(error, "frame_invalid")) this.#fail(error);
      else this.#closed(channel, error);
    }
  }

  #grant({ channel, messages, bytes }: ControlOf<"credit">, text: Buffer): void {
    const open = this.#channels.get(channel);
    if (isRemote(open) && open.consumes) open.remote.pass(text, false);
    else this.#channels.consumption(channel).grant(messages, bytes);
  }

  async #openConsumption(control: ControlOf<"consume">): Promise<Consumption> {
    const { channel, topic: name, subscription = "default", encoding = "json" } = control;
    const { registry, clock, limits } = this.#parts;
    const { tenant, subject } = this.#principal;
    const { consumer = connectionName(subject, this.#upgraded.requestId), consumerPriority: priority } =
      control;
    const topic = registry.topic(tenant, name);
    const live = await registry.subscription(tenant, name, subscription);
    return new Consumption({
      channel,
      topic,
      live,
      number: topic.subscriptions.find((one) => one.name === subscription)!.number,
      name: subscription,
      who: { name: consumer, via: "stream", priority },
      tracer: this.#parts.tracer,
      encoding,
      batch: Math.min(control.batch ?? limits.message.batch, limits.message.batch),
      clock,
      send: (frame) => this.#send(frame),
      onEnd: (error) => this.#closed(channel, error),
    });
  }

  /** By itself, with the reason: the topic is gone, or cannot be read. When it has moved, all are looked up anew. */
  #closed(channel: number, error: unknown): void {
    if (hasCode(error, "topic_moved") || hasCode(error, "log_fenced")) {
      this.#drain(moved("?")); // the channel stays: settlements of it may be on their way
      return;
    }
    this.#channels.delete(channel);
    this.#say({ type: "closed", channel, error: this.#problem(error) });
  }

  #close(channel: number, text: Buffer): void {
    const open = this.#channels.get(channel);
    if (!open || open === "opening") throw invalid(`channel ${channel} is not open`);
    if (isRemote(open)) {
      if (!open.consumes) this.#channels.delete(channel); // else what was delivered may still be settled
      open.remote.pass(text, false);
      return;
    }
    if (open instanceof Consumption) open.close();
    else this.#channels.delete(channel);
    this.#say({ type: "closed", channel });
  }

  async #settleText(control: ControlOf<"ack"> | ControlOf<"nack"> | ControlOf<"extend">): Promise<void> {
    const { id } = control;
    this.#underWay += 1;
    try {
      this.#require("messages.consume");
      const settled = this.#remotes
        ? await this.#settleEach(control, this.#remotes)
        : await this.#settle(control);
      this.#say({ type: "settled", ...(id !== undefined && { id }), ...settled });
    } catch (error) {
      this.#refuse(error, { id });
    } finally {
      this.#finished();
    }
  }

  #settle(control: Settlement): Promise<Settled> {
    const { tenant } = this.#principal;
    const { settlements } = this.#parts;
    if (control.type === "ack") return settlements.ack(tenant, control.receipts);
    if (control.type === "nack") return settlements.nack(tenant, control.items);
    return settlements.extend(tenant, control.receipts, control.seconds);
  }

  /** Receipts of several topics: each goes where its topic is served, and the outcomes are put together. */
  async #settleEach(control: Settlement, remotes: Remotes): Promise<Settled> {
    const { registry } = this.#parts;
    const parts = partsByTopic(control, (text) => topicOfReceipt(registry, this.#principal.tenant, text));
    const settled = [...parts!].map(async ([topic, part]) => {
      try {
        const remote = topic === undefined ? undefined : await remotes.reach(topic);
        return await (remote ? remote.settle(part as Settlement) : this.#settle(part as Settlement));
      } catch (error) {
        if (parts!.size === 1) throw error;
        return allFailed(part, asHotSwapError(error));
      }
    });
    return sumOf(await Promise.all(settled));
  }

  /** A later token must be of the same subject and tenant; what it does not allow any more is closed. */
  async #renew(token: string): Promise<void> {
    try {
      const principal = await this.#upgraded.renew(token);
      const { subject, tenant } = this.#principal;
      if (principal.subject !== subject || principal.tenant !== tenant) {
        throw new HotSwapError("token_invalid", "A stream stays with the subject and tenant that opened it.");
      }
      this.#principal = principal;
      this.#upgraded.headers.authorization = `Bearer ${token}`;
      this.#remotes?.renew(token);
      if (this.#channels.consumes) this.#require("messages.consume");
      this.#watch.tokenEndsAt(principal.expiresAt);
      this.#say({ type: "renewed", expiresAt: new Date(principal.expiresAt * 1000).toISOString() });
    } catch (error) {
      this.#fail(error);
    }
  }

  #require(permission: Permission): void {
    authorize(this.#principal, permission, {});
  }

  #say(frame: object): void {
    void this.#send(JSON.stringify(frame));
  }

  /** A promise when the client is slow: it resolves when the frame has left this process. */
  #send(frame: Buffer | string): Promise<void> | undefined {
    if (this.#socket.bufferedAmount <= sendBufferBytes) {
      this.#socket.send(frame);
      return undefined;
    }
    return new Promise((resolve) => this.#socket.send(frame, () => resolve()));
  }

  #refuse(error: unknown, where: { id?: number | undefined; channel?: number }): void {
    this.#say({ type: "error", ...where, error: this.#problem(error) });
  }

  #problem(error: unknown) {
    const known = asHotSwapError(error);
    if (known.code === "internal") this.#parts.onError(known.cause ?? known);
    return toProblem(known, this.#upgraded.requestId);
  }

  /** Says what is wrong and ends the connection: 4000 and the status that HTTP would have, the code as reason. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#refuse(error, {});
    const known = asHotSwapError(error);
    this.#socket.close(4000 + statusOfKind[known.entry.kind], known.code);
    this.#farewell?.cancel();
    this.#farewell = this.#parts.clock.after(farewellMs, () => this.#socket.terminate());
    this.#channels.stopConsuming();
    this.#remotes?.close();
  }

  /**
   * The server stops, or a topic has moved: no more is delivered or accepted; what is under way is answered,
   * settlements are taken.
   */
  #drain(reason: HotSwapError): void {
    if (this.#leaving || this.#isOver) return;
    this.#leaving = reason;
    this.#channels.stopConsuming();
    this.#say({ type: "drain", error: this.#problem(reason) });
    this.#farewell = this.#parts.clock.after(farewellMs, () => this.#fail(reason));
    this.#closeWhenDrained(reason);
  }

  #finished(): void {
    this.#underWay -= 1;
    if (this.#leaving) this.#closeWhenDrained(this.#leaving);
  }

  #closeWhenDrained(reason: HotSwapError): void {
    if (this.#underWay > 0) return;
    if (!this.#channels.holds) this.#fail(reason);
  }

  #end(): void {
    this.#isOver = true;
    this.#watch.stop();
    this.#farewell?.cancel();
    this.#channels.stopConsuming();
    this.#remotes?.close();
    this.#parts.onClose();
  }
}
