/** Instances of one service, which hear over a WebSocket each, or over server-sent events and speak by requests. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect, type HotSwap } from "../../client/src/node.ts";
import { startChild } from "../messaging/child.ts";
import { type Figures, quantiles } from "./figures.ts";
import type { Scale } from "./scale.ts";
import { type Address, addressOf, Calls, clientFrame, requestText, Stream } from "./sockets.ts";
import { heardBy, openAll, rssKiB } from "./streams.ts";
import { documentText } from "./watches.ts";

const place = { service: "bench", environment: "bench" };
const upgrade = {
  ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
  ...{ "sec-websocket-key": "YmVuY2ggYmVuY2ggYmVuYw==", "sec-websocket-protocol": "hotswap.instance.v1" },
};

/** How instances listen and speak: by a WebSocket, or by server-sent events and requests. */
export type Way = "socket" | "stream";

export async function hotswap(folder: string, way: Way, scale: Scale): Promise<Figures> {
  const bin = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));
  const server = await startChild(
    {
      ...{ file: process.execPath, folder, cpus: undefined },
      args: [bin, "dev", "--data", folder, "--port", "0", "--json"],
      env: { HOTSWAP_GATEWAY_ENABLED: "false", HOTSWAP_CONFIGURATION_HEARTBEAT_MS: "60000" },
    },
    (line) => line.startsWith("{"),
  );
  const fleet = new Fleet(JSON.parse(server.readyLine), way, scale);
  await fleet.register();
  const before = rssKiB(server.pid);
  const connectSeconds = await fleet.connect();
  await sleep(2_000);
  const kibPerConnection = (rssKiB(server.pid) - before) / scale.instances;
  const told = quantiles(await fleet.tell());
  const acked = await fleet.acknowledgeOne();
  const reconnectSeconds = await fleet.connect("1");
  const deploySeconds = await fleet.deploy();
  fleet.close();
  await server.stop();
  return { told, connectSeconds, reconnectSeconds, kibPerConnection, acked, deploySeconds };
}

/** All instances of one service, and the person who gives it versions. */
class Fleet {
  readonly #client: HotSwap;
  readonly #address: Address;
  readonly #headers: Record<string, string>;
  readonly #calls: Calls;
  readonly #scale: Scale;
  readonly #ids: readonly string[];
  readonly #streams: readonly Stream[];
  readonly #way: Way;
  readonly #frames = new Map<string, Buffer>();
  #acked: Promise<unknown>[] = [];

  constructor({ api, token }: { api: string; token: string }, way: Way, scale: Scale) {
    this.#scale = scale;
    this.#ids = Array.from({ length: scale.instances }, (_, n) => `i-${n}`);
    this.#streams = this.#ids.map(() => new Stream());
    this.#way = way;
    this.#client = connect({ url: new URL(api).origin, token });
    this.#address = addressOf(api);
    this.#headers = { authorization: `Bearer ${token}` };
    this.#calls = new Calls(this.#address, 64);
  }

