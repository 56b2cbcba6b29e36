/**
 * `hotswap demo`: a shop behind the gateway, with customers. A new version of it that fails gets a tenth of them, is
 * found out and taken back by itself; the next one is good and gets them all. Real servers, real traffic, a real
 * deployment over the API; what was made is gone at the end.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";
import type { Command } from "commander";
import { type Deployment, HotSwap, nodeWire } from "../../client/src/node.ts";
import { sleep, systemClock } from "../core/clock.ts";
import { HotSwapError, hasCode } from "../core/errors.ts";
import { systemRandom } from "../core/random.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, findServer } from "./connection.ts";
import { DemoScreen } from "./demo-screen.ts";
import { Customers, Shop } from "./demo-shop.ts";
import { Exit } from "./failure.ts";
import { read } from "./option-values.ts";
import { printJson } from "./print.ts";

type Flags = ConnectionFlags & { rate: number; json?: boolean };

export function addDemo(program: Command, version: string): void {
  const command = program
    .command("demo")
    .description(
      "watch a bad version of a service be found out and taken back, and a good one take over; about a minute.\n" +
        "Uses the server on the data folder, or one of its own that is gone afterwards.",
    )
    .option("--rate <count>", "requests a second", read(integer(50, 2_000)), 500)
    .option("--json", "print one JSON object with what happened, and nothing else");
  addConnectionOptions(command).action((flags: Flags) => run(flags, version));
}

/** Of a deployment; the rest of the way is the engine's. */
const endsWithinMs = 90_000;
const lookMs = 200;

async function run(flags: Flags, version: string): Promise<void> {
  const screen = new DemoScreen(process.stdout, flags.json ?? false);
  const closing: (() => Promise<unknown>)[] = [];
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new HotSwapError("shutting_down", "Interrupted."));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    const server = await openServer(flags, version, screen, closing);
    const result = await play({ ...server, screen, rate: flags.rate, signal: interrupted.signal }, closing);
    if (flags.json) printJson(result);
    if (result.bad.status !== "rolled_back" || result.good.status !== "succeeded") throw new Exit(1);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    for (const close of closing.reverse()) await close().catch(() => {}); // the rest is to be closed all the same
  }
}

interface Stage {
  client: HotSwap;
  url: string;
  gateway: string;
  screen: DemoScreen;
  rate: number;
  signal: AbortSignal;
}

type Closing = (() => Promise<unknown>)[];

async function openServer(
  flags: Flags,
  version: string,
  screen: DemoScreen,
  closing: Closing,
): Promise<Pick<Stage, "client" | "url" | "gateway">> {
  const address = await findServer(flags).catch((error: unknown) => {
    if (flags.url === undefined && flags.data === undefined && hasCode(error, "server_not_found"))
      return undefined;
    throw error;
  });
  const { url, token } = address ?? (await ownServer(version, screen, closing));
  const client = new HotSwap({ url, token, wire: nodeWire() });
  closing.push(async () => client.close());
  const { url: gateway } = await client.gateway.status();
  if (gateway === null) throw new HotSwapError("gateway_off");
  return { client, url, gateway };
}

async function ownServer(version: string, screen: DemoScreen, closing: Closing) {
  const { startServer } = await import("./server.ts");
  const { loadSettings } = await import("../platform/settings/index.ts");
  const { createLog } = await import("../platform/telemetry/index.ts");
  const data = await mkdtemp(join(tmpdir(), "hotswap-demo-"));
  closing.push(() => rm(data, { recursive: true, force: true }));
  const flags = { data, port: "0", "gateway-port": "0", "log-level": "error" };
  const { settings } = await loadSettings({ mode: "development", flags, env: {}, cwd: data });
  const log = createLog({ level: settings.telemetry.logLevel });
  const server = await startServer({ mode: "development", settings, log, version });
  closing.push(() => server.stop());
  const token = await server.issuer.mint({
    ...{ subject: "developer", tenant: "default", roles: ["admin"], ttlSeconds: 3600 },
  });
  screen.say(`A server for the demo: ${server.url}/#token=${token}`);
  return { url: server.url, token };
}

interface Act {
  deployment: string;
  status: string;
  seconds: number;
  reason: string | null;
  share: number;
  console: string;
}

