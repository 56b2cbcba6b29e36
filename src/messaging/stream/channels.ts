/**
 * The channels of one connection: what each publishes to or consumes from, here or at the node that serves its topic.
 * Their number is bounded, and no number names two at once.
 */
import type { LiveTopic } from "../delivery/topic.ts";
import { Consumption } from "./consumption.ts";
import { invalid } from "./frames.ts";
import type { Remote } from "./remote.ts";

/** A channel whose topic another node serves. */
export interface RemoteChannel {
  readonly remote: Remote;
  readonly consumes: boolean;
  /** As of a Consumption. */
  unsettled: number;
}

export type Channel = LiveTopic | Consumption | RemoteChannel | "opening";

export class Channels {
  readonly #most: number;
  readonly #open = new Map<number, Channel>();

  constructor(most: number) {
    this.#most = most;
  }

  get(channel: number): Channel | undefined {
    return this.#open.get(channel);
  }

  set(channel: number, what: Channel): void {
    this.#open.set(channel, what);
  }

  delete(channel: number): void {
    this.#open.delete(channel);
  }

  /** Throws `frame_invalid` when the number is in use, or there are as many as there may be. */
  refuseTaken(channel: number): void {
    if (this.#open.has(channel)) throw invalid(`channel ${channel} is open already`);
    if (this.#open.size >= this.#most) throw invalid(`a stream has ${this.#most} channels at most`);
  }

  /** Throws `frame_invalid` when nothing is consumed there, or not here. */
  consumption(channel: number): Consumption {
    const open = this.#open.get(channel);
    if (open instanceof Consumption) return open;
    throw invalid(`nothing is consumed on channel ${channel}`);
  }

  get consumes(): boolean {
    return this.#some((one) => one instanceof Consumption || (isRemote(one) && one.consumes));
  }

  /** Whether something was delivered of which nothing has been said. */
  get holds(): boolean {
    return this.#some((one) => (one instanceof Consumption || isRemote(one)) && one.unsettled > 0);
  }

  #some(is: (one: Channel) => boolean): boolean {
    for (const one of this.#open.values()) if (is(one)) return true;
    return false;
  }

  /** Nothing more is delivered; what was may still be settled. */
  stopConsuming(): void {
    for (const [channel, open] of this.#open) {
      if (open instanceof Consumption) open.close();
      else if (isRemote(open) && open.consumes) open.remote.pass(closeFrame(channel), false);
    }
  }
}

export const isRemote = (channel: Channel | undefined): channel is RemoteChannel =>
  typeof channel === "object" && "remote" in channel;

const closeFrame = (channel: number) => Buffer.from(JSON.stringify({ type: "close", channel }));
