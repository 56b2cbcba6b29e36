/**
 * RabbitMQ with a quorum queue of one node: a publish is confirmed once its batch in the write-ahead log is
 * written and flushed. The broker's port mapper (epmd) is started here too, on loopback and an own port, since
 * RabbitMQ would otherwise start a lasting one on all interfaces.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "amqplib";
import { freePort, needProgram, startChild } from "./child.ts";
import { message, messageNumber } from "./message.ts";
import { type Client, type Endpoint, type Running, type Stretch, type System, slide } from "./system.ts";

const queue = "bench";
/**
 * Deliveries are acknowledged in groups of this many by one frame (`multiple`), half a window:
 * measured twice as fast as one frame per delivery.
 */
const ackEvery = 250;

async function start(folder: string, cpus: string | undefined): Promise<Running> {
  const broker = needProgram("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server");
  const [port, mapperPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const mapper = await startMapper(mkdir(folder, "epmd"), mapperPort);
  writeFileSync(join(folder, "enabled_plugins"), "[].\n");
  writeFileSync(join(folder, "rabbitmq.conf"), `listeners.tcp.1 = 127.0.0.1:${port}\nlog.console = true\n`);
  const env = {
    HOME: folder, // the Erlang cookie is made there
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: String(mapperPort),
    RABBITMQ_NODENAME: "bench@localhost",
    RABBITMQ_DIST_PORT: String(peerPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "rabbitmq-env.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_MNESIA_BASE: mkdir(folder, "mnesia"),
    RABBITMQ_LOG_BASE: mkdir(folder, "log"),
    RABBITMQ_PID_FILE: join(folder, "rabbitmq.pid"),
  };
  try {
    let version = "unknown";
    const child = await startChild(
      { file: broker, args: [], folder, env, cpus, readyWithinMs: 90_000 },
      (line) => {
        version = /Starting RabbitMQ (\S+)/.exec(line)?.[1] ?? version;
        return line.includes("completed with");
      },
    );
    const stop = async () => {
      await child.stop();
      await mapper.stop();
    };
    return { pid: child.pid, version, endpoint: { url: `amqp://127.0.0.1:${port}` }, stop };
  } catch (error) {
    await mapper.stop();
    throw error;
  }
}

/** epmd says nothing when it is ready but for its debug output. */
function startMapper(folder: string, port: number) {
  const args = ["-d", "-address", "127.0.0.1", "-port", String(port)];
  return startChild({ file: needProgram("epmd"), args, folder, cpus: undefined }, (line) =>
    line.includes("epmd running"),
  );
}

function mkdir(folder: string, name: string): string {
  mkdirSync(join(folder, name));
  return join(folder, name);
}

async function open(endpoint: Endpoint): Promise<Client> {
  const connection = await connect(endpoint.url!, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });

  function publish(number: number): Promise<void> {
    return new Promise((resolve, reject) => {
      channel.sendToQueue(queue, message(number), { persistent: true }, (error: unknown) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /**
   * Acknowledgements have no answer in AMQP. But with a prefetch of `window`, delivery k + window leaves the
   * broker only after the acknowledgement that covers delivery k has been applied: its arrival is the proof.
   */
  async function consume({ count, window, latency, ledger, expired }: Stretch): Promise<void> {
    await channel.prefetch(window);
    const deliveredAt = new Float64Array(count);
    let taken = 0;
    let tag = "";
    await new Promise<void>((resolve, reject) => {
      channel
        .consume(queue, (delivery) => {
          if (delivery === null) return reject(new Error("the broker cancelled the consumer"));
          if (taken >= count) return;
          const now = performance.now();
          ledger.mark(messageNumber(delivery.content));
          if (taken >= window) latency.record(now - deliveredAt[taken - window]!);
          deliveredAt[taken++] = now;
          const last = taken === count || expired();
          if (taken % ackEvery === 0 || last) channel.ack(delivery, true);
          if (last) resolve();
        })
        .then((reply) => {
          tag = reply.consumerTag;
        }, reject);
    });
    await channel.cancel(tag); // answered in order on the channel: the last acknowledgement has arrived
  }

  return {
    publish: (stretch) => slide(stretch, publish),
    consume,
    close: () => connection.close(),
  };
}

export const rabbitmq: System = {
  name: "rabbitmq",
  title: "RabbitMQ quorum queue",
  method: {
    publish: "confirm channel, sliding window",
    consume: `prefetch 500, ack multiple per ${ackEvery}`,
  },
  promise: { publish: "quorum of one has flushed", consume: "no answer; flushed with the log" },
  consumeLatency: "delivery → arrival of the delivery that its ack made room for",
  phases: ["publish", "consume"],
  window: 500,
  start,
  connect: open,
};
