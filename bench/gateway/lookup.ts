/**
 * What it costs to find the route of a request, and to publish a change, with few routes and with many:
 * `node bench/gateway/lookup.ts [--save]`. The routes are those of many.ts. Requests come in no order, so that no
 * cache of the processor is flattered. CPU time is measured, so other work on the machine counts little.
 */
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../src/core/random.ts";
import { Matcher, type Routed, type Subject } from "../../src/gateway/proxy/matcher.ts";
import { GatewayProxy } from "../../src/gateway/proxy/proxy.ts";
import type { Route } from "../../src/gateway/proxy/snapshot.route.ts";
import { hostOf, matchOf, PER_HOST, paths } from "./many.ts";

const SIZES = [10, 1_000, 50_000];
const REQUESTS = 8192;
const ROUNDS = 100;
const BUSY = 50 * PER_HOST;
const random = seededRandom(7);

const routes = (count: number): Route[] =>
  Array.from({ length: count }, (_, at) => ({
    id: `r${at}`,
    name: `r${at}`,
    tenant: "bench",
    match: matchOf(at),
    targets: [{ backend: "b" }],
  }));

/** Every string is new, as in a request: its hash is part of the cost. */
const requests = (count: number): Subject[] =>
  Array.from({ length: REQUESTS }, () => {
    const host = hostOf(Math.floor(random.number() * count));
    const path = paths[Math.floor(random.number() * paths.length)]!;
    const head = Buffer.from(`${host} ${path}`).toString("latin1");
    return {
      method: random.number() < 0.2 ? "POST" : "GET",
      host: head.slice(0, host.length),
      path: head.slice(host.length + 1),
      header: () => undefined,
      query: () => undefined,
    };
  });

/** CPU nanoseconds of this thread for one call: the median of many rounds, each of which begins with `prepare`. */
function nanoseconds<Prepared>(
  calls: number,
  prepare: () => Prepared,
  run: (prepared: Prepared) => void,
): number {
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const prepared = prepare();
    const before = process.threadCpuUsage();
    run(prepared);
    const { user, system } = process.threadCpuUsage(before);
    taken.push(((user + system) * 1000) / calls);
  }
  return taken.sort((a, b) => a - b)[ROUNDS / 2]!;
}

let found = 0;
/** `busy`: of that many routes only are the hosts that requests name. */
function lookUp(matcher: Matcher<Routed>, busy: number): number {
  const look = (subjects: readonly Subject[]) => {
    for (const subject of subjects) if (matcher.find(subject)) found++;
  };
  return nanoseconds(REQUESTS, () => requests(busy), look);
}

/** A route takes the place of one with its id. */
function change(matcher: Matcher<Routed>, all: readonly Routed[]): number {
  const choose = () => Array.from({ length: 2000 }, () => all[Math.floor(random.number() * all.length)]!);
  return nanoseconds(2000, choose, (chosen) => {
    for (const route of chosen) matcher.put(route);
  });
}

/** Milliseconds from `apply` of one changed route until a worker serves by it. */
async function publishing(all: readonly Route[]) {
  const proxy = new GatewayProxy();
  await proxy.start({ listen: [{ port: 0 }] });
  const backends = [{ id: "b", url: "http://127.0.0.1:9" }];
  const start = performance.now();
  await proxy.apply({ revision: 1, routes: all, backends });
  const allMs = performance.now() - start;
  const taken: number[] = [];
  for (let revision = 2; revision < 202; revision++) {
    const route = all[Math.floor(random.number() * all.length)]!;
    const at = performance.now();
    await proxy.apply({
      revision,
      routes: [{ ...route, response: { headers: { set: { r: `${revision}` } } } }],
    });
    taken.push(performance.now() - at);
  }
  await proxy.stop({ drainMs: 0 });
  taken.sort((a, b) => a - b);
  return { allMs, oneMs: taken[taken.length / 2]! };
}

const rows: string[] = [];
for (const size of SIZES) {
  const all = routes(size);
  const matcher = new Matcher<Routed>();
  for (const { id, match } of all) matcher.put({ id, match, priority: 0 });
  const busyNs = lookUp(matcher, Math.min(size, BUSY));
  const findNs = lookUp(matcher, size);
  const changeNs = change(matcher, [...matcher.all()]);
  const { allMs, oneMs } = await publishing(all);
  const cells = [size.toLocaleString("en"), busyNs.toFixed(0), findNs.toFixed(0), changeNs.toFixed(0)];
  rows.push(`| ${[...cells, oneMs.toFixed(2), allMs.toFixed(0)].join(" | ")} |`);
}
const machine = `${cpus()[0]?.model.trim()}, Linux ${release()}, Node ${process.version}`;
const columns = [
  "routes",
  "look-up ns, 50 busy hosts",
  "look-up ns, all hosts alike",
  "change in the table ns",
  "publish of one route ms",
  "first publish of all ms",
];
const text = `# Look-up and publish by number of routes

${machine}. Look-up and change: CPU time, median of ${ROUNDS} rounds of ${REQUESTS.toLocaleString("en")} new
requests in random order. Where all hosts are alike, most of what a look-up reads comes from memory, not from the
processor's caches. Publishes: from the call until a worker serves by it, median of 200.

| ${columns.join(" | ")} |
| ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join("\n")}
`;
console.log(text);
if (found === 0) throw new Error("no request found its route");
if (process.argv.includes("--save")) {
  writeFileSync(fileURLToPath(new URL("./lookup.md", import.meta.url)), text);
}