async function play(stage: Stage, closing: Closing) {
  const { client, gateway, screen, rate } = stage;
  const open = async (...version: Parameters<typeof Shop.open>) => {
    const shop = await Shop.open(...version);
    closing.push(() => shop.close());
    return shop;
  };
  const shop = await open({ name: "shop 1", failing: 0, delayMs: 5 });
  const bad = await open({ name: "shop 2", failing: 0.2, delayMs: 5 });
  const good = await open({ name: "shop 2.1", failing: 0, delayMs: 5 });
  const name = `demo-${Buffer.from(systemRandom.bytes(4)).toString("hex")}`;
  const route = await client.gateway.createRoute({
    ...{ name, description: "of hotswap demo", match: { path: { prefix: `/${name}` } } },
    backends: [{ url: shop.url }],
  });
  closing.push(() => client.gateway.deleteRoute(route.id));
  const customers = new Customers(`${gateway}/${name}`, rate);
  closing.push(() => customers.stop());
  screen.say(`A shop behind the gateway, ${rate} requests a second: ${gateway}/${name}\n`);

  const act = (title: string, to: Shop, bakeSeconds: number) => {
    screen.say(styleText("bold", title));
    const change = { backends: [{ url: to.url }] };
    return deploy(stage, closing, { route: route.id, change, bakeSeconds }, customers);
  };
  const first = await act("Shop 2 goes to 10 % of the customers. One answer in five fails.", bad, 20);
  screen.say(
    first.status === "rolled_back"
      ? styleText(
          "green",
          `  Found out and taken back after ${first.seconds.toFixed(1)} s: ${first.reason}\n`,
        )
      : styleText("red", `  It ended as ${first.status}.\n`),
  );
  const second = await act("Shop 2.1 is mended.", good, 4);
  screen.say(
    second.status === "succeeded"
      ? styleText("green", `  It has all of the customers after ${second.seconds.toFixed(1)} s.\n`)
      : styleText("red", `  It ended as ${second.status}: ${second.reason}\n`),
  );
  const { requests, errors, lost } = customers.served;
  screen.say(
    `${requests.toLocaleString("en-US")} requests: ${errors} errors of shop 2; ${lost} lost by a change.`,
  );
  return {
    url: stage.url,
    gateway,
    route: name,
    rate,
    bad: first,
    good: second,
    customers: { requests, errors, lost },
  };
}

interface Wanted {
  route: string;
  change: Record<string, unknown>;
  bakeSeconds: number;
}

async function deploy(stage: Stage, closing: Closing, wanted: Wanted, customers: Customers): Promise<Act> {
  const { client, url, screen, signal } = stage;
  const startedAt = systemClock.monotonic();
  const { id } = await client.deployments.create({
    kind: "route",
    ...wanted,
    ...{ strategy: "canary", phases: [10, 50, 100], bakeMaxSeconds: 2 * wanted.bakeSeconds },
    unit: { header: "x-customer" },
    analysis: { warmUpSeconds: 2, minRequests: 100, onInconclusive: "pass" },
  });
  let isOver = false;
  closing.push(async () => {
    if (isOver) return;
    await client.deployments.rollback(id, "The demo ended.");
    await ended(client, id);
  });
  const console = `${url}/#/deployments/${id}`;
  screen.say(`  ${styleText("dim", console)}`);
  for (;;) {
    const [deployment, metrics] = await Promise.all([
      client.deployments.get(id),
      client.deployments.metrics(id),
    ]);
    const elapsedMs = systemClock.monotonic() - startedAt;
    screen.show({ deployment, metrics, customers: customers.served, elapsedMs });
    isOver = deployment.endedAt !== null;
    if (isOver || elapsedMs > endsWithinMs) return actOf(deployment, elapsedMs, console);
    await sleep(systemClock, lookMs, signal);
  }
}

/** Resolves when the route is free again, or it takes too long. */
async function ended(client: HotSwap, id: string): Promise<void> {
  const until = systemClock.monotonic() + 10_000;
  while ((await client.deployments.get(id)).endedAt === null && systemClock.monotonic() < until) {
    await sleep(systemClock, lookMs);
  }
}

function actOf(deployment: Deployment, elapsedMs: number, console: string): Act {
  const { id, status, share, rollback, detail } = deployment;
  const reason = rollback?.reason ?? detail;
  return { deployment: id, status, seconds: Math.round(elapsedMs / 100) / 10, reason, share, console };
}
