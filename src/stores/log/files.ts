/**
 * Open files, at most so many: a store of ten thousand partitions must not hold ten thousand descriptors. A
 * file is leased while it is used. What is not leased stays open until room is needed, the longest unused goes
 * first; when everything is leased, the next lease waits. So whoever holds a lease never waits for another.
 *
 * A file with unsynced writes is kept on lease: with its descriptor goes the only certain way to hear of a
 * failed write-back (Linux reports it once, to descriptors that are open).
 */
import type { Disk, DiskFile } from "./disk.ts";

export interface Lease {
  readonly path: string;
  readonly file: DiskFile;
  holders: number;
  /** Renamed over or removed: closed at the last release and never leased again. */
  stale: boolean;
}

export class OpenFiles {
  readonly #disk: Disk;
  readonly #limit: number;
  /** In the order of last use. */
  readonly #files = new Map<string, Lease>();
  readonly #opening = new Map<string, Promise<Lease>>();
  /** Open or opening, also stale ones. */
  #count = 0;
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(disk: Disk, limit: number) {
    this.#disk = disk;
    this.#limit = limit;
  }

  /** True when files in use leave no room for others. */
  get isCrowded(): boolean {
    return this.#waiting.length > 0;
  }

  async lease(path: string): Promise<Lease> {
    for (;;) {
      if (this.#closed) throw new Error("the log has been closed");
      const known = this.#files.get(path);
      if (known) {
        known.holders += 1;
        this.#files.delete(path);
        this.#files.set(path, known);
        return known;
      }
      const opening = this.#opening.get(path);
      if (opening) await opening;
      else if (this.#count < this.#limit || this.#evict()) return this.#open(path);
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #open(path: string): Promise<Lease> {
    this.#count += 1;
    const opening: Promise<Lease> = this.#disk.open(path, "existing").then((file) => {
      const lease = { path, file, holders: 1, stale: this.#opening.get(path) !== opening };
      if (!lease.stale) this.#files.set(path, lease);
      return lease;
    });
    this.#opening.set(path, opening);
    try {
      return await opening;
    } catch (error) {
      this.#leave();
      throw error;
    } finally {
      if (this.#opening.get(path) === opening) this.#opening.delete(path);
    }
  }

  release(lease: Lease): void {
    lease.holders -= 1;
    if (lease.holders > 0) return;
    if (lease.stale) this.#close(lease);
    else if (this.#waiting.length > 0) this.#evict();
  }

  /** Makes sure that the path is opened anew next time. Those who use the old file finish with it. */
  forget(path: string): void {
    this.#opening.delete(path);
    const lease = this.#files.get(path);
    if (!lease) return;
    this.#files.delete(path);
    lease.stale = true;
    if (lease.holders === 0) this.#close(lease);
  }

  /** Closes what nobody holds; the rest follows as it is released. */
  closeAll(): void {
    this.#closed = true;
    for (const path of [...this.#files.keys()]) this.forget(path);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Closes the file that has not been used for longest. False when all are in use. */
  #evict(): boolean {
    for (const lease of this.#files.values()) {
      if (lease.holders > 0) continue;
      this.#files.delete(lease.path);
      this.#close(lease);
      return true;
    }
    return false;
  }

  #close(lease: Lease): void {
    // All that matters has been synced by then, and a close that fails has let go of the descriptor.
    lease.file.close().catch(() => {});
    this.#leave();
  }

  #leave(): void {
    this.#count -= 1;
    this.#waiting.shift()?.();
  }
}
