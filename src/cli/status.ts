/** `hotswap status`: how the running server is; `-o env` prints what other programs need to reach it. */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import type { Overview } from "../../client/src/index.ts";
import { addConnectionOptions, type ConnectionFlags, type ServerAddress, useServer } from "./connection.ts";
import { Exit } from "./failure.ts";
import { byteText, durationText, grouped, printJson } from "./print.ts";

type Flags = ConnectionFlags & { output: "text" | "json" | "env" };

export function addStatus(program: Command): void {
  const command = program
    .command("status")
    .description("show how the running server is: address, health, totals; fails when it is down")
    .addOption(
      new Option("-o, --output <format>", "text, json, or env: variables for a shell")
        .choices(["text", "json", "env"])
        .default("text"),
    );
  addConnectionOptions(command).action((flags: Flags) =>
    useServer(
      flags,
      async ({ system }, address) => {
        const overview = await system.overview();
        await print(overview, address, flags.output);
        if (overview.health.status === "down") throw new Exit(1);
      },
      { retry: { attempts: 1 } },
    ),
  );
}

async function print(overview: Overview, { url, token }: ServerAddress, output: Flags["output"]) {
  if (output === "json") {
    printJson({ url, ...overview });
    return;
  }
  if (output === "text") {
    process.stdout.write(text(overview, url));
    return;
  }
  const made = typeof token === "function" ? await token() : token;
  const gateway = overview.gateway.url;
  process.stdout.write(
    `export HOTSWAP_URL=${quoted(url)}\nexport HOTSWAP_TOKEN=${quoted(made ?? "")}\n` +
      (gateway === null ? "" : `export HOTSWAP_GATEWAY=${quoted(gateway)}\n`),
  );
}

const quoted = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;

const colours = { ok: "green", degraded: "yellow", down: "red" } as const;

function text(
  { version, mode, startedAt, now, health, messaging, gateway, process: usage }: Overview,
  url: string,
) {
  const upMs = Date.parse(now) - Date.parse(startedAt);
  const row = (label: string, value: string) => `  ${styleText("dim", label.padEnd(9))} ${value}`;
  const { topics, subscriptions, publishedTotal, deliveredTotal, ackedTotal, redeliveredTotal } = messaging;
  const lines = [
    `${styleText("bold", `HotSwap ${version}`)}  ${mode}  up ${durationText(upMs)}  ${url}`,
    row("Health", styleText(colours[health.status], health.status)),
    ...health.checks.map(({ name, status, detail }) =>
      row("", `${styleText(colours[status], status.padEnd(4))} ${name}${detail ? `  ${detail}` : ""}`),
    ),
    row(
      "Topics",
      `${grouped(topics)} with ${grouped(subscriptions)} subscriptions, ${byteText(messaging.bytes)}`,
    ),
    row(
      "Waiting",
      `${grouped(messaging.depth)} messages, ${grouped(messaging.inFlight)} of them with consumers`,
    ),
    row(
      "Since up",
      `${grouped(publishedTotal)} published, ${grouped(deliveredTotal)} delivered (${grouped(redeliveredTotal)} again), ${grouped(ackedTotal)} acknowledged`,
    ),
    row(
      "Gateway",
      gateway.url === null
        ? "off"
        : `${gateway.url}  ${grouped(gateway.routes)} routes${gateway.status === "stale" ? ", stale" : ""}`,
    ),
    row(
      "Process",
      `${usage.cpuSeconds.toFixed(1)} s of CPU, ${byteText(usage.rssBytes)}, event loop late by ${usage.eventLoopDelayP99Ms.toFixed(1)} ms (p99)`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}
