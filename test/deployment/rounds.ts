/**
 * Deployments on several real nodes over one PostgreSQL, while nodes are killed or frozen in the middle, and what must
 * be true of them whatever happens: they go on to the end that they would have come to, no unit is ever on a third
 * version, events have no gap and fold to the row, each is audited, and generations only grow.
 */
import assert from "node:assert/strict";
import type { Random } from "../../src/core/random.ts";
import type { Server } from "../e2e/hotswap.ts";
import { Farm } from "../nodes/farm.ts";
import { Instances } from "./instances.ts";

export type Fault = "kill" | "freeze" | "none";

export interface Round {
  fault: Fault;
  status: string;
  events: number;
  /** Milliseconds from the fault to the next event; undefined when none came after it. */
  recoveredMs: number | undefined;
}

const place = { service: "shop", environment: "test" };
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Of the deployments that a node carries; short, so that the test does not wait for it. */
export const leaseMs = 2_000;

export class Rounds {
  readonly #farm: Farm;
  readonly #random: Random;
  readonly instances: Instances;
  #alive: Server[];
  #version = 0;
  #current = 0;

  private constructor(farm: Farm, random: Random) {
    this.#farm = farm;
    this.#random = random;
    this.#alive = [...farm.nodes];
    this.instances = new Instances(farm, () => this.#alive, place);
  }

  static async start(nodes: number, units: number, random: Random): Promise<Rounds> {
    const farm = await Farm.start(nodes, { HOTSWAP_DEPLOYMENT_LEASE_MS: String(leaseMs) });
    const rounds = new Rounds(farm, random);
    try {
      await rounds.#call("POST", "/configs", { name: "shop", ...place, format: "json" });
      await rounds.instances.start(units);
      return rounds;
    } catch (error) {
      await rounds.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.instances.stop();
    await this.#farm.close();
  }

  /** One deployment to its end, with this fault somewhere in it. */
  async run(fault: Fault): Promise<Round> {
    const version = ++this.#version;
    const from = this.#current;
    await this.#call("POST", "/configs/shop/versions", { text: JSON.stringify({ version }) });
    const { id } = await this.#call("POST", "/deployments", {
      ...{ kind: "config", config: "shop", version, phases: [50, 100] },
      ...{ bakeSeconds: 0.3, bakeMaxSeconds: 0.3, probeSeconds: 0.3 },
    });
    const isBack = this.#random.below(3) === 0;
    const begin = this.#random.below(8);
    await this.#until(id, ({ seq, status }) => seq >= 3 + begin || isEnd(status));
    if (isBack) await this.#call("POST", `/deployments/${id}/rollback`, { reason: "on purpose" });
    const at = performance.now();
    const before = (await this.#read(id)).events.length;
    const heal = await this.#disturb(fault);
    let recoveredMs: number | undefined;
    const done = await this.#until(id, ({ status, seq }) => {
      if (seq > before) recoveredMs ??= performance.now() - at;
      return isEnd(status);
    });
    await heal();
    await this.#check(id, version, from, isBack);
    if (done.status === "succeeded") this.#current = version;
    return { fault, status: done.status, events: done.seq, recoveredMs };
  }

  /** Breaks the node that the deployment was asked for, which carries it. Resolves to what makes all well again. */
  async #disturb(fault: Fault): Promise<() => Promise<void>> {
    if (fault === "none") return async () => {};
    const victim = this.#alive[0]!;
    this.#alive = this.#alive.slice(1);
    if (fault === "kill") {
      await victim.kill();
      return async () => {
        this.#alive = [...this.#alive, await this.#farm.add()];
      };
    }
    process.kill(victim.facts.pid, "SIGSTOP");
    return async () => {
      process.kill(victim.facts.pid, "SIGCONT"); // it thaws after all is done, and must change nothing
      await wait(500);
      this.#alive = [...this.#alive, victim];
    };
  }

  async #check(id: string, version: number, from: number, isBack: boolean): Promise<void> {
    const { deployment, events } = await this.#read(id);
    const told = `deployment ${id}: ${JSON.stringify({ deployment, events })}`;
    if (isBack) assert.ok(["rolled_back", "succeeded", "cancelled"].includes(deployment.status), told);
    else assert.equal(deployment.status, "succeeded", told);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
      `no gap: ${told}`,
    );
    const generations = events.flatMap(({ type, generation }) => (type === "exposed" ? [generation!] : []));
    assert.deepEqual(
      generations,
      [...new Set(generations)].toSorted((a, b) => a - b),
      `generations grow: ${told}`,
    );
    const wanted = deployment.status === "succeeded" ? version : from;
    await this.#settled(wanted);
    for (const [name, ran] of this.instances.ran)
      for (const one of ran) assert.ok(one <= version, `${name} ran ${ran}: no version from nowhere`);
    const audited = await this.#call("GET", `/audit?resource=deployments/${id}&limit=1000`);
    const automatic = audited.items.filter(({ actor }: { actor: string }) => actor === "system:deployment");
    const people = events.filter(({ type, by }) => type === "created" || by !== undefined).length;
    assert.equal(automatic.length, events.length - people, `each event is audited: ${told}`);
  }

  /** Resolves when all instances run this version; while they do not, each runs it or the one that was deployed. */
  async #settled(version: number): Promise<void> {
    const last = () => [...this.instances.ran.values()].map((ran) => ran.at(-1) ?? 0);
    while (version > 0 && !last().every((one) => one === version)) await wait(50);
  }

  async #until(id: string, isTrue: (seen: { status: string; seq: number }) => boolean) {
    for (;;) {
      const { deployment, events } = await this.#read(id);
      const seen = { status: deployment.status, seq: events.length };
      if (isTrue(seen)) return seen;
      await wait(50);
    }
  }

  async #read(id: string) {
    const [deployment, list] = await Promise.all([
      this.#call("GET", `/deployments/${id}`),
      this.#call("GET", `/deployments/${id}/events?limit=1000`),
    ]);
    const events: { seq: number; type: string; generation?: number; by?: string }[] = list.items;
    return { deployment, events };
  }

  /** By a node that lives; with one that was just killed, by another. */
  async #call(method: string, path: string, body?: unknown) {
    return this.#farm.ok(this.#alive[0]!, method, path, body);
  }
}

const isEnd = (status: string) => ["succeeded", "rolled_back", "cancelled", "failed"].includes(status);