  async register(): Promise<void> {
    const { configs } = this.#client;
    await configs.create({ name: "bench", ...place, format: "json" });
    for (let version = 1; version <= this.#scale.rounds + 3; version++) {
      await configs.put("bench", { text: documentText(version) });
    }
    const began = performance.now();
    const labels = { bench: "yes" };
    await Promise.all(
      this.#ids.map((instanceId) => this.#post("/api/v1/instances", { instanceId, ...place, labels })),
    );
    this.#scale.note(
      `${this.#ids.length} registered in ${((performance.now() - began) / 1_000).toFixed(1)} s`,
    );
  }

  /** Seconds until all streams are open, those of before closed first. */
  connect(since = ""): Promise<number> {
    for (const stream of this.#streams) stream.close();
    const isSocket = this.#way === "socket";
    const headers = isSocket
      ? { ...this.#headers, ...upgrade }
      : { ...this.#headers, "last-event-id": since };
    const query = isSocket && since ? `?since=${since}` : "";
    const request = (index: number) =>
      requestText("GET", `/api/v1/instances/${this.#ids[index]}/${this.#way}${query}`, headers);
    return openAll(this.#streams, this.#address, request, this.#scale);
  }

  /** Milliseconds from the change to each instance, over all rounds. */
  async tell(): Promise<number[]> {
    const { rounds, note } = this.#scale;
    const told: number[] = [];
    for (let version = 1; version <= rounds; version++) {
      const heard = heardBy(this.#streams, sees(version));
      const began = performance.now();
      await this.#pin(version);
      told.push(...(await heard).map((at) => at - began));
      await sleep(500);
    }
    note(`told ${rounds} versions`);
    return told;
  }

  /** How soon every instance has been told of a version, has said that it runs it, and is counted. */
  async acknowledgeOne(): Promise<NonNullable<Figures["acked"]>> {
    const [before, version] = [this.#scale.rounds, this.#scale.rounds + 1];
    for (let index = 0; index < this.#ids.length; index++) this.#acknowledge(index, before);
    await this.#counted(before);
    const heard = heardBy(this.#streams, sees(version), (index) => this.#acknowledge(index, version));
    const began = performance.now();
    await this.#pin(version);
    const told = quantiles((await heard).map((at) => at - began));
    await Promise.all(this.#acked);
    while (await this.#anyRuns(before)) await sleep(20);
    const seconds = (performance.now() - began) / 1_000;
    await this.#counted(version);
    this.#scale.note("all acknowledged");
    return { toldP999: told.p999, seconds };
  }

  /** The answer is behind everything that has been taken. */
  async #anyRuns(version: number): Promise<boolean> {
    const page = await this.#client.instances.list({ config: "bench", version, limit: 1 });
    return page.items.length > 0;
  }

  /** Waits until all run the version. */
  async #counted(version: number): Promise<void> {
    for (let counted = 0; counted < this.#ids.length; ) {
      if (performance.now() > this.#scale.untilMs) throw new Error(`${counted} run version ${version}`);
      counted = 0;
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await this.#client.instances.list({ config: "bench", version, limit: 500, cursor });
        counted += page.items.length;
        cursor = page.next ?? undefined;
      }
    }
  }

  /** Seconds of a direct deployment to all. */
  async deploy(): Promise<number> {
    const version = this.#scale.rounds + 2;
    const { deployments, instances } = this.#client;
    await instances.unpin("bench");
    await sleep(1_000);
    heardBy(this.#streams, sees(version), (index) => this.#acknowledge(index, version)).catch(() => {});
    const began = performance.now();
    const { id } = await deployments.create({
      ...{ kind: "config", config: "bench", version, strategy: "direct", bakeSeconds: 0, probeSeconds: 0 },
    });
    for (;;) {
      const { status, endedAt } = await deployments.get(id);
      if (status === "succeeded") return (performance.now() - began) / 1_000;
      if (endedAt !== null) throw new Error(`the deployment ended as ${status}`);
      if (performance.now() > this.#scale.untilMs)
        throw new Error(`the deployment is ${status} for too long`);
      await sleep(100);
    }
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
    this.#calls.close();
    this.#client.close();
  }

  async #pin(version: number): Promise<void> {
    await this.#client.instances.pin("bench", { labels: { bench: "yes" }, version });
  }

  /** As an instance does: told, it says that it runs the version. */
  #acknowledge(index: number, version: number): void {
    const applied = [{ config: "bench", version, status: "applied" }];
    if (this.#way === "socket") this.#streams[index]!.write(this.#report(applied));
    else this.#acked.push(this.#post(`/api/v1/instances/${this.#ids[index]}/heartbeat`, { applied }));
  }

  /** The same bytes for everybody. */
  #report(applied: readonly object[]): Buffer {
    const text = JSON.stringify({ type: "report", applied });
    const frame = this.#frames.get(text) ?? clientFrame(text);
    this.#frames.set(text, frame);
    return frame;
  }

  async #post(path: string, body: unknown): Promise<void> {
    const text = requestText("POST", path, this.#headers, JSON.stringify(body));
    const answer = await this.#calls.call(text);
    if (answer.status >= 300) throw new Error(`answered ${answer.status}: ${answer.body}`);
  }
}

const sees = (version: number) => (text: string) => text.includes(`"version":${version},`);
