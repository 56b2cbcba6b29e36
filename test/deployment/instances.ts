/**
 * Instances of a service as they are outside: each speaks to whichever node answers, runs what it is told, and notes
 * every version that it ever ran with the deployment's time.
 */
import type { Server } from "../e2e/hotswap.ts";
import type { Farm } from "../nodes/farm.ts";
import { Unreachable } from "../nodes/farm.ts";

const pauseMs = 200;
/** Less than an instance may be silent: a node that is frozen is given up before. */
const answerMs = 2_000;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class Instances {
  /** By instance: each version that it came to run, in order. */
  readonly ran = new Map<string, number[]>();
  readonly #farm: Farm;
  readonly #nodes: () => readonly Server[];
  readonly #service: { service: string; environment: string };
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(farm: Farm, nodes: () => readonly Server[], service: { service: string; environment: string }) {
    this.#farm = farm;
    this.#nodes = nodes;
    this.#service = service;
  }

  /** Resolves when all of them are registered. */
  async start(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `instance-${index}`);
    await Promise.all(names.map((name) => this.#call("/instances", { instanceId: name, ...this.#service })));
    this.#running = Promise.all(names.map((name) => this.#live(name)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #live(name: string): Promise<void> {
    const ran: number[] = [];
    this.ran.set(name, ran);
    let applied: { config: string; version: number | null; status: string }[] = [];
    while (!this.#stopped) {
      const answer = await this.#call(`/instances/${name}/heartbeat`, {
        ...{ applied, metrics: { requests: 50, errors: 0 } },
      });
      const configs: { config: string; version: number | null }[] = answer?.configs ?? [];
      for (const { version } of configs) if (version !== null && ran.at(-1) !== version) ran.push(version);
      if (answer) applied = configs.map(({ config, version }) => ({ config, version, status: "applied" }));
      await wait(pauseMs);
    }
  }

  /** By the first node that answers; undefined when the instances are to stop. */
  async #call(path: string, body: unknown) {
    for (let attempt = 0; !this.#stopped; attempt++) {
      const nodes = this.#nodes();
      const node = nodes[attempt % nodes.length];
      try {
        const answer = node && (await this.#farm.call(node, "POST", path, body, answerMs));
        if (answer && answer.status < 300) return answer.json;
        if (answer && answer.status < 500) throw new Error(`${path} answered ${JSON.stringify(answer.json)}`);
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
      }
      await wait(pauseMs);
    }
    return undefined;
  }
}
