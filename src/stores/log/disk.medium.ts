/**
 * What a simulated disk is made of: files and folders, each with what a program sees (the page cache), what is on
 * the medium, and the changes between the two that have not been synced.
 *
 * A power failure keeps any subset of those changes, writes sector by sector, and a sector that was being written
 * may hold garbage. As SQLite's "powersafe overwrite" has it, bytes outside the range of a write are not harmed
 * by it: a file system that breaks this breaks every log.
 */
import type { Random } from "../../core/random.ts";

export const sectorBytes = 64;

export type Change = { kind: "write"; position: number; bytes: Buffer } | { kind: "truncate"; size: number };

class Content {
  bytes = Buffer.alloc(0);

  write(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.bytes.length) this.truncate(position + bytes.length);
    this.bytes.set(bytes, position);
  }

  truncate(size: number): void {
    const changed = Buffer.alloc(size);
    this.bytes.copy(changed);
    this.bytes = changed;
  }

  apply(change: Change): void {
    if (change.kind === "write") this.write(change.bytes, change.position);
    else this.truncate(change.size);
  }
}

export class FileNode {
  cached = new Content();
  durable = new Content();
  unsynced: Change[] = [];

  apply(change: Change): void {
    this.cached.apply(change);
    this.unsynced.push(change);
  }
}

export type Node = FileNode | FolderNode;
/** Names that a change sets, or removes with undefined; all at once. */
type Naming = readonly (readonly [string, Node | undefined])[];

export class FolderNode {
  cached = new Map<string, Node>();
  durable = new Map<string, Node>();
  unsynced: Naming[] = [];

  apply(naming: Naming): void {
    name(this.cached, naming);
    this.unsynced.push(naming);
  }
}

export function name(names: Map<string, Node>, naming: Naming): void {
  for (const [key, node] of naming) {
    if (node) names.set(key, node);
    else names.delete(key);
  }
}

/** The parts of a write that lie in one sector each. */
export function sectors(change: { position: number; bytes: Buffer }): { position: number; bytes: Buffer }[] {
  const parts = [];
  for (let at = 0; at < change.bytes.length; ) {
    const position = change.position + at;
    const length = Math.min(sectorBytes - (position % sectorBytes), change.bytes.length - at);
    parts.push({ position, bytes: change.bytes.subarray(at, at + length) });
    at += length;
  }
  return parts;
}

export function crashFolder(folder: FolderNode, survival: number, random: Random): void {
  for (const naming of folder.unsynced) {
    if (random.number() < survival) name(folder.durable, naming);
  }
  folder.unsynced = [];
  folder.cached = new Map(folder.durable);
  for (const node of folder.durable.values()) {
    if (node instanceof FolderNode) crashFolder(node, survival, random);
    else crashFile(node, survival, random);
  }
}

function crashFile(file: FileNode, survival: number, random: Random): void {
  for (const change of file.unsynced) {
    if (change.kind === "truncate") {
      if (random.number() < survival) file.durable.truncate(change.size);
      continue;
    }
    for (const part of sectors(change)) {
      if (random.number() >= survival) continue;
      const garbage = survival < 1 && random.below(20) === 0;
      file.durable.write(garbage ? random.bytes(part.bytes.length) : part.bytes, part.position);
    }
  }
  file.unsynced = [];
  file.cached.bytes = Buffer.from(file.durable.bytes);
}

export function flushFolder(folder: FolderNode): void {
  folder.durable = new Map(folder.cached);
  folder.unsynced = [];
  for (const node of folder.cached.values()) {
    if (node instanceof FolderNode) flushFolder(node);
    else {
      for (const change of node.unsynced) node.durable.apply(change);
      node.unsynced = [];
    }
  }
}
