/**
 * A disk for simulations, in memory and driven by a seed. It keeps apart what a program sees (the page cache)
 * and what is on the medium, and knows of every change that has not been synced. An operation completes, or
 * fails, when `step` picks it.
 *
 * - `crash` is a power failure (disk.medium.ts says what it leaves).
 * - `kill` is the death of the process: the page cache stays, what was in flight happened in part or not at all.
 * - A failed sync drops the changes: the kernel calls the pages clean, so that a later sync says yes without
 *   writing them (as Linux does). The cache shows the new content still, or the old one again.
 */
import type { Random } from "../../core/random.ts";
import {
  type Change,
  crashFolder,
  FileNode,
  FolderNode,
  flushFolder,
  type Node,
  name,
  sectorBytes,
  sectors,
} from "./disk.medium.ts";
import type { Disk, DiskFile } from "./disk.ts";

/** Probabilities of failure, per operation. */
export interface DiskFaults {
  write: number;
  sync: number;
  read: number;
  truncate: number;
  /** open, list, remove, rename, makeFolder, syncFolder */
  names: number;
}

export const noFaults: DiskFaults = { write: 0, sync: 0, read: 0, truncate: 0, names: 0 };

interface Operation {
  run: () => void;
  /** What may have happened of it when the process dies meanwhile. */
  half: (() => void) | undefined;
}

export interface SimulatedDiskOptions {
  random: Random;
  faults?: DiskFaults;
  /** Operations that say yes and do nothing: to see whether a simulation notices. */
  lies?: readonly ("sync" | "truncate" | "syncFolder")[];
}

export class SimulatedDisk implements Disk {
  readonly #random: Random;
  readonly #lies: ReadonlySet<string>;
  readonly #root: FolderNode;
  #operations: Operation[] = [];
  faults: DiskFaults;
  /** Bytes that fit; more is ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** A failed sync has put old content back into the cache: the promise of a page cache is broken. */
  reverted = false;
  /** How many operations have failed. */
  failures = 0;

  constructor(options: SimulatedDiskOptions, root = new FolderNode()) {
    this.#random = options.random;
    this.#lies = new Set(options.lies);
    this.faults = options.faults ?? noFaults;
    this.#root = root;
  }

