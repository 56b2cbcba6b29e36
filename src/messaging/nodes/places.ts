/** Does something with a topic where it is served: here, or by the node that serves it, until one has done it. */
import { hasCode } from "../../core/errors.ts";
import type { Context } from "../../platform/http/route.ts";
import type { Registry } from "../delivery/registry.ts";
import type { Whereabouts } from "../stream/remotes.ts";
import type { Cluster, Place } from "./cluster.ts";
import { isPassedOn, notThere } from "./forward.ts";
import type { BrokerNode } from "./node.ts";
import { unitOf } from "./unit.ts";

export interface Ways<Result> {
  here: () => Promise<Result>;
  there: (node: BrokerNode) => Promise<Result | typeof notThere>;
  /** It cannot be tried twice: where it goes is looked up anew, not remembered. */
  isOnce?: boolean;
}

export class Places implements Whereabouts {
  readonly #cluster: Cluster;
  readonly #registry: Registry;

  constructor(cluster: Cluster, registry: Registry) {
    this.#cluster = cluster;
    this.#registry = registry;
  }

  isHere(tenant: string, topic: string): boolean {
    return this.#cluster.serves(unitOf({ tenant, name: topic }));
  }

  /** See Whereabouts of the stream. */
  async locate(tenant: string, topic: string, mayPassOn: boolean): Promise<Place> {
    const unit = unitOf({ tenant, name: topic });
    if (this.#cluster.serves(unit)) return "here";
    if (!this.#registry.find(tenant, topic)) await this.#cluster.refresh();
    if (!this.#registry.find(tenant, topic)) return "here"; // is nobody's; who looks it up says so
    return this.#cluster.place(unit, mayPassOn);
  }

  async misplaced(tenant: string, topic: string): Promise<void> {
    this.#cluster.misplaced(unitOf({ tenant, name: topic }));
    await this.#cluster.pause();
  }

  /** Rejects with `topic_moved` when nobody serves the topic in time, and with what `here` or `there` reject with. */
  async attempt<Result>(
    context: Context,
    topic: string,
    { here, there, isOnce }: Ways<Result>,
  ): Promise<Result> {
    const { tenant } = context.principal;
    const unit = unitOf({ tenant, name: topic });
    if (isOnce && !this.#cluster.serves(unit)) this.#cluster.misplaced(unit);
    for (;;) {
      const place = await this.locate(tenant, topic, !isPassedOn(context.headers));
      if (place !== "here") {
        const answer = await there(place);
        if (answer !== notThere) return answer;
        await this.misplaced(tenant, topic);
        continue;
      }
      try {
        return await here();
      } catch (error) {
        const isElsewhere = hasCode(error, "topic_moved") || hasCode(error, "log_fenced");
        if (!isElsewhere || context.response.headersSent) throw error;
        await this.#cluster.pause();
      }
    }
  }
}
