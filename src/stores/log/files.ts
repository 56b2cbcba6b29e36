/**
 * Open files, at most so many: a store of ten thousand partitions must not hold ten thousand descriptors. A
 * file is leased while it is used; what is not leased is closed when room is needed, oldest first. Leased
 * files are never closed, so a file with unsynced writes keeps its descriptor, and with it the only certain
 * way to hear of a failed write-back (Linux reports it once, to descriptors that are open).
 */
import type { Disk, DiskFile } from "./disk.ts";

export interface Lease {
  readonly path: string;
  readonly file: DiskFile;
  leases: number;
  /** Renamed over, removed or failed: closed at the last release and never leased again. */
  stale: boolean;
}

export class OpenFiles {
  readonly #disk: Disk;
  readonly #limit: number;
  /** In the order of last use. */
  readonly #files = new Map<string, Lease>();
  readonly #opening = new Map<string, Promise<Lease>>();

  #closed = false;

  constructor(disk: Disk, limit: number) {
    this.#disk = disk;
    this.#limit = limit;
  }

  get size(): number {
    return this.#files.size;
  }

  async lease(path: string): Promise<Lease> {
    if (this.#closed) throw new Error("the log has been closed");
    for (;;) {
      const known = this.#files.get(path);
      if (known) {
        known.leases += 1;
        this.#files.delete(path);
        this.#files.set(path, known);
        return known;
      }
      const opening = this.#opening.get(path);
      if (!opening) break;
      await opening;
    }
    const opening: Promise<Lease> = this.#disk.open(path, "existing").then((file) => {
      const lease = { path, file, leases: 1, stale: this.#opening.get(path) !== opening };
      if (!lease.stale) this.#files.set(path, lease);
      return lease;
    });
    this.#opening.set(path, opening);
    try {
      return await opening;
    } finally {
      if (this.#opening.get(path) === opening) this.#opening.delete(path);
      this.#evict();
    }
  }

  release(lease: Lease): void {
    lease.leases -= 1;
    if (lease.leases > 0) return;
    if (lease.stale) void this.#close(lease);
    else if (this.#files.size > this.#limit) this.#evict();
  }

  /** Makes sure that the path is opened anew next time. Those who read the old file finish with it. */
  forget(path: string): void {
    this.#opening.delete(path);
    const lease = this.#files.get(path);
    if (!lease) return;
    this.#files.delete(path);
    lease.stale = true;
    if (lease.leases === 0) void this.#close(lease);
  }

  async closeAll(): Promise<void> {
    this.#closed = true;
    const all = [...this.#files.values()];
    this.#files.clear();
    for (const lease of all) lease.stale = true;
    await Promise.all(all.filter((lease) => lease.leases === 0).map((lease) => this.#close(lease)));
  }

  #evict(): void {
    if (this.#files.size <= this.#limit) return;
    for (const [path, lease] of this.#files) {
      if (lease.leases > 0) continue;
      this.#files.delete(path);
      void this.#close(lease);
      if (this.#files.size <= this.#limit) return;
    }
  }

  async #close(lease: Lease): Promise<void> {
    // Everything that matters has been synced by then; a close that fails has released the descriptor.
    await lease.file.close().catch(() => {});
  }
}
