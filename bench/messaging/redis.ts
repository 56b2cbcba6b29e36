/**
 * Redis Streams with `appendfsync always`: the replies of one turn of the event loop are sent after one fsync of
 * the append-only file. Its periodic rewriting is off, so that no fork disturbs the measurement.
 */
import { createClient, RESP_TYPES } from "redis";
import { freePort, needProgram, startChild, versionOf } from "./child.ts";
import { message, messageNumber } from "./message.ts";
import {
  type Client,
  type Endpoint,
  type Page,
  type Running,
  type System,
  slide,
  turnPages,
} from "./system.ts";

const stream = "bench";
const group = "workers";

/** Also the server that HotSwap is measured on when its log is in Redis, so that both have the same one. */
export async function startRedis(folder: string, cpus: string | undefined): Promise<Running> {
  const file = needProgram("redis-server");
  const port = await freePort();
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "yes",
    appendfsync: "always",
    "auto-aof-rewrite-percentage": 0,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const version = versionOf(file, "--version");
  const child = await startChild({ file, args, folder, cpus }, (line) => line.includes("Ready to accept"));
  return { pid: child.pid, version, endpoint: { port: String(port) }, stop: child.stop };
}

type Entry = [id: string | Buffer, fields: Buffer[]];

async function open(endpoint: Endpoint): Promise<Client> {
  const socket = { host: "127.0.0.1", port: Number(endpoint.port), noDelay: true };
  const plain = createClient({ socket, RESP: 2 });
  const client = plain.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  await plain.connect();
  await plain.xGroupCreate(stream, group, "0", { MKSTREAM: true });

  async function lease(limit: number): Promise<Page> {
    const command = ["XREADGROUP", "GROUP", group, "worker", "COUNT", String(limit), "STREAMS", stream, ">"];
    const reply = await client.sendCommand<[Buffer, Entry[]][] | null>(command);
    const entries = reply?.[0]?.[1] ?? [];
    return {
      numbers: entries.map(([, fields]) => messageNumber(fields[1]!)),
      acknowledge: () => client.sendCommand(["XACK", stream, group, ...entries.map(([id]) => id)]),
    };
  }

  return {
    publish: (stretch) =>
      slide(stretch, (number) => client.sendCommand(["XADD", stream, "*", "m", message(number)])),
    consume: (stretch) => turnPages(stretch, lease),
    close: async () => plain.destroy(),
  };
}

export const redis: System = {
  name: "redis",
  title: "Redis Streams (AOF always)",
  method: {
    publish: "XADD auto-pipelined, sliding window",
    consume: "two loops of XREADGROUP 250 and XACK 250",
  },
  promise: { publish: "fsync per event-loop turn", consume: "fsync per event-loop turn" },
  consumeLatency: "delivery → reply to XACK",
  phases: ["publish", "consume"],
  window: 500,
  start: startRedis,
  connect: open,
};
