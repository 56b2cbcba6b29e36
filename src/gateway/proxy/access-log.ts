/**
 * The access log: one line per request, put together byte by byte and written in batches, so that it costs a request a
 * microsecond and never waits for the disk. When the disk cannot keep up, lines are dropped and counted.
 */
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { LineBuffer } from "./line-buffer.ts";
import type { ResponseFlag } from "./records.ts";

export interface LogLine {
  readonly at: number;
  readonly client: string;
  /** Who it was by its token or key; empty when nobody asked. */
  readonly subject: string;
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
/** A line that begins below BATCH ends below this, but for the longest. */
const CAPACITY = BATCH + 4096;
const WAITING_MAX = 16 * 1024 * 1024;

export class AccessLog {
  dropped = 0;
  readonly #format: LogFormat;
  readonly #stream: Writable;
  readonly #batch = new LineBuffer(CAPACITY);
  #lines = 0;
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
    if (this.#format === "json") this.#json(line);
    else this.#batch.text(this.#common(line));
    this.#lines++;
    if (this.#batch.length >= BATCH) this.flush();
  }

  flush(): void {
    if (this.#lines === 0) return;
    const batch = this.#batch.take();
    if (this.#stream.writableLength > WAITING_MAX) this.dropped += this.#lines;
    else this.#stream.write(batch);
    this.#lines = 0;
  }

  close(): Promise<void> {
    this.flush();
    const stream = this.#stream;
    if (stream === process.stdout) return Promise.resolve();
    return new Promise((resolve) => stream.end(() => resolve()));
  }

  #json(line: LogLine): void {
    const batch = this.#batch;
    batch.text('{"time":"');
    batch.text(this.#time(line.at));
    batch.text('","id":"');
    batch.text(line.requestId);
    batch.text('","trace":"');
    batch.text(line.traceId);
    batch.text('","client":"');
    batch.text(line.client);
    if (line.subject !== "") {
      batch.text('","subject":');
      batch.quoted(line.subject);
      batch.text(',"method":"');
    } else batch.text('","method":"');
    batch.text(line.method);
    batch.text('","host":');
    batch.quoted(line.host);
    batch.text(',"target":');
    batch.quoted(line.target);
    batch.text(',"protocol":"HTTP/');
    batch.text(line.protocol);
    batch.text('","status":');
    batch.integer(line.status);
    batch.text(',"flags":"');
    if (line.flags.length > 0) batch.text(line.flags.join(","));
    batch.text('","route":');
    batch.quoted(line.route);
    batch.text(',"variant":');
    batch.quoted(line.variant);
    batch.text(',"backend":');
    batch.quoted(line.backend);
    batch.text(',"attempts":');
    batch.integer(line.attempts);
    batch.text(',"requestBytes":');
    batch.integer(line.requestBytes);
    batch.text(',"responseBytes":');
    batch.integer(line.responseBytes);
    batch.text(',"ms":');
    batch.thousandths(line.totalMs);
    batch.text(',"connectMs":');
    batch.thousandths(line.connectMs);
    batch.text(',"firstByteMs":');
    batch.thousandths(line.firstByteMs);
    batch.text("}\n");
  }

  #common(line: LogLine): string {
    const moment = new Date(line.at)
      .toUTCString()
      .replace(/^\w+, (\d+) (\w+) (\d+) (\S+) GMT$/, "$1/$2/$3:$4 +0000");
    const request = clean(`${line.method} ${line.target} HTTP/${line.protocol}`);
    const user = line.subject === "" ? "-" : clean(line.subject).replaceAll(" ", "_");
    const common = `${line.client} - ${user} [${moment}] "${request}" ${line.status} ${line.responseBytes}`;
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

const clean = (text: string) => text.replace(/[^ !#-[\]-~]/g, "?");
