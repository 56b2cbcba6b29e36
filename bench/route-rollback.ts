/**
 * How long a bad version of a route lives: a canary that fails one request in five gets a tenth of 500 requests a
 * second. Measured at that version, from its first bad answer to the last request that still reached it; and by the
 * callers, how many requests went wrong in another way than by that version. The server is a process of its own, as a
 * user starts it; nothing is set but how callers are told apart.
 *
 *   node bench/route-rollback.ts [runs] [requests a second]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect } from "../client/src/node.ts";

const runs = Number(process.argv[2] ?? 10);
const perSecond = Number(process.argv[3] ?? 500);
const failing = 0.2;

interface Answer {
  /** 0 without an answer. */
  status: number;
  version: string;
}

async function startBackend(version: string, share: number) {
  const seen = { firstBadAt: Number.NaN, lastAt: Number.NaN };
  const server = createServer((asked, response) => {
    asked.resume();
    const isBad = Math.random() < share;
    seen.lastAt = performance.now();
    if (isBad && Number.isNaN(seen.firstBadAt)) seen.firstBadAt = seen.lastAt;
    response.writeHead(isBad ? 500 : 200, { "x-version": version }).end(version);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close };
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

function ask(url: string, user: number): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers: { "x-user": `user-${user}` } }, (response) => {
      response.resume();
      response.once("close", () => {
        const status = response.complete ? response.statusCode! : 0;
        resolve({ status, version: String(response.headers["x-version"] ?? "") });
      });
    });
    asked.once("error", () => resolve({ status: 0, version: "" }));
    asked.end();
  });
}

const folder = await mkdtemp(join(tmpdir(), "hotswap-rollback-"));
const hotswap = fileURLToPath(new URL("../bin/hotswap.js", import.meta.url));
const options = ["--data", folder, "--port", "0", "--gateway-port", "0", "--log-level", "error"];
const server = spawn(process.execPath, [hotswap, "dev", "--json", ...options], {
  stdio: ["ignore", "pipe", "inherit"],
});
const [line] = await once(createInterface({ input: server.stdout }), "line");
const { api, gateway, token } = JSON.parse(line as string) as Record<"api" | "gateway" | "token", string>;
const client = connect({ url: api, token });
const old = await startBackend("old", 0);

async function run(number: number) {
  const bad = await startBackend("new", failing);
  const name = `rollback-${number}`;
  const { id } = await client.gateway.createRoute({
    ...{ name, match: { path: { prefix: `/${name}` } }, backends: [{ url: old.url }] },
  });
  const answers: Promise<Answer>[] = [];
  let isOver = false;
  const load = (async () => {
    const start = performance.now();
    while (!isOver) {
      const due = ((performance.now() - start) / 1000) * perSecond;
      while (answers.length < due) answers.push(ask(`${gateway}/${name}`, (answers.length * 7919) % 5003));
      await sleep(5);
    }
  })();
  await sleep(2_000);
  const deployment = await client.deployments.create({
    kind: "route",
    ...{
      route: id,
      change: { backends: [{ url: bad.url }] },
      strategy: "canary",
      unit: { header: "x-user" },
    },
  });
  let state = deployment;
  const until = performance.now() + 60_000;
  while (state.endedAt === null && performance.now() < until) {
    await sleep(100);
    state = await client.deployments.get(deployment.id);
  }
  await sleep(1_000);
  isOver = true;
  await load;
  const all = await Promise.all(answers);
  bad.close();
  if (state.endedAt === null) await client.deployments.rollback(deployment.id, "The bench gave up.");
  const atNew = all.filter(({ version }) => version === "new");
  const lost = all.filter(({ status, version }) => status === 0 || (status >= 500 && version !== "new"));
  return {
    status: state.status,
    ms: Math.round(bad.seen.lastAt - bad.seen.firstBadAt),
    exposed: atNew.length,
    bad: atNew.filter(({ status }) => status >= 500).length,
    lost: lost.length,
    requests: all.length,
    reason: state.rollback?.reason ?? "",
  };
}

const results: Awaited<ReturnType<typeof run>>[] = [];
try {
  for (let number = 1; number <= runs; number++) {
    const result = await run(number);
    results.push(result);
    const { status, ms, exposed, bad: failed, lost, requests, reason } = result;
    console.log(
      `${number}: ${status} ${ms} ms after the first bad answer; of ${requests} requests ${exposed} went to the new ` +
        `version, ${failed} failed there, ${lost} were lost otherwise. ${reason}`,
    );
  }
  const times = results.map(({ ms }) => ms).sort((a, b) => a - b);
  const sum = (of: (result: (typeof results)[number]) => number) =>
    results.reduce((total, one) => total + of(one), 0);
  console.log(
    `\n${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, ${perSecond} requests/s, ` +
      `${failing * 100} % errors\nfirst bad answer to weight 0: median ${times[Math.floor(times.length / 2)]} ms, ` +
      `slowest ${times.at(-1)} ms; rolled back ${sum(({ status }) => (status === "rolled_back" ? 1 : 0))} of ${runs}; ` +
      `lost by the rollback ${sum(({ lost }) => lost)} of ${sum(({ requests }) => requests)} requests`,
  );
} finally {
  client.close();
  agent.destroy();
  old.close();
  server.kill("SIGTERM");
  await once(server, "exit");
  await rm(folder, { recursive: true, force: true });
}
