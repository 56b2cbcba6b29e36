/**
 * `hotswap proxy --from :8080 --to :3000`: the gateway's data plane by itself, with one route and no stores, until it
 * is interrupted.
 */
import { type Command, Option } from "commander";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { collect, read } from "./option-values.ts";

interface Flags {
  from: string;
  to: string[];
  strategy: "round-robin" | "least-connections" | "two-choices" | "ip-hash";
  health?: string;
  workers: number;
  log?: boolean;
  json?: boolean;
}

export function addProxy(program: Command): void {
  program
    .command("proxy")
    .description("run a reverse proxy with one route and nothing else: no server, no data folder")
    .requiredOption(
      "--from <address>",
      "where it listens: :8080 (this machine only), or 0.0.0.0:8080; :0 is any port",
    )
    .requiredOption("--to <address>", "a backend: :3000, host:3000 or a URL; may be repeated", collect)
    .addOption(
      new Option("--strategy <name>", "how one of several backends is chosen")
        .choices(["round-robin", "least-connections", "two-choices", "ip-hash"])
        .default("round-robin"),
    )
    .option("--health <path>", "check the backends at this path")
    .option("--workers <count>", "threads that serve", read(integer(1, 64)), 1)
    .option("--log", "print a line for each request, as JSON")
    .option("--json", "print one JSON object with the address when it listens")
    .addHelpText(
      "after",
      "\nExamples:\n  hotswap proxy --from :8080 --to :3000\n  hotswap proxy --from :8080 --to :3001 --to :3002 --health /ready",
    )
    .action(run);
}

async function run({ from, to, strategy, health, workers, log, json }: Flags): Promise<void> {
  const { host, port } = listenOn(from);
  if (health !== undefined && !/^\/[!-~]*$/.test(health)) {
    throw new HotSwapError("setting_invalid", `--health ${health} is not a path such as /ready.`);
  }
  const backends = to.map((address, index) => ({
    id: `backend-${index + 1}`,
    url: backendUrl(address),
    ...(health !== undefined && { health: { path: health } }),
  }));
  const { GatewayProxy } = await import("../gateway/proxy/proxy.ts");
  const proxy = new GatewayProxy();
  const route = {
    id: "proxy",
    name: "proxy",
    tenant: "default",
    match: {},
    strategy: { kind: strategy },
  } as const;
  const targets = backends.map(({ id }) => ({ backend: id }));
  const onCrash = (error: Error) => process.stderr.write(`hotswap: a worker ended: ${error.message}\n`);
  const accessLog = log ? { accessLog: { path: "-" } } : {};
  const options = { listen: [{ host, port }], workers, onCrash, ...accessLog };
  const snapshot = { revision: 1, routes: [{ ...route, targets }], backends };
  const [address] = await proxy.start(options, snapshot).catch((error: Error) => {
    throw cannotListen(error.message, host, port);
  });
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${address!.port}`;
  const urls = backends.map((backend) => backend.url);
  process.stdout.write(
    json ? `${JSON.stringify({ url, backends: urls })}\n` : `${url} → ${urls.join(", ")}\n`,
  );
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  await proxy.stop();
}

function listenOn(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw unusable("--from", text);
  return { host: bracketed ?? (plain || "127.0.0.1"), port };
}

function backendUrl(text: string): string {
  const url = /^https?:\/\//.test(text)
    ? text
    : `http://${/^:?\d+$/.test(text) ? `127.0.0.1:${text.replace(":", "")}` : text}`;
  if (!URL.canParse(url) || !["", "/"].includes(new URL(url).pathname)) throw unusable("--to", text);
  return new URL(url).origin;
}

/** A worker tells what happened as text, with the name of the error in front. */
function cannotListen(message: string, host: string, port: number): HotSwapError {
  if (/EADDRINUSE/.test(message)) {
    return new HotSwapError("port_in_use", `${host}:${port} is taken; choose another with --from.`);
  }
  return new HotSwapError("setting_invalid", `--from ${host}:${port} cannot be used: ${message}.`);
}

const unusable = (option: string, text: string) =>
  new HotSwapError("setting_invalid", `${option} ${text} is not an address such as :8080 or host:8080.`);
