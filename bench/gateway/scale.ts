/**
 * A set of very many routes from end to end: imported over the API of a real server, served by its gateway, and one of
 * them changed while all are there: `node bench/gateway/scale.ts [routes] [--save]`. Needs wrk (run.ts --install). The
 * time of an import ends when its routes are served; memory is that of the whole server without its database.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { residentBytes, runHttp } from "./load.ts";
import { hostOf, matchOf } from "./many.ts";

const count = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 50_000);
const CHANGES = 20;
const SECONDS = 5;

const folder = mkdtempSync(join(tmpdir(), "hotswap-scale-"));
const backend = createServer((_request, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(backend, "listening");
const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
const launcher = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));
const args = ["dev", "--data", join(folder, "data"), "--port", "0", "--gateway-port", "0", "--json"];
const server = spawn(process.execPath, [launcher, ...args], { stdio: ["ignore", "pipe", "inherit"] });
const gone = once(server, "exit");
const facts = JSON.parse(((await once(createInterface(server.stdout), "line")) as [string])[0]);
const headers = { authorization: `Bearer ${facts.token}`, "content-type": "application/json" };

async function call(method: string, path: string, body?: unknown, more: object = {}) {
  const request = {
    method,
    headers: { ...headers, ...more },
    ...(body ? { body: JSON.stringify(body) } : {}),
  };
  const response = await fetch(`${facts.api}/api/v1/gateway/routes${path}`, request);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

const specOf = (at: number, more: object = {}) => {
  const match = matchOf(at);
  const fields = match.headers?.map(({ name, equals }) => [name, equals]);
  const shown = { ...match, ...(fields && { headers: Object.fromEntries(fields) }) };
  return { name: `route-${at}`, match: shown, backends: [{ url }], ...more };
};

const serving = async () => {
  const port = Number(new URL(facts.gateway).port);
  const load = { name: "GET", path: "/api/v1/orders/4711", host: hostOf(0) };
  await runHttp(folder, port, facts.pid, load, 2);
  return runHttp(folder, port, facts.pid, load, SECONDS);
};

const mebibytes = () => residentBytes(facts.pid) / 2 ** 20;
const rows: string[] = [];

async function visit(routes: number): Promise<void> {
  const set = { routes: Array.from({ length: routes }, (_, at) => specOf(at)) };
  const before = mebibytes();
  const start = performance.now();
  await call("POST", "/import", set);
  const importMs = performance.now() - start;
  const taken: number[] = [];
  const { items } = await call("GET", "?limit=1");
  for (let change = 0; change < CHANGES; change++) {
    const spec = specOf(Number(items[0].name.slice("route-".length)), { labels: { change: String(change) } });
    const at = performance.now();
    await call("PUT", `/${items[0].id}`, spec, { "if-match": "*" });
    taken.push(performance.now() - at);
  }
  taken.sort((a, b) => a - b);
  const { p99Ms, cpuSecondsPer100k, errors } = await serving();
  const mega = JSON.stringify(set).length / 2 ** 20;
  const cells = [routes.toLocaleString("en"), mega.toFixed(1), (importMs / 1000).toFixed(2)];
  cells.push(taken[CHANGES / 2]!.toFixed(0), (mebibytes() - before).toFixed(0));
  rows.push(`| ${[...cells, p99Ms.toFixed(2), cpuSecondsPer100k.toFixed(2), errors].join(" | ")} |`);
}

try {
  for (const routes of [12, 1_000, count]) await visit(routes);
} finally {
  server.kill("SIGTERM");
  await gone;
  backend.close();
  backend.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
}
const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}`;
const columns =
  "routes | set MiB | import until served s | change of one ms | memory MiB | p99 ms | CPU s per 100,000 | errors";
const text = `# Route sets from end to end

${machine}.
Each set replaces the one before by one call of the API of a development server with its embedded database. Changes:
median of ${CHANGES}, from the call until it is served. Memory: more than before the import. Requests: ${SECONDS} s
of 64 connections to one of the routes; the CPU is that of the whole server.

| ${columns} |
| ${"---: | ".repeat(8).trim()}
${rows.join("\n")}
`;
console.log(text);
if (process.argv.includes("--save")) writeFileSync(new URL("./scale.md", import.meta.url), text);
