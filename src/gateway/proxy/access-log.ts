/**
 * The access log: one line per request, put together as text and written in batches, so that it costs a request a
 * microsecond and never waits for the disk. When the disk cannot keep up, lines are dropped and counted.
 */
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import type { ResponseFlag } from "./snapshot.ts";

export interface LogLine {
  readonly at: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly protocol: string;
  readonly status: number;
  readonly flags: readonly ResponseFlag[];
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly totalMs: number;
  /** -1 when there was no attempt, or the connection was there already. */
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly route: string;
  readonly variant: string;
  readonly backend: string;
  readonly attempts: number;
  readonly requestId: string;
  readonly traceId: string;
  readonly referer: string;
  readonly userAgent: string;
}

export type LogFormat = "json" | "common" | "combined";

const BATCH = 65_536;
const WAITING_MAX = 16 * 1024 * 1024;

export class AccessLog {
  dropped = 0;
  readonly #format: LogFormat;
  readonly #stream: Writable;
  #batch = "";
  #atMs = 0;
  #atText = "";

  constructor(path: string, format: LogFormat) {
    this.#format = format;
    this.#stream = path === "-" ? process.stdout : createWriteStream(path, { flags: "a" });
    this.#stream.on("error", () => {
      this.dropped += 1;
    });
  }

  get wantsHeaders(): boolean {
    return this.#format === "combined";
  }

  write(line: LogLine): void {
    this.#batch += this.#format === "json" ? this.#json(line) : this.#common(line);
    if (this.#batch.length >= BATCH) this.flush();
  }

  flush(): void {
    if (this.#batch === "") return;
    if (this.#stream.writableLength > WAITING_MAX) this.dropped += this.#batch.split("\n").length - 1;
    else this.#stream.write(this.#batch, "latin1");
    this.#batch = "";
  }

  close(): Promise<void> {
    this.flush();
    const stream = this.#stream;
    if (stream === process.stdout) return Promise.resolve();
    return new Promise((resolve) => stream.end(() => resolve()));
  }

  // By hand: JSON.stringify of such an object is the dearest thing that a request would do.
  #json(line: LogLine): string {
    return (
      `{"time":"${this.#time(line.at)}","id":"${line.requestId}","trace":"${line.traceId}","client":"${line.client}",` +
      `"method":"${line.method}","host":${quoted(line.host)},"target":${quoted(line.target)},` +
      `"protocol":"HTTP/${line.protocol}","status":${line.status},"flags":"${line.flags.join(",")}",` +
      `"route":${quoted(line.route)},"variant":${quoted(line.variant)},"backend":${quoted(line.backend)},` +
      `"attempts":${line.attempts},"requestBytes":${line.requestBytes},"responseBytes":${line.responseBytes},` +
      `"ms":${rounded(line.totalMs)},"connectMs":${rounded(line.connectMs)},` +
      `"firstByteMs":${rounded(line.firstByteMs)}}\n`
    );
  }

  #common(line: LogLine): string {
    const moment = new Date(line.at)
      .toUTCString()
      .replace(/^\w+, (\d+) (\w+) (\d+) (\S+) GMT$/, "$1/$2/$3:$4 +0000");
    const request = clean(`${line.method} ${line.target} HTTP/${line.protocol}`);
    const common = `${line.client} - - [${moment}] "${request}" ${line.status} ${line.responseBytes}`;
    if (this.#format === "common") return `${common}\n`;
    return `${common} "${clean(line.referer)}" "${clean(line.userAgent)}"\n`;
  }

  #time(ms: number): string {
    const whole = Math.floor(ms);
    if (whole !== this.#atMs) {
      this.#atMs = whole;
      this.#atText = new Date(whole).toISOString();
    }
    return this.#atText;
  }
}

const rounded = (ms: number) => Math.round(ms * 1000) / 1000;
const PLAIN = /^[ !#-[\]-~]*$/;
const quoted = (text: string) => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
const clean = (text: string) => text.replace(/[^ !#-[\]-~]/g, "?");
