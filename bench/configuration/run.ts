/**
 * Ten thousand instances on one machine: how soon all of them are told of a version, how soon what they say is
 * counted, what a connection costs, how long all of them take to come back, how long a direct deployment to all of
 * them takes. And beside it the same fan-out by watches of etcd, in the same run.
 *
 * All instances live in this process, over plain sockets (sockets.ts). Bounded in time.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect, type HotSwap } from "../../client/src/node.ts";
import { findProgram, freePort, startChild, stopAllChildren } from "../messaging/child.ts";
import { describeMachine } from "../messaging/machine.ts";
import { addressOf, Calls, clientFrame, requestText, Stream } from "./sockets.ts";

const { values: options } = parseArgs({
  options: {
    instances: { type: "string", default: "10000" },
    rounds: { type: "string", default: "10" },
    install: { type: "boolean", default: false },
    way: { type: "string" },
    etcd: { type: "boolean", default: true },
    save: { type: "boolean", default: false },
    folder: { type: "string", default: fileURLToPath(new URL("../../.cache/bench", import.meta.url)) },
  },
  allowNegative: true,
});
const count = Number(options.instances);
const rounds = Number(options.rounds);
const limitMs = 400_000;
const startedAt = performance.now();
const place = { service: "bench", environment: "bench" };

interface Figures {
  told: { p50: number; p99: number; p999: number; max: number };
  connectSeconds: number;
  reconnectSeconds: number;
  kibPerConnection: number;
  /** Of the one version that all of them acknowledge as soon as they are told. */
  acked?: { toldP999: number; seconds: number };
  deploySeconds?: number;
}

const upgrade = {
  ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
  ...{ "sec-websocket-key": "YmVuY2ggYmVuY2ggYmVuYw==", "sec-websocket-protocol": "hotswap.instance.v1" },
};
const rssKiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
const note = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s  ${text}\n`);

function quantiles(times: readonly number[]): Figures["told"] {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** Waits until each of the streams has seen a piece that fits; resolves to when each did. */
function heardBy(
  streams: readonly Stream[],
  fits: (text: string) => boolean,
  then?: (index: number) => void,
) {
  const times: number[] = [];
  const all = new Promise<number[]>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${times.length} of ${streams.length} were told`)),
      30_000,
    );
    streams.forEach((stream, index) => {
      let rest = "";
      stream.onData = (text, at) => {
        rest = (rest + text).slice(-4_096); // an event may come in two pieces
        if (!fits(rest)) return;
        stream.onData = () => {};
        times.push(at);
        then?.(index);
        if (times.length < streams.length) return;
        clearTimeout(timer);
        resolve(times);
      };
    });
  });
  return all;
}

async function openAll(
  streams: readonly Stream[],
  address: ReturnType<typeof addressOf>,
  request: (index: number) => string,
) {
  const began = performance.now();
  const until = startedAt + limitMs;
  const refused = await Promise.all(
    streams.map((stream, index) => stream.openPatiently(address, request(index), until)),
  );
  note(`${streams.length} connected, ${refused.reduce((sum, times) => sum + times, 0)} times told to wait`);
  return (performance.now() - began) / 1_000;
}

/** How instances listen and speak: by a WebSocket, or by server-sent events and requests. */
type Way = "socket" | "stream";

