/** What belongs to the server as a whole. */
import { folder, integer, origins, text } from "../kind.ts";
import { KiB, MiB, setting } from "../setting.ts";

export const serverSettings = {
  "data.folder": setting(folder(), {
    meaning:
      "Where everything embedded lives: database, message log, blobs, secrets. One process at a time uses it.",
    default: ".hotswap",
    variable: "HOTSWAP_DATA",
    flag: "data",
  }),

  "http.host": setting(
    text("a host name or an IP address", (value) => /^[\w.:-]{1,253}$/.test(value)),
    {
      meaning:
        "The address that the API and the console listen on. 0.0.0.0 or :: is every address of the machine.",
      default: "127.0.0.1",
      flag: "host",
    },
  ),
  "http.port": setting(integer(0, 65_535), {
    meaning: "The port of the API and the console. 0 takes any free port.",
    default: 7070,
    flag: "port",
  }),
  "http.requestTimeoutMs": setting(integer(1_000, 86_400_000, "milliseconds"), {
    meaning: "A request must have arrived whole within this time, a streamed body included.",
    default: 300_000,
  }),
  "http.headersTimeoutMs": setting(integer(1_000, 600_000, "milliseconds"), {
    meaning: "The head of a request must have arrived within this time.",
    default: 15_000,
    atMost: "http.requestTimeoutMs",
  }),
  "http.bodyLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest body of a request, except where an endpoint streams or states its own limit.",
    default: MiB,
  }),
  "http.lineLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest line of a streamed application/x-ndjson body.",
    default: 2 * MiB,
  }),
  "http.jsonDepthLimit": setting(integer(1, 1_000), {
    meaning: "How deeply objects and arrays of a JSON body may be nested.",
    default: 64,
  }),
  "http.corsOrigins": setting(origins(), {
    meaning:
      "Web pages from other origins that may call the API, such as a console served elsewhere. None by default.",
    default: [],
  }),

  "limits.requestsPerSecond": setting(integer(0, 1_000_000), {
    meaning: "How many API requests per second each principal may make in the long run. 0 sets no limit.",
    default: 0,
  }),
  "limits.requestsBurst": setting(integer(1, 1_000_000), {
    meaning: "How many API requests a principal may make at once before the rate counts.",
    default: 1_000,
  }),
};

export const shutdownSettings = {
  "shutdown.drainTimeoutMs": setting(integer(0, 600_000, "milliseconds"), {
    meaning: "How long a stopping server waits for requests that are still running.",
    default: 10_000,
  }),
};
