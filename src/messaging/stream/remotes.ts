/** The connections of one stream to other nodes: one for each node that serves a topic of it, made at first use. */
import type { Clock } from "../../core/clock.ts";
import type { BrokerNode } from "../nodes/node.ts";
import { moved } from "../nodes/tenancy.ts";
import { Remote, type RemoteOptions } from "./remote.ts";

/** Where topics are served; what a stream needs of nodes. */
export interface Whereabouts {
  /** Whether this node serves the topic now. */
  isHere(tenant: string, topic: string): boolean;
  /**
   * Where the topic is served, once somebody serves it: one that nobody does is claimed. A topic that does not exist
   * is "here". Rejects with `topic_moved` when nobody serves it in time, or it would have to be passed on and may not.
   */
  locate(tenant: string, topic: string, mayPassOn: boolean): Promise<"here" | BrokerNode>;
  /** The node that `locate` has given does not answer: looks anew, after a moment. */
  misplaced(tenant: string, topic: string): Promise<void>;
}

export interface RemotesOptions extends RemoteOptions {
  whereabouts: Whereabouts;
  tenant: string;
  clock: Clock;
  /** False for a stream that came from another node: it is answered here or not at all. */
  mayPassOn: boolean;
}

/** A node that cannot be reached is given up by then: its lease has ended, and another has taken over. */
const patienceMs = 10_000;

export class Remotes {
  readonly #options: RemotesOptions;
  readonly #byNode = new Map<string, Promise<Remote>>();
  #isClosed = false;

  constructor(options: RemotesOptions) {
    this.#options = options;
  }

  /** Whether frames about the topic can be handled now, without asking anybody. */
  isHere(topic: string): boolean {
    return this.#options.whereabouts.isHere(this.#options.tenant, topic);
  }

  /** The connection to where the topic is served; undefined when that is here. Rejects with `topic_moved`. */
  async reach(topic: string): Promise<Remote | undefined> {
    const { whereabouts, tenant, mayPassOn, clock } = this.#options;
    for (const until = clock.monotonic() + patienceMs; ; ) {
      const place = await whereabouts.locate(tenant, topic, mayPassOn);
      if (place === "here") return undefined;
      try {
        return await this.#to(place);
      } catch (error) {
        if (this.#isClosed || clock.monotonic() > until) throw error;
        await whereabouts.misplaced(tenant, topic);
      }
    }
  }

  renew(token: string): void {
    this.#each((remote) => remote.renew(token));
  }

  close(): void {
    this.#isClosed = true;
    this.#each((remote) => remote.close());
  }

  #each(visit: (remote: Remote) => void): void {
    for (const opening of this.#byNode.values()) opening.then(visit, () => {}); // one that failed is nothing to visit
  }

  #to(node: BrokerNode): Promise<Remote> {
    if (this.#isClosed) return Promise.reject(moved("?"));
    const known = this.#byNode.get(node.id);
    if (known) return known;
    const opening = Remote.open(node, this.#options);
    this.#byNode.set(node.id, opening);
    opening.catch(() => this.#byNode.delete(node.id));
    return opening;
  }
}
