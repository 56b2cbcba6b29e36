/** One line on a terminal's stderr that says how far a command is; nothing where there is no terminal. */
import { stripVTControlCharacters, styleText } from "node:util";
import { systemClock } from "../core/clock.ts";
import { byteText, grouped } from "./print.ts";

export interface Amount {
  count: number;
  bytes: number;
}

const intervalMs = 100;
const barWidth = 24;

export class Progress {
  readonly #label: string;
  readonly #totalBytes: number | undefined;
  readonly #read: () => Amount;
  readonly #started = systemClock.monotonic();
  #cancel: (() => void) | undefined;
  #shown = false;

  /** `read` is asked ten times a second. With `totalBytes` the line has a bar. */
  constructor(label: string, read: () => Amount, totalBytes?: number) {
    this.#label = label;
    this.#read = read;
    this.#totalBytes = totalBytes;
    if (process.stderr.isTTY) this.#next();
  }

  /** Writes a line of its own above the progress. */
  say(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
  }

  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#clear();
  }

  #next(): void {
    const timer = systemClock.after(intervalMs, () => {
      this.#draw();
      this.#next();
    });
    this.#cancel = () => timer.cancel();
  }

  #draw(): void {
    const { count, bytes } = this.#read();
    const seconds = (systemClock.monotonic() - this.#started) / 1000;
    const share = this.#totalBytes ? Math.min(1, bytes / this.#totalBytes) : undefined;
    const parts = [
      this.#label,
      ...(share === undefined ? [] : [bar(share)]),
      `${grouped(count)} messages`,
      `${grouped(Math.round(count / seconds))}/s`,
      byteText(bytes),
    ];
    process.stderr.write(`\r\x1b[K${fitting(parts.join("  "), process.stderr.columns ?? 80)}`);
    this.#shown = true;
  }

  #clear(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}

/** A line that wraps could not be drawn over; without its colours it can be cut anywhere. */
function fitting(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length < columns ? line : plain.slice(0, columns - 1);
}

function bar(share: number): string {
  const done = Math.round(share * barWidth);
  const paint = (colour: "green" | "dim", length: number) =>
    styleText(colour, "━".repeat(length), { stream: process.stderr });
  const drawn = paint("green", done) + paint("dim", barWidth - done);
  return `${drawn} ${Math.floor(share * 100)}%`;
}
