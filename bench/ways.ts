/**
 * CPU seconds of server and client per 100,000 messages of 1 KiB, for each way in and out: what tells the ways apart
 * on a machine that is not quiet, where rates say little. `node bench/ways.ts [messages]`.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "../client/src/node.ts";
import { cpuSecondsOfTree } from "./messaging/measure.ts";
import { document, message } from "./messaging/message.ts";

const data = await mkdtemp(join(tmpdir(), "hotswap-ways-"));
const child = spawn(
  process.execPath,
  [
    fileURLToPath(new URL("../bin/hotswap.js", import.meta.url)),
    "dev",
    "--data",
    data,
    "--port",
    "0",
    "--json",
    "--messaging-push-private-targets",
    "true",
  ],
  { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env } },
);
const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
const { api, token } = JSON.parse(line);
const url = new URL(api).origin;
const client = connect({ url, token });
const N = Number(process.argv[2] ?? 50000);
async function measure(name: string, count: number, work: () => Promise<unknown>) {
  const s0 = cpuSecondsOfTree(child.pid!),
    c0 = process.cpuUsage(),
    t0 = performance.now();
  await work();
  const c = process.cpuUsage(c0),
    k = 100000 / count;
  console.log(
    `${name}: server ${((cpuSecondsOfTree(child.pid!) - s0) * k).toFixed(2)} s, client ${(((c.user + c.system) / 1e6) * k).toFixed(2)} s, ${Math.round((count / (performance.now() - t0)) * 1000)}/s`,
  );
}
const stream = client.stream();
async function pubStream(topic: string, n: number) {
  const p = stream.publisher(topic, { maxInFlight: 5000, maxBatch: 250 });
  for (let i = 0; i < n; i++) {
    if (p.full) await p.ready();
    p.publishRaw({ payload: message(i) }).catch((e) => {
      throw e;
    });
  }
  await p.drain();
}
async function subStream(topic: string, n: number) {
  for await (const m of stream.consume(topic, { credit: 2000, count: n })) void m.ack();
}
for (const t of ["w", "s", "n", "e", "p"]) await client.topics.create({ name: t });
await pubStream("w", 20000);
await subStream("w", 20000);
await measure("publish, stream (binary frames)", N, () => pubStream("s", N));
await measure("consume+ack, stream (binary frames)", N, () => subStream("s", N));
await measure("publish, NDJSON", N, async () => {
  const p = client.messages.publisher("n", { maxInFlight: 5000, maxBatch: 250 });
  for (let i = 0; i < N; i++) {
    if (p.full) await p.ready();
    void p.publish({ payload: document(i) as never });
  }
  await p.drain();
});
await measure("consume+ack, long polls of 500", N, async () => {
  for (let taken = 0; taken < N; ) {
    const page = await client.messages.pull("n", { limit: 500, waitSeconds: 5 });
    taken += page.length;
    await client.messages.ack(page.map((m) => m.receipt));
  }
});
await pubStream("e", N);
await measure("consume, server-sent events, ack=auto", N, async () => {
  const gone = new AbortController();
  const r = await fetch(`${url}/api/v1/messages/consume/e/events?ack=auto&limit=500`, {
    headers: { authorization: `Bearer ${token}` },
    signal: gone.signal,
  });
  let blankLines = 0; // one after each event
  for await (const chunk of r.body!) {
    blankLines +=
      Buffer.from(chunk as Uint8Array)
        .toString("latin1")
        .split("\n\n").length - 1;
    if (blankLines > N) break;
  }
  gone.abort();
});
for (const batch of [1, 100]) {
  const n = batch === 1 ? 5000 : N;
  const topic = `push${batch}`;
  await client.topics.create({ name: topic });
  await pubStream(topic, n);
  let got = 0;
  let done = () => {};
  const all = new Promise<void>((r) => (done = r));
  const hook = createServer((q, s) => {
    q.resume();
    q.on("end", () => {
      s.writeHead(204).end();
      got += batch;
      if (got >= n) done();
    });
  });
  await new Promise<void>((r) => hook.listen(0, "127.0.0.1", r));
  const [sub] = (await client.subscriptions.list({ topic })).items;
  await measure(`push, ${batch} a request`, n, async () => {
    const r = await fetch(`${url}/api/v1/subscriptions/${sub!.id}/push`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        url: `http://127.0.0.1:${(hook.address() as { port: number }).port}/`,
        batch,
        concurrency: 8,
      }),
    });
    if (!r.ok) throw new Error(await r.text());
    await all;
  });
  hook.closeAllConnections();
  hook.close();
}
await stream.drain();
client.close();
child.kill("SIGTERM");
await once(child, "exit");
await rm(data, { recursive: true, force: true });
