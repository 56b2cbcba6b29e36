/**
 * Publishers and consumers against several nodes, and a checker in the words of Jepsen's queue tests: what was
 * attempted, acknowledged, lost, unexpected, duplicated, recovered.
 */
import type { Server } from "../e2e/hotswap.ts";
import { type Farm, Unreachable } from "./farm.ts";

export interface Verdict {
  attempted: number;
  acknowledged: number;
  /** Refused with an answer, for certain. */
  refused: number;
  /** Sent, and the answer lost or `log_outcome_unknown`. */
  unknown: number;
  /** Acknowledged and never delivered. */
  lost: number;
  /** Delivered and never attempted, or although it was refused. */
  unexpected: number;
  /** Stored twice: one payload under two ids. */
  duplicated: number;
  /** Of unknown outcome, and delivered. */
  recovered: number;
  /** Deliveries beyond the first of a message. */
  redelivered: number;
  /** The longest that a topic went without an acknowledgement, in milliseconds. */
  longestGapMs: number;
}

export interface LoadOptions {
  topics: string[];
  publishers: number;
  consumers: number;
  /** Nodes to call; looked at before each call, so that a test may change it. */
  nodes: () => Server[];
  /** After this a call counts as lost. */
  callTimeoutMs?: number;
}

type Outcome = "acknowledged" | "refused" | "unknown";

export class Load {
  readonly #farm: Farm;
  readonly #options: LoadOptions;
  readonly #outcomes = new Map<string, Outcome | undefined>();
  /** Ids of the messages under which each payload was delivered. */
  readonly #delivered = new Map<string, Set<string>>();
  readonly #lastAck = new Map<string, number>();
  readonly #publishing: Promise<void>[] = [];
  readonly #consuming: Promise<void>[] = [];
  readonly refusals = new Map<string, number>();
  #isPublishing = true;
  #isConsuming = true;
  #redelivered = 0;
  #longestGapMs = 0;
  #count = 0;

  constructor(farm: Farm, options: LoadOptions) {
    this.#farm = farm;
    this.#options = options;
    const now = performance.now();
    for (const topic of options.topics) this.#lastAck.set(topic, now);
    this.startPublishers();
  }

  get acknowledged(): number {
    return [...this.#outcomes.values()].filter((outcome) => outcome === "acknowledged").length;
  }

  /** Resolves when so many more publishes were acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged + count;
    while (this.acknowledged < wanted) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Resolves when each topic has had an acknowledgement from now on. */
  async everyTopic(): Promise<number> {
    const begun = performance.now();
    while ([...this.#lastAck.values()].some((at) => at <= begun)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return performance.now() - begun;
  }

  /** Again when those of before may all wait for a node that does not answer. */
  startPublishers(): void {
    for (let i = 0; i < this.#options.publishers; i++) this.#publishing.push(this.#publish(i));
  }

  startConsumers(): void {
    for (let i = 0; i < this.#options.consumers; i++) this.#consuming.push(this.#consume(i));
  }

  /** Ends the publishers, lets the consumers take what is left, and judges. */
  async finish(): Promise<Verdict> {
    this.#isPublishing = false;
    await Promise.all(this.#publishing);
    if (this.#consuming.length === 0) this.startConsumers();
    await this.#drained();
    this.#isConsuming = false;
    await Promise.all(this.#consuming);
    return this.#judge();
  }

  /** Ends everything without a verdict. */
  async abort(): Promise<void> {
    this.#isPublishing = false;
    this.#isConsuming = false;
    await Promise.allSettled([...this.#publishing, ...this.#consuming]);
  }

  #node(turn: number): Server {
    const nodes = this.#options.nodes();
    return nodes[turn % nodes.length]!;
  }

  async #publish(index: number): Promise<void> {
    const { topics } = this.#options;
    for (let turn = index; this.#isPublishing; turn++) {
      const topic = topics[turn % topics.length]!;
      const payload = `m${this.#count++}`;
      this.#outcomes.set(payload, undefined);
      const outcome = await this.#attempt(topic, payload, turn);
      this.#outcomes.set(payload, outcome);
      if (outcome !== "acknowledged") continue;
      const now = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAck.get(topic)!);
      this.#lastAck.set(topic, now);
    }
  }

  /** At the next node when one takes no connection, as a client with several addresses does. */
  async #attempt(topic: string, payload: string, turn: number): Promise<Outcome> {
    for (let tries = 0; ; tries++) {
      try {
        const node = this.#node(turn + tries);
        const { callTimeoutMs } = this.#options;
        const answer = await this.#farm.call(
          node,
          "POST",
          "/messages/publish",
          { topic, payload },
          callTimeoutMs,
        );
        if (answer.status === 201) return "acknowledged";
        const { code } = answer.json;
        this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
        return code === "log_outcome_unknown" ? "unknown" : "refused";
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        if (error.isSent || tries > 20) return "unknown";
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  async #consume(index: number): Promise<void> {
    const { topics } = this.#options;
    for (let turn = index; this.#isConsuming; turn++) {
      const topic = topics[turn % topics.length]!;
      try {
        const path = `/messages/consume/${topic}?limit=200&wait=0.2`;
        const { status, json } = await this.#farm.call(this.#node(turn), "GET", path);
        if (status !== 200 || json.messages.length === 0) continue;
        for (const { payload, messageId, attempt } of json.messages) {
          const ids = this.#delivered.get(payload) ?? new Set();
          this.#delivered.set(payload, ids.add(messageId));
          if (attempt > 1) this.#redelivered += 1;
        }
        const receipts = json.messages.map(({ receipt }: { receipt: string }) => receipt);
        await this.#farm.call(this.#node(turn + 1), "POST", "/messages/ack", { receipts });
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
      }
    }
  }

  async #drained(): Promise<void> {
    while (this.#isConsuming) {
      let depth = 0;
      for (const topic of this.#options.topics) {
        const stats = await this.#farm
          .call(this.#node(0), "GET", `/topics/${topic}/stats`)
          .catch(() => undefined);
        depth += stats?.status === 200 ? stats.json.subscriptions[0].depth : 1;
      }
      if (depth === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #judge(): Verdict {
    const all = [...this.#outcomes];
    const count = (wanted: Outcome) => all.filter(([, outcome]) => outcome === wanted).length;
    const delivered = [...this.#delivered];
    return {
      attempted: all.length,
      acknowledged: count("acknowledged"),
      refused: count("refused"),
      unknown: count("unknown"),
      lost: all.filter(([payload, outcome]) => outcome === "acknowledged" && !this.#delivered.has(payload))
        .length,
      unexpected: delivered.filter(([payload]) => (this.#outcomes.get(payload) ?? "refused") === "refused")
        .length,
      duplicated: delivered.filter(([, ids]) => ids.size > 1).length,
      recovered: delivered.filter(([payload]) => this.#outcomes.get(payload) === "unknown").length,
      redelivered: this.#redelivered,
      longestGapMs: Math.round(this.#longestGapMs),
    };
  }
}
