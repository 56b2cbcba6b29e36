/**
 * The last snapshot on disk, for a start while SQL is away. It is written a moment after a change, atomically, and by
 * one at a time. Private keys are not in it: those of the listener stay in the one folder that they are in, and those
 * that are shown to backends are secrets. A node that starts without SQL does without the latter until SQL is back.
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Timer } from "../core/clock.ts";
import { isFileError, replaceFile } from "../stores/files.ts";
import type { Backend } from "./proxy/snapshot.backend.ts";
import type { Snapshot } from "./proxy/snapshot.ts";

interface Stored {
  format: 1;
  /** Wall time in milliseconds. */
  at: number;
  snapshot: Snapshot;
}

const delayMs = 500;
/** Of the time of this thread, a set that changes all the time takes no more than a part in so many for its file. */
const share = 20;

export class SnapshotFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #latest: (() => Snapshot) | undefined;
  #tookMs = 0;

  constructor(path: string, clock: Clock, onError: (error: unknown) => void) {
    this.#path = path;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Undefined when there is none that can be used. */
  async read(): Promise<Stored | undefined> {
    try {
      const stored = JSON.parse(await readFile(this.#path, "utf8")) as Stored;
      return stored.format === 1 && Array.isArray(stored.snapshot.routes) ? stored : undefined;
    } catch (error) {
      if (!isFileError(error, "ENOENT")) this.#onError(error);
      return undefined;
    }
  }

  /** Soon; what comes until then is written with it. */
  write(snapshot: () => Snapshot): void {
    this.#latest = snapshot;
    this.#timer ??= this.#clock.after(Math.max(delayMs, share * this.#tookMs), () => void this.flush());
  }

  /** Writes what waits. Never rejects. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeLatest()).catch(this.#onError);
    return this.#writing;
  }

  async #writeLatest(): Promise<void> {
    const snapshot = this.#latest?.();
    this.#latest = undefined;
    if (!snapshot) return;
    const start = this.#clock.monotonic();
    const { certificates, backends, ...rest } = snapshot;
    const kept = { ...rest, backends: backends.map(withoutKey) };
    const stored: Stored = { format: 1, at: this.#clock.now(), snapshot: kept };
    const text = JSON.stringify(stored);
    this.#tookMs = this.#clock.monotonic() - start;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await replaceFile(this.#path, text, 0o600);
  }
}

function withoutKey(backend: Backend): Backend {
  if (backend.tls?.key === undefined) return backend;
  const { cert, key, ...tls } = backend.tls;
  return { ...backend, tls };
}
