/**
 * How a command reaches its server. The address is --url, HOTSWAP_URL, or that of the server on the data
 * folder. The token is HOTSWAP_TOKEN; for a development server on this machine one is made from its folder,
 * so that a second terminal needs no preparation.
 */
import type { Command } from "commander";
import { HotSwap, nodeWire, type RetryPolicy, type Token, type Wire } from "../../client/src/node.ts";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { loadSettings } from "../platform/settings/index.ts";
import { type Marker, readMarker } from "./marker.ts";

export interface ConnectionFlags {
  url?: string;
  data?: string;
}

export interface ServerAddress {
  url: string;
  /** Undefined: none is known, and only what is public can be asked for. */
  token: Token | undefined;
}

export interface ConnectOptions {
  retry?: Partial<RetryPolicy>;
  /** Around the wire, to see what happens on it. */
  wrap?: (wire: Wire) => Wire;
}

export function addConnectionOptions(command: Command): Command {
  return command
    .option("--url <url>", "address of the server (default: HOTSWAP_URL, or the server on the data folder)")
    .option(
      "--data <folder>",
      "data folder of a server on this machine (default: HOTSWAP_DATA, or .hotswap)",
    );
}

/** Runs `work` with a client and gives its connections back, however that ends. */
export async function useServer<Result>(
  flags: ConnectionFlags,
  work: (client: HotSwap, address: ServerAddress) => Promise<Result>,
  { retry, wrap = (wire) => wire }: ConnectOptions = {},
): Promise<Result> {
  const address = await findServer(flags);
  const client = new HotSwap({ ...address, retry, wire: wrap(nodeWire()) });
  try {
    return await work(client, address);
  } finally {
    client.close();
  }
}

export async function findServer({ url, data }: ConnectionFlags): Promise<ServerAddress> {
  const given = url ?? (process.env.HOTSWAP_URL || undefined);
  const token = process.env.HOTSWAP_TOKEN || undefined;
  if (given && !URL.canParse(given)) throw new HotSwapError("setting_invalid", `${given} is not a URL.`);
  if (given && token) return { url: given, token };
  const flags: Record<string, string> = data === undefined ? {} : { data };
  const { settings } = await loadSettings({ mode: "development", flags });
  const { folder } = settings.data;
  const marker = await readMarker(folder);
  const found = given ?? marker?.url;
  if (!found) throw new HotSwapError("server_not_found", `No server runs on the data folder ${folder}.`);
  if (token) return { url: found, token };
  if (marker?.mode !== "development" || !isSame(found, marker)) return { url: found, token: undefined };
  return { url: found, token: localToken(flags) };
}

const isLoopback = (host: string) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);

function isSame(url: string, marker: Marker): boolean {
  const [one, other] = [new URL(url), new URL(marker.url)];
  return one.origin === other.origin || (one.port === other.port && isLoopback(one.hostname));
}

const ttlSeconds = 3600;

/** Made when it is first needed, and again before it expires. */
function localToken(flags: Record<string, string>): () => Promise<string> {
  let made: { token: Promise<string>; until: number } | undefined;
  const mint = async () => {
    const { openLocalIssuer } = await import("./local-issuer.ts");
    const { issuer } = await openLocalIssuer({ flags, mode: "development" });
    return issuer.mint({ subject: "developer", tenant: "default", roles: ["admin"], ttlSeconds });
  };
  return () => {
    const now = systemClock.monotonic();
    if (!made || now >= made.until) made = { token: mint(), until: now + (ttlSeconds / 2) * 1000 };
    return made.token;
  };
}
