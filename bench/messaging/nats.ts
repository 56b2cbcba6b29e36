/**
 * NATS JetStream with a file store, one replica. Two variants: as it comes (an acknowledged message is in the
 * operating system's page cache and is flushed within two minutes) and with `sync_interval: always`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AckPolicy, jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { needProgram, startChild, versionOf } from "./child.ts";
import { message, messageNumber } from "./message.ts";
import { type Client, type Endpoint, type Running, type Stretch, type System, slide } from "./system.ts";

const stream = "bench";
const subject = "bench.messages";
const consumer = "worker";
/** Every so many acknowledgements one asks for the server's answer; its round trip is the latency recorded. */
const sampleEvery = 100;

/** A newer server built from source (see install.ts) is preferred to the system's. */
export const builtNatsServer = fileURLToPath(new URL("../../.cache/bench/bin/nats-server", import.meta.url));

async function start(folder: string, cpus: string | undefined, sync: "2m" | "always"): Promise<Running> {
  const file = needProgram(builtNatsServer, "nats-server");
  const config = join(folder, "nats.conf");
  writeFileSync(
    config,
    [
      "listen: 127.0.0.1:-1",
      `jetstream { store_dir: "${join(folder, "store")}", sync_interval: ${sync} }`,
    ].join("\n"),
  );
  const version = versionOf(file, "--version");
  let address = "";
  const child = await startChild({ file, args: ["--config", config], folder, cpus }, (line) => {
    address = /Listening for client connections on (\S+)/.exec(line)?.[1] ?? address;
    return line.includes("Server is ready");
  });
  return { pid: child.pid, version, endpoint: { address }, stop: child.stop };
}

async function open(endpoint: Endpoint): Promise<Client> {
  const connection = await connect({ servers: endpoint.address! });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name: stream,
    subjects: [subject],
    storage: StorageType.File,
    num_replicas: 1,
  });
  await manager.consumers.add(stream, { durable_name: consumer, ack_policy: AckPolicy.Explicit });
  const client = jetstream(connection);

  async function consume({ count, window, latency, ledger, expired }: Stretch): Promise<void> {
    const source = await client.consumers.get(stream, consumer);
    const messages = await source.consume({ max_messages: window });
    const sampled: Promise<unknown>[] = [];
    let taken = 0;
    for await (const delivery of messages) {
      ledger.mark(messageNumber(delivery.data));
      taken += 1;
      const last = taken === count || expired();
      if (taken % sampleEvery === 0 || last) {
        const deliveredAt = performance.now();
        // The server handles one connection's frames in order: its answer covers all acknowledgements before.
        sampled.push(delivery.ackAck().then(() => latency.record(performance.now() - deliveredAt)));
      } else delivery.ack();
      if (last) break;
    }
    await Promise.all(sampled);
    await messages.close();
  }

  return {
    publish: (stretch) => slide(stretch, (number) => client.publish(subject, message(number))),
    consume,
    close: () => connection.close(),
  };
}

const common = {
  method: {
    publish: "js.publish, sliding window",
    consume: "pull consumer, explicit ack per message",
  },
  consumeLatency: `delivery → the server's answer to the ack (1 in ${sampleEvery} asks for one)`,
  phases: ["publish", "consume"],
  window: 500,
  connect: open,
} as const;

export const nats: System = {
  ...common,
  name: "nats",
  title: "NATS JetStream (file)",
  promise: { publish: "page cache, fsync every 2 min", consume: "in memory, written soon after" },
  start: (folder, cpus) => start(folder, cpus, "2m"),
};

export const natsAlways: System = {
  ...common,
  name: "nats-always",
  title: "NATS JetStream (file, sync always)",
  promise: { publish: "fsync per message", consume: "in memory, written soon after" },
  start: (folder, cpus) => start(folder, cpus, "always"),
};
