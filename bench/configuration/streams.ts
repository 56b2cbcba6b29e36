/** All streams of a run at once: that they open, and when each of them hears what all are told. */
import { readFileSync } from "node:fs";
import type { Scale } from "./scale.ts";
import type { Address, Stream } from "./sockets.ts";

/** Seconds until all are open. */
export async function openAll(
  streams: readonly Stream[],
  address: Address,
  request: (index: number) => string,
  { untilMs, note }: Scale,
): Promise<number> {
  const began = performance.now();
  const refused = await Promise.all(
    streams.map((stream, index) => stream.openPatiently(address, request(index), untilMs)),
  );
  note(`${streams.length} connected, ${refused.reduce((sum, times) => sum + times, 0)} times told to wait`);
  return (performance.now() - began) / 1_000;
}

/** Waits until each of the streams has seen a piece that fits; resolves to when each did. */
export function heardBy(
  streams: readonly Stream[],
  fits: (text: string) => boolean,
  then?: (index: number) => void,
): Promise<number[]> {
  const times: number[] = [];
  return new Promise<number[]>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${times.length} of ${streams.length} were told`)),
      30_000,
    );
    streams.forEach((stream, index) => {
      let rest = "";
      stream.onData = (text, at) => {
        rest = (rest + text).slice(-4_096); // an event may come in two pieces
        if (!fits(rest)) return;
        stream.onData = () => {};
        times.push(at);
        then?.(index);
        if (times.length < streams.length) return;
        clearTimeout(timer);
        resolve(times);
      };
    });
  });
}

export const rssKiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
