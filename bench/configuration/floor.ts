/** The floor: node:http that keeps nothing and writes what it is sent to all who listen (floor-server.ts). */
import { fileURLToPath } from "node:url";
import { startChild } from "../messaging/child.ts";
import type { Figures } from "./figures.ts";
import type { Scale } from "./scale.ts";
import { addressOf, requestText } from "./sockets.ts";
import { documentText, measureWatches } from "./watches.ts";

export async function floor(folder: string, scale: Scale): Promise<Figures> {
  const script = fileURLToPath(new URL("./floor-server.ts", import.meta.url));
  const command = { file: process.execPath, args: [script], folder, cpus: undefined };
  const server = await startChild(command, (line) => line.startsWith("{"));
  const { url } = JSON.parse(server.readyLine) as { url: string };
  const watched = {
    ...{ pid: server.pid, address: addressOf(url), watch: requestText("GET", "/", {}) },
    telling(version: number) {
      const text = documentText(version);
      return { path: "/", body: text, seen: text };
    },
  };
  const figures = await measureWatches(watched, scale);
  await server.stop();
  return figures;
}
