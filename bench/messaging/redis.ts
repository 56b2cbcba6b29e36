/**
 * Redis Streams with `appendfsync always`: the replies of one turn of the event loop are sent after one fsync of
 * the append-only file. Its periodic rewriting is off, so that no fork disturbs the measurement.
 */
import { createClient, RESP_TYPES } from "redis";
import { freePort, needProgram, startChild, versionOf } from "./child.ts";
import { message, messageNumber } from "./message.ts";
import { type Client, type Endpoint, type Running, type Stretch, type System, slide } from "./system.ts";

const stream = "bench";
const group = "workers";

async function start(folder: string, cpus: string | undefined): Promise<Running> {
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

  /** One window is fetched while the one before it is acknowledged. */
  async function consume({ count, window, latency, ledger, expired }: Stretch): Promise<void> {
    let taken = 0;
    let acknowledging: Promise<void> = Promise.resolve();
    while (taken < count && !expired()) {
      const wanted = Math.min(window, count - taken);
      const reply = await client.sendCommand<[Buffer, Entry[]][] | null>([
        "XREADGROUP",
        "GROUP",
        group,
        "worker",
        "COUNT",
        String(wanted),
        "STREAMS",
        stream,
        ">",
      ]);
      const entries = reply?.[0]?.[1] ?? [];
      if (entries.length === 0) break;
      const deliveredAt = performance.now();
      for (const [, fields] of entries) ledger.mark(messageNumber(fields[1]!));
      taken += entries.length;
      await acknowledging;
      acknowledging = client.sendCommand(["XACK", stream, group, ...entries.map(([id]) => id)]).then(() => {
        const took = performance.now() - deliveredAt;
        for (let index = 0; index < entries.length; index++) latency.record(took);
      });
    }
    await acknowledging;
  }

  return {
    publish: (stretch) =>
      slide(stretch, (number) => client.sendCommand(["XADD", stream, "*", "m", message(number)])),
    consume,
    close: async () => plain.destroy(),
  };
}

export const redis: System = {
  name: "redis",
  title: "Redis Streams (AOF always)",
  method: {
    publish: "XADD auto-pipelined, sliding window",
    consume: "XREADGROUP 500 and XACK 500, overlapped",
  },
  promise: { publish: "fsync per event-loop turn", consume: "fsync per event-loop turn" },
  consumeLatency: "delivery → reply to XACK",
  phases: ["publish", "consume"],
  window: 500,
  start,
  connect: open,
};
