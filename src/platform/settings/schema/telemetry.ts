/** What is told of the running server. */
import { boolean, choice, integer, ratio, text, url } from "../kind.ts";
import { setting } from "../setting.ts";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

export const telemetrySettings = {
  "telemetry.logLevel": setting(choice(logLevels), {
    meaning: "The least important log lines that are written. `debug` has a line for each request.",
    default: "info",
    flag: "log-level",
  }),
  "telemetry.otlpEndpoint": setting(url(["http", "https"]), {
    meaning:
      "Where traces go, by OTLP over HTTP, such as http://localhost:4318. Without it no trace is recorded.",
  }),
  "telemetry.otlpHeaders": setting(
    text("name=value, separated by commas", (value) =>
      /^[\w-]+=[^,=]+(=*)(,[\w-]+=[^,=]+(=*))*$/.test(value),
    ),
    { meaning: "Header fields for the receiver of traces, such as its API key.", secret: true },
  ),
  "telemetry.sampleRatio": setting(ratio(), {
    meaning: "The share of traces that is recorded. A caller's own decision (traceparent) goes first.",
    default: 1,
  }),

  "metrics.public": setting(boolean(), {
    meaning: "Lets /metrics be read without a token. It names topics of all tenants.",
    default: false,
  }),
  "metrics.seriesMax": setting(integer(10, 1_000_000), {
    meaning: "Label sets per metric; what comes after them is counted together as `_other`.",
    default: 2_000,
  }),
};
