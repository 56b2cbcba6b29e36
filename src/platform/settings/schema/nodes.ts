/** A node among others. */
import { integer, text, url } from "../kind.ts";
import { GiB, MiB, setting } from "../setting.ts";

export const nodesSettings = {
  "nodes.name": setting(
    text("1 to 64 letters, digits, dots, dashes and underscores", (value) => /^[\w.-]{1,64}$/.test(value)),
    { meaning: "What people call this node; by default the name of its machine and its port." },
  ),
  "nodes.address": setting(url(["http"]), {
    meaning:
      "Where other nodes reach this one, such as http://10.0.0.7:7070. By default http.host and http.port, or the name of the machine when it listens on every address.",
  }),
  "nodes.leaseMs": setting(integer(1_000, 60_000, "milliseconds"), {
    meaning: "A node that has been silent for this long is dead, and others serve its topics.",
    default: 3_000,
  }),
  "nodes.lingerMs": setting(integer(0, 120_000, "milliseconds"), {
    meaning:
      "A stopping node passes requests on for this long after it has handed its topics over, so that load balancers notice.",
    default: 2_000,
  }),
  "nodes.queueDepthMax": setting(integer(1, 1_000_000_000), {
    meaning: "A node that serves more waiting messages than this is reported as unhealthy.",
    default: 1_000_000,
  }),
  "nodes.memoryBytesMax": setting(integer(64 * MiB, 1024 * GiB, "bytes"), {
    meaning: "A node that uses more memory than this is reported as unhealthy.",
    default: 4 * GiB,
  }),
  "nodes.eventLoopDelayMaxMs": setting(integer(10, 60_000, "milliseconds"), {
    meaning: "A node whose event loop is later than this (99th percentile) is reported as unhealthy.",
    default: 500,
  }),
};
