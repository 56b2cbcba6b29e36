/** `hotswap gateway routes …`: list, show, delete, and make the set what a file says. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import { parse, stringify } from "yaml";
import type {
  GatewayRoute,
  HotSwap,
  PreviewRequest,
  RouteConditions,
  RouteFinding,
  RouteImport,
  RoutePreview,
  RouteSpec,
} from "../../client/src/index.ts";
import { HotSwapError } from "../core/errors.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { Exit } from "./failure.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addGatewayRoutes(gateway: Command): void {
  const routes = gateway.command("routes").description("list, show, apply and delete routes");
  const add: Add = (signature, description) =>
    addConnectionOptions(routes.command(signature).description(description)).option("--json", "print JSON");
  addSets(add);
  addSingle(add);
}

type Add = (signature: string, description: string) => Command;

function addSingle(add: Add): void {
  add("list", "list all routes")
    .option("--labels <pairs>", "only those with all of these: team=billing,system=bss")
    .action((flags: Flags & { labels?: string }) =>
      useServer(flags, async (client) => {
        const filter = flags.labels === undefined ? {} : { labels: flags.labels };
        list(await Array.fromAsync(client.gateway.allRoutes(filter)), flags.json);
      }),
    );
  add("get <name>", "show a route, as YAML").action((name: string, flags: Flags) =>
    useServer(flags, async (client) => {
      const route = await byName(client, name);
      if (flags.json) printJson(route);
      else process.stdout.write(stringify(route));
    }),
  );
  add("check", "say which routes overlap or are never reached; fails when one is").action((flags: Flags) =>
    useServer(flags, async (client) => {
      const analysis = await client.gateway.analysis();
      if (flags.json) printJson(analysis);
      else
        process.stdout.write(
          findingsText(analysis.findings) || `${analysis.routes} routes, nothing to report\n`,
        );
      if (analysis.findings.some(({ kind }) => kind === "unreachable")) throw new Exit(1);
    }),
  );
  add("delete <name>", "delete a route").action((name: string, flags: Flags) =>
    useServer(flags, async (client) => {
      const { id } = await byName(client, name);
      await client.gateway.deleteRoute(id);
      if (flags.json) printJson({ deleted: name });
      else process.stderr.write(`route ${name} deleted\n`);
    }),
  );
}

function addSets(add: Add): void {
  add(
    "apply <file>",
    "make the route set what a YAML or JSON file says, `-` for standard input, and show the diff",
  )
    .option("--dry-run", "check everything and show the diff, but change nothing")
    .option("--merge", "leave routes that the file does not name")
    .action((file: string, flags: Flags & { dryRun?: boolean; merge?: boolean }) =>
      useServer(flags, async (client) => {
        const mode = flags.merge ? "merge" : "replace";
        const result = await client.gateway.importRoutes(await readRoutes(file), {
          mode,
          dryRun: flags.dryRun ?? false,
        });
        if (flags.json) printJson(result);
        else process.stdout.write(diffText(result));
      }),
    );
  add(
    "preview <file>",
    "say which of the last requests a file would touch: a route set, or `route` and `change` of one",
  )
    .option("--merge", "leave routes that the file does not name")
    .action((file: string, flags: Flags & { merge?: boolean }) =>
      useServer(flags, async (client) => {
        const mode = flags.merge ? "merge" : "replace";
        const wanted = await readPreview(file, mode);
        const result = await client.gateway.previewRoutes(wanted);
        if (flags.json) printJson(result);
        else process.stdout.write(previewText(result));
      }),
    );
  add("export", "print the route set as a document that `apply` takes")
    .addOption(new Option("--format <format>").choices(["yaml", "json"]).default("yaml"))
    .option("--revision <number>", "an earlier one", read(integer(0, Number.MAX_SAFE_INTEGER)))
    .action((flags: Flags & { format: "yaml" | "json"; revision?: number }) =>
      useServer(flags, async (client) => {
        const { revision } = flags;
        const set = await client.gateway.exportRoutes({ revision });
        const asJson = flags.json || flags.format === "json";
        process.stdout.write(
          asJson ? `${JSON.stringify(set, null, 2)}\n` : stringify(set, { lineWidth: 110 }),
        );
      }),
    );
}

async function byName({ gateway }: HotSwap, name: string): Promise<GatewayRoute> {
  const { items } = await gateway.routes({ name });
  if (!items[0]) throw new HotSwapError("gateway_route_not_found", `There is no route named ${name}.`);
  return items[0];
}

/** The list `routes` of the file, whatever is in it: the server checks it. */
async function readRoutes(file: string): Promise<RouteSpec[]> {
  const routes = (await readDocument(file)).routes;
  if (Array.isArray(routes)) return routes;
  throw new HotSwapError("file_unusable", `${file} has no list \`routes\`.`);
}

