/**
 * Ten thousand instances on one machine: how soon all of them are told of a version, how soon what they say is counted,
 * what a connection costs, how long all of them take to come back, how long a direct deployment to all of them takes. And
 * beside it the same fan-out by watches of etcd, in the same run.
 *
 * All instances live in this process, over plain sockets (sockets.ts). Bounded in time.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect } from "../../client/src/node.ts";
import { findProgram, freePort, startChild, stopAllChildren } from "../messaging/child.ts";
import { describeMachine } from "../messaging/machine.ts";
import { addressOf, Calls, requestText, Stream } from "./sockets.ts";

const { values: options } = parseArgs({
  options: {
    instances: { type: "string", default: "10000" },
    rounds: { type: "string", default: "10" },
    install: { type: "boolean", default: false },
    etcd: { type: "boolean", default: true },
    save: { type: "boolean", default: false },
    folder: { type: "string", default: fileURLToPath(new URL("../../.cache/bench", import.meta.url)) },
  },
  allowNegative: true,
});
const count = Number(options.instances);
const rounds = Number(options.rounds);
const limitMs = 300_000;
const startedAt = performance.now();
const place = { service: "bench", environment: "bench" };

interface Figures {
  told: { p50: number; p99: number; p999: number; max: number };
  connectSeconds: number;
  reconnectSeconds: number;
  kibPerConnection: number;
  ackedSeconds?: number;
  deploySeconds?: number;
}

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

async function hotswap(folder: string): Promise<Figures> {
  const bin = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));
  const server = await startChild(
    {
      ...{ file: process.execPath, folder, cpus: undefined },
      args: [bin, "dev", "--data", folder, "--port", "0", "--json"],
      env: { HOTSWAP_GATEWAY_ENABLED: "false", HOTSWAP_CONFIGURATION_HEARTBEAT_MS: "60000" },
    },
    (line) => line.startsWith("{"),
  );
  const { api, token } = JSON.parse(server.readyLine) as { api: string; token: string };
  const client = connect({ url: new URL(api).origin, token });
  const address = addressOf(api);
  const headers = { authorization: `Bearer ${token}` };
  const calls = new Calls(address, 64);
  const post = (path: string, body: unknown) =>
    calls.call(requestText("POST", path, headers, JSON.stringify(body)));
  const ok = async (answer: Promise<{ status: number; body: string }>) => {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`answered ${status}: ${body}`);
    return JSON.parse(body);
  };
  await ok(post("/api/v1/configs", { name: "bench", ...place, format: "json" }));
  for (let version = 1; version <= rounds + 3; version++) {
    await ok(
      post("/api/v1/configs/bench/versions", { text: JSON.stringify({ version, limit: "x".repeat(100) }) }),
    );
  }
  const ids = Array.from({ length: count }, (_, n) => `i-${n}`);
  const registering = performance.now();
  await Promise.all(
    ids.map((instanceId) =>
      ok(post("/api/v1/instances", { instanceId, ...place, labels: { bench: "yes" } })),
    ),
  );
  note(`${count} registered in ${((performance.now() - registering) / 1_000).toFixed(1)} s`);

  const before = rssKiB(server.pid);
  const streams = ids.map(() => new Stream());
  const request = (index: number, last = "") =>
    requestText("GET", `/api/v1/instances/${ids[index]}/stream`, {
      ...headers,
      ...(last && { "last-event-id": last }),
    });
  const connectSeconds = await openAll(streams, address, request);
  await sleep(2_000);
  const kibPerConnection = (rssKiB(server.pid) - before) / count;

  const pin = (version: number) =>
    ok(
      calls.call(
        requestText(
          "PUT",
          "/api/v1/configs/bench/pins",
          headers,
          JSON.stringify({ labels: { bench: "yes" }, version }),
        ),
      ),
    );
  const told: number[] = [];
  for (let version = 1; version <= rounds; version++) {
    const heard = heardBy(streams, (text) => text.includes(`"version":${version},`));
    const began = performance.now();
    await pin(version);
    told.push(...(await heard).map((at) => at - began));
    await sleep(500);
  }
  note(`told ${rounds} versions`);

  /** As an instance does: told, it says that it runs the version. */
  const acked: Promise<unknown>[] = [];
  const acknowledge = (version: number) => (index: number) => {
    const applied = [{ config: "bench", version, status: "applied" }];
    acked.push(post(`/api/v1/instances/${ids[index]}/heartbeat`, { applied }));
  };
  const version = rounds + 1;
  const heard = heardBy(streams, (text) => text.includes(`"version":${version},`), acknowledge(version));
  const ackBegan = performance.now();
  await pin(version);
  await heard;
  await Promise.all(acked);
  const first = await client.instances.list({ config: "bench", version, limit: 1 }); // is behind what has been written
  const ackedSeconds = (performance.now() - ackBegan) / 1_000;
  if (first.items.length !== 1) throw new Error("no instance counts as having applied");
  note("all acknowledged");

  for (const stream of streams) stream.close();
  const reconnectSeconds = await openAll(streams, address, (index) => request(index, "1"));

  const target = rounds + 2;
  await client.instances.unpin("bench");
  await sleep(1_000);
  heardBy(streams, (text) => text.includes(`"version":${target},`), acknowledge(target)).catch(() => {});
  const deploying = performance.now();
  const body = {
    kind: "config",
    config: "bench",
    version: target,
    strategy: "direct",
    bakeSeconds: 0,
    probeSeconds: 0,
  };
  const { id } = await ok(post("/api/v1/deployments", body));
  for (let status = ""; status !== "succeeded"; ) {
    ({ status } = await ok(calls.call(requestText("GET", `/api/v1/deployments/${id}`, headers))));
    if (["failed", "rolled_back", "cancelled"].includes(status))
      throw new Error(`the deployment ended as ${status}`);
    if (performance.now() - startedAt > limitMs) throw new Error(`the deployment is ${status} for too long`);
    await sleep(100);
  }
  const deploySeconds = (performance.now() - deploying) / 1_000;
  for (const stream of streams) stream.close();
  calls.close();
  client.close();
  await server.stop();
  return {
    told: quantiles(told),
    connectSeconds,
    reconnectSeconds,
    kibPerConnection,
    ackedSeconds,
    deploySeconds,
  };
}

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
      "told, acknowledged and counted",
      ({ ackedSeconds: s }) => (s === undefined ? "–" : `${s.toFixed(2)} s`),
    ],
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
    const results: [string, Figures][] = [["HotSwap", await hotswap(folder)]];
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
      "the client's process has read the event. Memory is that of the server's process, without the kernel's.\n",
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
