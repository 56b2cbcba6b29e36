/** `hotswap gateway …`: how the gateway is, its routes, backends, services and keys, and why a request went its way. */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import type {
  BackendOverride,
  ExplainedRequest,
  GatewayBackend,
  GatewayStatus,
} from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { addGatewayRoutes } from "./gateway-routes.ts";
import { addGatewayServices } from "./gateway-services.ts";
import { collect, read } from "./option-values.ts";
import { grouped, printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addGateway(program: Command): void {
  const gateway = program.command("gateway").description("look at the API gateway and manage its routes");
  const add = (signature: string, description: string) =>
    addConnectionOptions(gateway.command(signature).description(description)).option("--json", "print JSON");

  add("status", "show where the gateway listens and what it serves by").action((flags: Flags) =>
    useServer(flags, async (client) => {
      const status = await client.gateway.status();
      if (flags.json) printJson(status);
      else process.stdout.write(statusText(status));
    }),
  );
  addGatewayRoutes(gateway);
  add("backends", "show how the backends are").action((flags: Flags) =>
    useServer(flags, async (client) => showBackends(await client.gateway.backends(), flags.json)),
  );
  add(
    "override <backend>",
    "open, close or drain a backend by hand, by its URL or id; without options take it back",
  )
    .addOption(
      new Option("--breaker <state>", "open lets nothing through, closed everything").choices([
        "open",
        "closed",
      ]),
    )
    .option("--drain", "it gets no new requests")
    .option(
      "--for <time>",
      "after which it ends by itself, such as 10m",
      read(integer(1, 2_592_000, "seconds")),
    )
    .option("--reason <text>", "for the audit")
    .action((backend: string, flags: Flags & OverrideFlags) =>
      useServer(flags, async (client) => {
        const known = await client.gateway.backends();
        const found = known.find(({ id, url }) => id === backend || url === backend.replace(/\/$/, ""));
        if (!found)
          throw new HotSwapError("gateway_backend_not_found", `No route has the backend ${backend}.`);
        showBackends([await client.gateway.overrideBackend(found.id, overrideOf(flags))], flags.json);
      }),
    );
  add("explain <request-id>", "say why a request went the way it went, by its X-Request-Id").action(
    (id: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const request = await client.gateway.explain(id);
        if (flags.json) printJson(request);
        else process.stdout.write(explainText(request));
      }),
  );
  addGatewayServices(gateway);
  addKeys(gateway);
}

interface OverrideFlags {
  breaker?: "open" | "closed";
  drain?: boolean;
  for?: number;
  reason?: string;
}

function overrideOf({ breaker, drain, for: ttlSeconds, reason }: OverrideFlags): BackendOverride {
  return {
    ...(breaker && { breaker }),
    ...(drain && { draining: true }),
    ...(ttlSeconds !== undefined && { ttlSeconds }),
    ...(reason !== undefined && { reason }),
  };
}

function addKeys(gateway: Command): void {
  const group = gateway
    .command("key")
    .description("make, list and withdraw API keys of those who call routes");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");
  add("create <name>", "make a key; it is printed once and never again")
    .option("--group <name>", "routes may ask for one of its groups; may be repeated", collect)
    .option("--expires <time>", "such as 90d", read(integer(60, 315_360_000, "seconds")))
    .action((name: string, flags: Flags & { group?: string[]; expires?: number }) =>
      useServer(flags, async (client) => {
        const { group: groups = [], expires } = flags;
        const made = await client.gateway.createKey({
          name,
          groups,
          ...(expires !== undefined && { expiresInSeconds: expires }),
        });
        if (flags.json) printJson(made);
        else process.stdout.write(`${made.key}\n`);
      }),
    );
  add("list", "list the keys").action((flags: Flags) =>
    useServer(flags, async (client) => {
      const all = await Array.fromAsync(client.gateway.allKeys());
      if (flags.json) printJson(all);
      else
        printTable(
          ["NAME", "BEGINS", "GROUPS", "EXPIRES"],
          all.map(({ name, hint, groups, expiresAt }) => [
            name,
            hint,
            groups.join(", "),
            expiresAt ?? "never",
          ]),
        );
    }),
  );
  add("revoke <name>", "withdraw a key").action((name: string, flags: Flags) =>
    useServer(flags, async (client) => {
      for await (const key of client.gateway.allKeys()) {
        if (key.name !== name) continue;
        await client.gateway.revokeKey(key.id);
        process.stderr.write(`key ${name} withdrawn\n`);
        return;
      }
      throw new HotSwapError("gateway_key_not_found", `There is no key named ${name}.`);
    }),
  );
}