  /** Completes one of the operations under way; false when there is none. */
  step(): boolean {
    if (this.#operations.length === 0) return false;
    const [operation] = this.#operations.splice(this.#random.below(this.#operations.length), 1);
    operation!.run();
    return true;
  }

  /** The process dies. Its operations never complete; the disk is handed to the next process. */
  kill(): SimulatedDisk {
    for (const { half } of this.#operations) {
      try {
        if (this.#random.below(2) === 0) half?.();
      } catch {
        // It would have failed, and nobody is left to hear of it.
      }
    }
    this.#operations = [];
    return new SimulatedDisk({ random: this.#random, lies: [...this.#lies] as never }, this.#root);
  }

  /** The power fails: the disk as the machine finds it afterwards. */
  crash(): SimulatedDisk {
    this.kill();
    const survival = [0, 0.5, 0.9, 1][this.#random.below(4)]!;
    crashFolder(this.#root, survival, this.#random);
    return new SimulatedDisk({ random: this.#random, lies: [...this.#lies] as never }, this.#root);
  }

  /** Changes one byte on the medium, as a failing disk would. */
  flip(path: string, position: number): void {
    const file = this.#find(path) as FileNode;
    for (const content of [file.cached, file.durable]) {
      if (position < content.bytes.length) content.bytes[position]! ^= 1 + this.#random.below(255);
    }
  }

  /** Everything reaches the medium, as it does when the machine has been quiet for a while. */
  flush(): void {
    flushFolder(this.#root);
  }

  /** The content that a program sees, for tests. */
  peek(path: string): Buffer {
    return (this.#find(path) as FileNode).cached.bytes;
  }

  // Disk

  open(path: string, mode: "create" | "existing"): Promise<DiskFile> {
    return this.#later("names", () => {
      let node = this.#find(path);
      if (mode === "create") {
        this.#reserve(sectorBytes);
        const [folder, key] = this.#parent(path);
        if (node instanceof FileNode) node.apply({ kind: "truncate", size: 0 });
        else {
          node = new FileNode();
          folder.apply([[key, node]]);
        }
      }
      if (!(node instanceof FileNode)) throw failure("ENOENT", path);
      return this.#handle(node);
    });
  }

  list(path: string): Promise<string[]> {
    return this.#later("names", () => {
      const node = this.#find(path);
      return node instanceof FolderNode ? [...node.cached.keys()].sort() : [];
    });
  }

  makeFolder(path: string): Promise<void> {
    return this.#later("names", () => {
      if (this.#find(path)) return;
      const [parent, key] = this.#parent(path);
      parent.apply([[key, new FolderNode()]]);
    });
  }

  remove(path: string): Promise<void> {
    const some = () => {
      const node = this.#find(path);
      if (!(node instanceof FolderNode)) return;
      for (const key of [...node.cached.keys()])
        if (this.#random.below(2) === 0) node.apply([[key, undefined]]);
    };
    const all = () => {
      if (!this.#find(path)) return;
      const [parent, key] = this.#parent(path);
      parent.apply([[key, undefined]]);
    };
    return this.#later("names", all, some);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#later("names", () => {
      const node = this.#find(from);
      if (!node) throw failure("ENOENT", from);
      const [parent, key] = this.#parent(from);
      parent.apply([
        [key, undefined],
        [this.#parent(to)[1], node],
      ]);
    });
  }

  syncFolder(path: string): Promise<void> {
    return this.#later("names", () => {
      const folder = this.#find(path);
      if (!(folder instanceof FolderNode)) throw failure("ENOENT", path);
      if (this.#lies.has("syncFolder")) return;
      for (const naming of folder.unsynced) name(folder.durable, naming);
      folder.unsynced = [];
    });
  }

  // What the files do

  #handle(node: FileNode): DiskFile {
    return {
      get size() {
        return node.cached.bytes.length;
      },
      write: (bytes, position) => this.#write(node, Buffer.from(bytes), position),
      read: (target, position) =>
        this.#later("read", () => node.cached.bytes.copy(target, 0, position, position + target.length)),
      truncate: (size) => {
        const change = () => {
          if (!this.#lies.has("truncate")) node.apply({ kind: "truncate", size });
        };
        return this.#later("truncate", change, change);
      },
      sync: () => this.#sync(node),
      close: () => this.#later("none", () => {}),
    };
  }

  #write(node: FileNode, bytes: Buffer, position: number): Promise<void> {
    const some = () => {
      const length = this.#random.below(bytes.length + 1);
      if (length > 0) node.apply({ kind: "write", position, bytes: bytes.subarray(0, length) });
    };
    const whole = () => {
      const growth = position + bytes.length - node.cached.bytes.length;
      const room = this.capacityBytes - this.#usedBytes(this.#root);
      if (growth > 0 && growth > room) {
        some();
        throw failure("ENOSPC", "write");
      }
      node.apply({ kind: "write", position, bytes });
    };
    return this.#later("write", whole, some);
  }

  #sync(node: FileNode): Promise<void> {
    // What was written before the call is covered by it, what comes during it is not.
    const covered = [...node.unsynced];
    const done = () => {
      if (this.#lies.has("sync")) return;
      for (const change of covered) node.durable.apply(change);
      node.unsynced = node.unsynced.filter((change) => !covered.includes(change));
    };
    return this.#later("sync", done, undefined, () => this.#failSync(node, covered));
  }

  #failSync(node: FileNode, covered: readonly Change[]): void {
    const revert = this.#random.below(4) === 0;
    const kept: Change[] = [];
    for (const change of covered) {
      if (change.kind === "truncate") {
        kept.push(change); // the journal's affair, not the page cache's: the next sync writes it
        continue;
      }
      for (const part of sectors(change)) {
        if (kept.length === 0 && this.#random.below(2) === 0) node.durable.write(part.bytes, part.position);
        else if (revert) this.#revert(node, part);
      }
    }
    node.unsynced = [...kept, ...node.unsynced.filter((change) => !covered.includes(change))];
  }

  #revert(node: FileNode, part: { position: number; bytes: Buffer }): void {
    this.reverted = true;
    const end = Math.min(part.position + part.bytes.length, node.cached.bytes.length);
    if (end <= part.position) return;
    node.cached.bytes.fill(0, part.position, end);
    node.cached.bytes.set(node.durable.bytes.subarray(part.position, end), part.position);
  }

  #later<T>(
    kind: keyof DiskFaults | "none",
    done: () => T,
    half?: () => void,
    failed?: () => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => {
        try {
          if (kind !== "none" && this.#random.number() < this.faults[kind]) {
            if (failed) failed();
            else if (this.#random.below(2) === 0) half?.();
            throw failure("EIO", kind);
          }
          resolve(done());
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOENT") this.failures += 1;
          reject(error);
        }
      };
      this.#operations.push({ run, half: half ?? (kind === "names" ? () => void done() : undefined) });
    });
  }

  #reserve(bytes: number): void {
    if (this.#usedBytes(this.#root) + bytes > this.capacityBytes) throw failure("ENOSPC", "open");
  }

  #usedBytes(folder: FolderNode): number {
    let used = 0;
    for (const node of folder.cached.values()) {
      used += node instanceof FolderNode ? this.#usedBytes(node) : node.cached.bytes.length;
    }
    return used;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const key of path.split("/")) {
      if (key === "") continue;
      node = node instanceof FolderNode ? node.cached.get(key) : undefined;
    }
    return node;
  }

  #parent(path: string): [FolderNode, string] {
    const slash = path.lastIndexOf("/");
    const folder = this.#find(path.slice(0, Math.max(0, slash)));
    if (!(folder instanceof FolderNode)) throw failure("ENOENT", path);
    return [folder, path.slice(slash + 1)];
  }
}

function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
