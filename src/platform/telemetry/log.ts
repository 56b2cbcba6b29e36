/**
 * The log: one JSON object per line on stderr, or one readable line when stderr is a terminal. Standard
 * output belongs to the commands. Each line carries the ids of the active trace; secrets are masked
 * (redact.ts).
 *
 * Lines are written at once and not buffered, so that the last words of a dying process are there to be read.
 */
import { styleText } from "node:util";
import { type Logger, pino, stdTimeFunctions } from "pino";
import { redactFields, redactText } from "./redact.ts";
import { activeTrace } from "./trace-context.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** As of pino: `log.info({ url }, "listening")`. An error goes in as `{ err }`. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error" | "isLevelEnabled"> & {
  /** A log whose lines all carry these fields. */
  child(fields: Record<string, unknown>): Log;
};

export interface LogOptions {
  level?: LogLevel;
  /** Default: stderr. */
  write?: (line: string) => void;
  /** Default: when stderr is a terminal. */
  readable?: boolean;
}

export function createLog(options: LogOptions = {}): Log {
  const { write, readable = !write && process.stderr.isTTY === true } = options;
  const out = write ?? ((line: string) => void process.stderr.write(line));
  const stream = readable ? { write: (line: string) => out(readableLine(line)) } : { write: out };
  const log = pino(
    {
      level: options.level ?? "info",
      base: null,
      messageKey: "message",
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }), log: redactFields },
      serializers: { err: (described) => described }, // redactFields has made plain data of it
      mixin: traceFields,
      hooks: { streamWrite: redactText },
    },
    stream,
  );
  // pino's formatters do not see the fields of a child. Children inherit, so this holds for theirs as well.
  const { child } = log;
  const makeChild = function (this: Logger, fields: Record<string, unknown>) {
    return child.call(this, redactFields(fields));
  };
  return Object.assign(log, { child: makeChild as Log["child"] });
}

/** Names as OpenTelemetry gives them for logs that are not OTLP. */
function traceFields(): object {
  const trace = activeTrace();
  return trace ? { trace_id: trace.traceId, span_id: trace.spanId } : {};
}

const colours = { debug: "dim", info: "cyan", warn: "yellow", error: "red" } as const;

/** `12:03:04.123 info  listening  url=http://127.0.0.1:7070`, an error's stack below it. */
export function readableLine(json: string): string {
  const { level, time, message = "", err, trace_id, span_id, ...fields } = JSON.parse(json);
  const label = styleText(colours[level as keyof typeof colours] ?? "reset", String(level).padEnd(5));
  const rest = Object.entries(fields).map(([name, value]) => styleText("dim", `${name}=`) + oneLine(value));
  const line = [`${String(time).slice(11, 23)} ${label} ${oneLine(message)}`, ...rest].join("  ");
  return `${line}\n${errorLines(err)}`;
}

function errorLines(error: { stack?: string; message?: string; cause?: object } | undefined): string {
  if (!error) return "";
  const lines = String(error.stack ?? error.message ?? JSON.stringify(error)).split("\n");
  const own = lines.map((line) => `    ${escapeControls(line)}\n`).join("");
  return own + (error.cause ? `    caused by\n${errorLines(error.cause)}` : "");
}

// What a caller sends can reach a message; on a terminal it must not become a control sequence or a line.
function oneLine(value: unknown): string {
  return escapeControls(typeof value === "string" ? value : JSON.stringify(value));
}

function escapeControls(text: string): string {
  return text.replaceAll(
    /\p{Cc}/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
