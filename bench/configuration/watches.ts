/** A system that only tells: all instances listen, and each version is told to all of them at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Figures, quantiles } from "./figures.ts";
import type { Scale } from "./scale.ts";
import { type Address, Calls, requestText, Stream } from "./sockets.ts";
import { heardBy, openAll, rssKiB } from "./streams.ts";

export interface Watched {
  readonly pid: number;
  readonly address: Address;
  /** The request whose answer is what an instance hears. */
  readonly watch: string;
  /** The request that makes all hear a version, by its path and body; `seen` is what an instance then hears. */
  telling(version: number): { path: string; body: string; seen: string };
}

/** A document of 120 bytes. */
export const documentText = (version: number): string => JSON.stringify({ version, limit: "x".repeat(100) });

export async function measureWatches(system: Watched, scale: Scale): Promise<Figures> {
  const { pid, address, watch } = system;
  const streams = Array.from({ length: scale.instances }, () => new Stream());
  const before = rssKiB(pid);
  const connectSeconds = await openAll(streams, address, () => watch, scale);
  await sleep(2_000);
  const kibPerConnection = (rssKiB(pid) - before) / scale.instances;
  const calls = new Calls(address, 1);
  const told: number[] = [];
  for (let version = 1; version <= scale.rounds; version++) {
    const { path, body, seen } = system.telling(version);
    const heard = heardBy(streams, (text) => text.includes(seen));
    const began = performance.now();
    await calls.call(requestText("POST", path, {}, body));
    told.push(...(await heard).map((at) => at - began));
    await sleep(500);
  }
  for (const stream of streams) stream.close();
  const reconnectSeconds = await openAll(streams, address, () => watch, scale);
  for (const stream of streams) stream.close();
  calls.close();
  return { told: quantiles(told), connectSeconds, reconnectSeconds, kibPerConnection };
}
