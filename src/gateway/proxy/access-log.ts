/**
 * The access log: one line per request, put together byte by byte and written in batches, so that it costs a request
 * some microseconds and never waits for the disk. When the disk cannot keep up or is full, lines are dropped and
 * counted; the file is opened again with the next batch.
 */
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
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
  /** Host and port of the last one that was tried. */
  readonly backend: string;
  /** Of the last attempt that failed; empty when none did. */
  readonly problem: string;
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

/** What stands before each value. A quoted value brings its quotes, a plain one is put between them here. */
const NAME = {
  time: bytesOf('{"time":"'),
  id: bytesOf('Z","id":"'),
  trace: bytesOf('","trace":"'),
  client: bytesOf('","client":"'),
  subject: bytesOf('","subject":'),
  method: bytesOf('","method":"'),
  methodAfterQuoted: bytesOf(',"method":"'),
  host: bytesOf('","host":'),
  target: bytesOf(',"target":'),
  protocol: bytesOf(',"protocol":"HTTP/'),
  status: bytesOf('","status":'),
  flags: bytesOf(',"flags":"'),
  route: bytesOf('","route":'),
  variant: bytesOf(',"variant":'),
  backend: bytesOf(',"backend":'),
  attempts: bytesOf(',"attempts":'),
  problem: bytesOf(',"problem":'),
  requestBytes: bytesOf(',"requestBytes":'),
  responseBytes: bytesOf(',"responseBytes":'),
  ms: bytesOf(',"ms":'),
  connectMs: bytesOf(',"connectMs":'),
  firstByteMs: bytesOf(',"firstByteMs":'),
} as const;
const END = bytesOf("}\n");

export class AccessLog {
  dropped = 0;
  readonly #path: string;
  readonly #format: LogFormat;
  #stream: Writable;
  readonly #batch = new LineBuffer(CAPACITY);
  #lines = 0;
  #second = Number.NaN;
  /** With the point. */
  #secondText: Uint8Array = Buffer.alloc(0);

  constructor(path: string, format: LogFormat) {
    this.#path = path;
    this.#format = format;
    this.#stream = this.#open();
    if (path === "-") process.stdout.on("error", () => {});
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
    const lines = this.#lines;
    this.#lines = 0;
    if (this.#stream.destroyed) this.#stream = this.#open();
    if (this.#stream.writableLength > WAITING_MAX) this.dropped += lines;
    else {
      this.#stream.write(batch, (error) => {
        if (error) this.dropped += lines;
      });
    }
  }

  #open(): Writable {
    const path = this.#path;
    if (path === "-") return process.stdout;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    } catch {} // then it cannot be opened either
    const stream = createWriteStream(path, { flags: "a" });
    stream.on("error", () => {}); // the writes that failed are told so
    return stream;
  }

  close(): Promise<void> {
    this.flush();
    const stream = this.#stream;
    if (stream === process.stdout) return Promise.resolve();
    return new Promise((resolve) => stream.end(() => resolve()));
  }

  #json(line: LogLine): void {
    const batch = this.#batch;
    batch.bytes(NAME.time);
    this.#time(line.at);
    batch.bytes(NAME.id);
    batch.text(line.requestId);
    batch.bytes(NAME.trace);
    batch.text(line.traceId);
    batch.bytes(NAME.client);
    batch.text(line.client);
    if (line.subject !== "") {
      batch.bytes(NAME.subject);
      batch.quoted(line.subject);
      batch.bytes(NAME.methodAfterQuoted);
    } else batch.bytes(NAME.method);
    batch.text(line.method);
    batch.bytes(NAME.host);
    batch.quoted(line.host);
    batch.bytes(NAME.target);
    batch.quoted(line.target);
    batch.bytes(NAME.protocol);
    batch.text(line.protocol);
    batch.bytes(NAME.status);
    batch.integer(line.status);
    batch.bytes(NAME.flags);
    if (line.flags.length > 0) batch.text(line.flags.join(","));
    batch.bytes(NAME.route);
    batch.quoted(line.route);
    batch.bytes(NAME.variant);
    batch.quoted(line.variant);
    batch.bytes(NAME.backend);
    batch.quoted(line.backend);
    batch.bytes(NAME.attempts);
    batch.integer(line.attempts);
    if (line.problem !== "") {
      batch.bytes(NAME.problem);
      batch.quoted(line.problem);
    }
    batch.bytes(NAME.requestBytes);
    batch.integer(line.requestBytes);
    batch.bytes(NAME.responseBytes);
    batch.integer(line.responseBytes);
    batch.bytes(NAME.ms);
    batch.thousandths(line.totalMs);
    batch.bytes(NAME.connectMs);
    batch.thousandths(line.connectMs);
    batch.bytes(NAME.firstByteMs);
    batch.thousandths(line.firstByteMs);
    batch.bytes(END);
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

  /** The text of a second is made once. */
  #time(ms: number): void {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = Buffer.from(new Date(second * 1000).toISOString().slice(0, -4), "latin1");
    }
    this.#batch.bytes(this.#secondText);
    this.#batch.threeDigits(Math.floor(ms) - second * 1000);
  }
}

const clean = (text: string) => text.replace(/[^ !#-[\]-~]/g, "?");

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