async function readPreview(file: string, mode: "replace" | "merge"): Promise<PreviewRequest> {
  const { routes, route, change } = await readDocument(file);
  if (Array.isArray(routes)) return { routes, mode };
  if (typeof route === "string" && typeof change === "object" && change !== null) {
    return { route, change: change as Record<string, unknown> };
  }
  throw new HotSwapError(
    "file_unusable",
    `${file} has neither a list \`routes\` nor \`route\` and \`change\`.`,
  );
}

async function readDocument(file: string): Promise<Record<string, unknown>> {
  try {
    const document: unknown = parse(file === "-" ? await text(process.stdin) : await readFile(file, "utf8"));
    return (document ?? {}) as Record<string, unknown>;
  } catch (error) {
    const detail = error instanceof Error ? error.message.split("\n", 1)[0] : "";
    throw new HotSwapError("file_unusable", `${file} cannot be read: ${detail}`);
  }
}

function list(routes: GatewayRoute[], json: boolean | undefined): void {
  if (json) {
    printJson(routes);
    return;
  }
  if (routes.length === 0) {
    process.stderr.write("There is no route yet. Apply some: hotswap gateway routes apply routes.yaml\n");
    return;
  }
  const rows = routes.map((route) => {
    const { name, match, strategy, priority = 0, enabled, version } = route;
    return [
      enabled === false ? `${name} (off)` : name,
      matchText(match),
      strategy ?? "round-robin",
      priority,
      leadsTo(route),
      version,
    ];
  });
  printTable(["NAME", "MATCH", "STRATEGY", "PRIORITY", "BACKENDS", "VERSION"], rows);
}

/** Names of the conditions without what they ask for; `get` shows that. */
function matchText({ methods, host = "", path, headers, query }: GatewayRoute["match"]): string {
  const namesOf = (given: RouteConditions = []) =>
    Array.isArray(given) ? given.map(({ name }) => name) : Object.keys(given);
  const conditions = [...namesOf(query).map((name) => `?${name}`), ...namesOf(headers)];
  const start = methods ? `${methods.join(",")} ` : "";
  return [`${start}${host}${pathText(path)}`, ...conditions].join(" ");
}

function leadsTo({ backends = [], redirect }: Pick<GatewayRoute, "backends" | "redirect">): string {
  if (redirect) return `redirect ${redirect.location}`;
  return backends
    .map(({ url, service, dns }) => url ?? (service ? `service ${service}` : `dns ${dns?.name}`))
    .join(" ");
}

function pathText({ prefix, exact, template }: NonNullable<GatewayRoute["match"]["path"]> = {}): string {
  return exact ?? template ?? `${(prefix ?? "").replace(/\/$/, "")}/*`;
}

function diffText({ dryRun, revision, diff, warnings }: RouteImport): string {
  const value = (given: unknown) => (given === undefined ? "nothing" : JSON.stringify(given));
  const lines = [
    ...diff.added.map((name) => styleText("green", `+ ${name}`)),
    ...diff.changed.flatMap(({ name, changes }) => [
      styleText("yellow", `~ ${name}`),
      ...changes.map(({ pointer, before, after }) => `    ${pointer}: ${value(before)} → ${value(after)}`),
    ]),
    ...diff.removed.map((name) => styleText("red", `- ${name}`)),
  ];
  const counts = `${diff.added.length} added, ${diff.changed.length} changed, ${diff.removed.length} removed, ${diff.unchanged} unchanged`;
  const end = dryRun ? `${counts}; nothing was kept (dry run)` : `${counts}; revision ${revision}`;
  return `${[...lines, end].join("\n")}\n${findingsText(warnings)}`;
}

function previewText({ requests, unchanged, undecided, groups }: RoutePreview): string {
  const name = (route: string | null) => route ?? "no route";
  const lines = groups.flatMap(({ from, to, effects, count, examples }) => [
    `${styleText("yellow", String(count).padStart(6))}  ${from === to ? name(from) : `${name(from)} → ${name(to)}`}: ${effects.join(", ")}`,
    ...examples.map(({ method, host, path }) => styleText("dim", `        ${method} ${host}${path}`)),
  ]);
  const unsure = undecided > 0 ? `, ${undecided} cannot be told` : "";
  return `${[...lines, `${requests} requests looked at: ${unchanged} unchanged${unsure}`].join("\n")}\n`;
}

function findingsText(findings: readonly RouteFinding[]): string {
  return findings.map(({ kind, message }) => `${styleText("yellow", "!")} ${kind}: ${message}\n`).join("");
}