const limitsText = {
  node: "of this node",
  shared: "over all nodes",
  alone: "each node by itself, as the shared store is away",
} as const;
const colours = { ok: "green", stale: "yellow", off: "dim" } as const;

function statusText(status: GatewayStatus): string {
  const row = (label: string, value: string) => `  ${styleText("dim", label.padEnd(11))} ${value}`;
  const lines = [
    `${styleText(colours[status.status], status.status)}  ${status.url ?? "not listening"}${status.tlsUrl ? `  ${status.tlsUrl}` : ""}`,
    row("Routes", `${grouped(status.routes)}, revision ${status.revision}`),
    row("Open", `${grouped(status.connections)} connections, ${grouped(status.tunnels)} tunnels`),
    row("Workers", String(status.workers)),
    row("Limits", limitsText[status.limits]),
    ...(status.staleSince ? [row("Stale since", status.staleSince)] : []),
    ...status.problems.map(({ kind, id, message }) =>
      row(kind === "issuer" ? "Trouble" : "Left out", `${kind} ${id}: ${message}`),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function showBackends(backends: GatewayBackend[], json: boolean | undefined): void {
  if (json) {
    printJson(backends);
    return;
  }
  const rows = backends.map(
    ({ id, url, breaker, healthy, ejected, inFlight, requests, failures, routes, override }) => [
      url,
      override?.draining ? "draining" : !healthy ? "unhealthy" : ejected ? "ejected" : "healthy",
      override && override.breaker !== "automatic" ? `${breaker} (by hand)` : breaker,
      inFlight,
      requests,
      failures,
      routes.join(", "),
      id,
    ],
  );
  printTable(["BACKEND", "STATE", "BREAKER", "IN FLIGHT", "REQUESTS", "FAILURES", "ROUTES", "ID"], rows);
}

function explainText(request: ExplainedRequest): string {
  const {
    method,
    host,
    path,
    status,
    code,
    route,
    totalMs,
    decidedMs,
    flags,
    considered,
    candidates,
    attempts,
  } = request;
  const row = (text: string) => `  ${text}`;
  const lines = [
    `${method} http://${host}${path}  ${status}${code === null ? "" : ` ${code}`}  ${totalMs.toFixed(1)} ms  ${route ?? "no route"}`,
    ...flags.map(({ flag, meaning }) => row(`${flag}: ${meaning}`)),
    "Match",
    ...considered.map(({ route: name, chosen, reason }) => row(`${chosen ? "→" : " "} ${name}: ${reason}`)),
    `Decided after ${decidedMs.toFixed(2)} ms`,
    ...candidates.map(({ url, backend, usable, reason, inFlight }) =>
      row(`${url ?? backend}: ${usable ? `usable, ${inFlight} in flight` : `not used, ${reason}`}`),
    ),
    "Attempts",
    ...attempts.map(({ url, address, startMs, endMs, status: answer, flag, problem }) =>
      row(
        `${url ?? address}  ${answer ?? "no answer"}${flag ? ` ${flag}` : ""}  ${startMs.toFixed(1)}–${endMs.toFixed(1)} ms${problem ? `, ${problem}` : ""}`,
      ),
    ),
  ];
  return `${lines.join("\n")}\n`;
}
