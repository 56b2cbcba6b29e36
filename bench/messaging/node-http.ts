/** node:http with nothing behind it (floor.ts): what one message per request costs before anything is done with it. */
import { fileURLToPath } from "node:url";
import { startChild } from "./child.ts";
import { publishSingly } from "./single.ts";
import type { Running, System } from "./system.ts";

/** As long as a token of a developer. */
const tokenBytes = 400;

async function start(folder: string, cpus: string | undefined): Promise<Running> {
  const args = [fileURLToPath(new URL("./floor.ts", import.meta.url))];
  const child = await startChild({ file: process.execPath, args, folder, cpus }, (line) =>
    line.startsWith("{"),
  );
  const endpoint = { ...(JSON.parse(child.readyLine) as { url: string }), token: "x".repeat(tokenBytes) };
  return { pid: child.pid, version: process.version, endpoint, stop: child.stop };
}

export const nodeHttp: System = {
  name: "node-http",
  title: "node:http alone",
  method: { publish: "POST of one, 64 connections", consume: "–" },
  promise: { publish: "nothing is kept", consume: "–" },
  consumeLatency: "–",
  phases: ["publish"],
  window: 64,
  start,
  connect: async (endpoint) => ({
    publish: (stretch) => publishSingly(endpoint, "bench", stretch),
    consume: async () => {},
    close: async () => {},
  }),
};