async function hotswap(folder: string, way: Way): Promise<Figures> {
  const bin = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));
  const server = await startChild(
    {
      ...{ file: process.execPath, folder, cpus: undefined },
      args: [bin, "dev", "--data", folder, "--port", "0", "--json"],
      env: { HOTSWAP_GATEWAY_ENABLED: "false", HOTSWAP_CONFIGURATION_HEARTBEAT_MS: "60000" },
    },
    (line) => line.startsWith("{"),
  );
  const fleet = new Fleet(JSON.parse(server.readyLine), way);
  await fleet.register();
  const before = rssKiB(server.pid);
  const connectSeconds = await fleet.connect();
  await sleep(2_000);
  const kibPerConnection = (rssKiB(server.pid) - before) / count;
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
  readonly #address: ReturnType<typeof addressOf>;
  readonly #headers: Record<string, string>;
  readonly #calls: Calls;
  readonly #ids = Array.from({ length: count }, (_, n) => `i-${n}`);
  readonly #streams = this.#ids.map(() => new Stream());
  readonly #way: Way;
  readonly #frames = new Map<string, Buffer>();
  #acked: Promise<unknown>[] = [];

  constructor({ api, token }: { api: string; token: string }, way: Way) {
    this.#way = way;
    this.#client = connect({ url: new URL(api).origin, token });
    this.#address = addressOf(api);
    this.#headers = { authorization: `Bearer ${token}` };
    this.#calls = new Calls(this.#address, 64);
  }

  async register(): Promise<void> {
    const { configs } = this.#client;
    await configs.create({ name: "bench", ...place, format: "json" });
    for (let version = 1; version <= rounds + 3; version++) {
      await configs.put("bench", { text: JSON.stringify({ version, limit: "x".repeat(100) }) });
    }
    const began = performance.now();
    const labels = { bench: "yes" };
    await Promise.all(
      this.#ids.map((instanceId) => this.#post("/api/v1/instances", { instanceId, ...place, labels })),
    );
    note(`${count} registered in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  }

  /** Seconds until all streams are open, those of before closed first. */
  connect(since = ""): Promise<number> {
    for (const stream of this.#streams) stream.close();
    const isSocket = this.#way === "socket";
    const headers = isSocket
      ? { ...this.#headers, ...upgrade }
      : { ...this.#headers, "last-event-id": since };
    const query = isSocket && since ? `?since=${since}` : "";
    return openAll(this.#streams, this.#address, (index) =>
      requestText("GET", `/api/v1/instances/${this.#ids[index]}/${this.#way}${query}`, headers),
    );
  }

  /** Milliseconds from the change to each instance, over all rounds. */
  async tell(): Promise<number[]> {
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
    const [before, version] = [rounds, rounds + 1];
    for (let index = 0; index < count; index++) this.#acknowledge(index, before);
    await this.#counted(before, count);
    const heard = heardBy(this.#streams, sees(version), (index) => this.#acknowledge(index, version));
    const began = performance.now();
    await this.#pin(version);
    const told = quantiles((await heard).map((at) => at - began));
    await Promise.all(this.#acked);
    while (await this.#anyRuns(before)) await sleep(20);
    const seconds = (performance.now() - began) / 1_000;
    await this.#counted(version, count);
    note("all acknowledged");
    return { toldP999: told.p999, seconds };
  }

  /** The answer is behind everything that has been taken. */
  async #anyRuns(version: number): Promise<boolean> {
    const page = await this.#client.instances.list({ config: "bench", version, limit: 1 });
    return page.items.length > 0;
  }

  /** Waits until so many run the version. */
  async #counted(version: number, wanted: number): Promise<void> {
    for (let counted = 0; counted < wanted; ) {
      if (performance.now() - startedAt > limitMs) throw new Error(`${counted} run version ${version}`);
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
    const version = rounds + 2;
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
      if (performance.now() - startedAt > limitMs)
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

/** Over its JSON gateway, one connection for each watch: what a client without gRPC has. */
async function etcd(folder: string): Promise<Figures> {
  const [port, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const server = await startChild(
    {
      ...{ file: findProgram("etcd")!, folder, cpus: undefined },
      args: [
        ...["--data-dir", join(folder, "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url],
        ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
        ...["--initial-cluster", `default=http://127.0.0.1:${peer}`],
      ],
    },
    (line) => line.includes("ready to serve client requests"),
  );
  const address = addressOf(url);
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const streams = Array.from({ length: count }, () => new Stream());
  const watch = requestText(
    "POST",
    "/v3/watch",
    {},
    JSON.stringify({ create_request: { key: base64("bench") } }),
  );
  const before = rssKiB(server.pid);
  const connectSeconds = await openAll(streams, address, () => watch);
  await sleep(2_000);
  const kibPerConnection = (rssKiB(server.pid) - before) / count;
  const calls = new Calls(address, 1);
  const told: number[] = [];
  for (let version = 1; version <= rounds; version++) {
    const value = base64(JSON.stringify({ version, limit: "x".repeat(100) }));
    const heard = heardBy(streams, (text) => text.includes(value));
    const began = performance.now();
    await calls.call(requestText("POST", "/v3/kv/put", {}, JSON.stringify({ key: base64("bench"), value })));
    told.push(...(await heard).map((at) => at - began));
    await sleep(500);
  }
  for (const stream of streams) stream.close();
  const reconnectSeconds = await openAll(streams, address, () => watch);
  for (const stream of streams) stream.close();
  calls.close();
  await server.stop();
  return { told: quantiles(told), connectSeconds, reconnectSeconds, kibPerConnection };
}

function table(results: readonly [string, Figures][]): string {
  const rows: [string, (figures: Figures) => string][] = [
    ["told, p50", ({ told }) => `${told.p50.toFixed(0)} ms`],
    ["told, p99", ({ told }) => `${told.p99.toFixed(0)} ms`],
    ["told, p99.9", ({ told }) => `${told.p999.toFixed(0)} ms`],
    ["told, last of all", ({ told }) => `${told.max.toFixed(0)} ms`],
    [
      "told, p99.9, where each acknowledges at once",
      ({ acked }) => (acked ? `${acked.toldP999.toFixed(0)} ms` : "–"),
    ],
    ["told, acknowledged and counted", ({ acked }) => (acked ? `${acked.seconds.toFixed(2)} s` : "–")],
    ["all connect", ({ connectSeconds }) => `${connectSeconds.toFixed(1)} s`],
    ["all come back at once", ({ reconnectSeconds }) => `${reconnectSeconds.toFixed(1)} s`],
    ["memory of a connection", ({ kibPerConnection }) => `${kibPerConnection.toFixed(1)} KiB`],
    ["direct deployment to all", ({ deploySeconds: s }) => (s === undefined ? "–" : `${s.toFixed(1)} s`)],
  ];
  const head = `| ${count} instances | ${results.map(([name]) => name).join(" | ")} |\n|---|${results.map(() => "---:|").join("")}\n`;
  return (
    head +
    rows
      .map(([name, read]) => `| ${name} | ${results.map(([, each]) => read(each)).join(" | ")} |\n`)
      .join("")
  );
}

async function main(): Promise<void> {
  if (options.install && !findProgram("etcd")) {
    const env = { ...process.env, RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "etcd-server"], {
      env,
      stdio: "inherit",
    });
  }
  mkdirSync(options.folder, { recursive: true });
  const folder = mkdtempSync(join(options.folder, "configuration-"));
  try {
    const results: [string, Figures][] = [];
    const ways: [Way, string][] = [
      ["socket", "HotSwap, WebSocket"],
      ["stream", "HotSwap, events and requests"],
    ];
    for (const [way, name] of ways) {
      if (options.way === undefined || options.way === way)
        results.push([name, await hotswap(mkdirSync(join(folder, way), { recursive: true })!, way)]);
    }
    if (options.etcd && findProgram("etcd")) results.push(["etcd, JSON gateway", await etcd(folder)]);
    const text = table(results);
    process.stdout.write(text);
    if (!options.save) return;
    const { cpu, cores, memoryGiB, kernel, node } = describeMachine(folder);
    const machine = `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`;
    const page = [
      "# Telling ten thousand instances\n",
      `\`npm run bench:configuration -- --save\`, ${rounds} versions of 120 bytes, server and all instances on one machine`,
      `(${machine}). From the request that changes what instances should run, which is committed to disk on the way, until`,
      "the client's process has read the event. Memory is that of the server's process, without the kernel's. Counted: a list",
      "of who still runs the version before is empty. HotSwap's instances hold a WebSocket each, over which they also say what",
      "they applied; or a stream of server-sent events each, with 64 connections for all of their requests.\n",
      text,
    ];
    writeFileSync(fileURLToPath(new URL("./results.md", import.meta.url)), page.join("\n"));
  } finally {
    await stopAllChildren();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.once("SIGINT", () => void stopAllChildren().then(() => process.exit(130)));
await main();
