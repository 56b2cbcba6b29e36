/**
 * `server.json` in the data folder: where the server of this folder listens, so that commands on the same
 * machine find it. Written when it is ready, removed when it stops; after a kill it stays, and whoever
 * follows it finds nobody. It holds no secret, but is for the owner only, as all of the folder.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../stores/files.ts";

export interface Marker {
  pid: number;
  url: string;
  mode: "development" | "production";
  startedAt: string;
}

const fileIn = (folder: string) => join(folder, "server.json");

export function writeMarker(folder: string, marker: Marker): Promise<void> {
  return replaceFile(fileIn(folder), `${JSON.stringify(marker)}\n`, 0o600);
}

/** Undefined when no server has left one, or it cannot be read. */
export async function readMarker(folder: string): Promise<Marker | undefined> {
  try {
    const { pid, url, mode, startedAt } = JSON.parse(await readFile(fileIn(folder), "utf8")) as Marker;
    const known = mode === "development" || mode === "production";
    return known && Number.isInteger(pid) && URL.canParse(url) ? { pid, url, mode, startedAt } : undefined;
  } catch {
    return undefined; // it is a convenience: without it the address has to be given
  }
}

export async function removeMarker(folder: string): Promise<void> {
  await rm(fileIn(folder), { force: true });
}
