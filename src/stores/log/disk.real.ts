/**
 * The machine's file system below one folder. Descriptors and callbacks instead of node:fs/promises: a group
 * commit is two calls, and the FileHandle wrapper would cost more than either.
 */
import fs from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Disk, type DiskFile, isMissing } from "./disk.ts";

class RealFile implements DiskFile {
  readonly #fd: number;
  #size: number;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const rest = (done: number) => {
        fs.write(this.#fd, bytes, done, bytes.length - done, position + done, (error, written) => {
          if (error) return reject(error);
          if (position + done + written > this.#size) this.#size = position + done + written;
          if (done + written === bytes.length) return resolve();
          // A short write is how a filling disk looks; the next call names the cause.
          if (written === 0) return reject(new Error("the file system took no more bytes"));
          rest(done + written);
        });
      };
      rest(0);
    });
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const rest = (done: number) => {
        fs.read(this.#fd, target, done, target.length - done, position + done, (error, got) => {
          if (error) return reject(error);
          if (got === 0 || done + got === target.length) return resolve(done + got);
          rest(done + got);
        });
      };
      rest(0);
    });
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, size, (error) => {
        if (error) return reject(error);
        this.#size = size;
        resolve();
      });
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function openDescriptor(path: string, flags: string): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, (error, fd) => (error ? reject(error) : resolve(fd)));
  });
}

function sizeOf(fd: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.fstat(fd, (error, stat) => (error ? reject(error) : resolve(stat.size)));
  });
}

/** A disk over the folder, which is made when it does not exist. */
export function realDisk(root: string): Disk {
  const folder = resolve(root);
  const at = (path: string) => join(folder, path);
  return {
    async open(path, mode) {
      const fd = await openDescriptor(at(path), mode === "create" ? "w+" : "r+");
      return new RealFile(fd, mode === "create" ? 0 : await sizeOf(fd));
    },
    async list(path) {
      try {
        return (await readdir(at(path))).sort();
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    },
    async makeFolder(path) {
      const first = await mkdir(at(path), { recursive: true });
      // Above the folder of the disk nobody else makes the new names durable.
      for (let made = folder; path === "" && first && made.length >= first.length; made = dirname(made)) {
        await syncFolder(dirname(made));
      }
    },
    async remove(path) {
      await rm(at(path), { recursive: true, force: true });
    },
    async rename(from, to) {
      await rename(at(from), at(to));
    },
    syncFolder: (path) => syncFolder(at(path)),
  };
}

async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders; NTFS keeps names in its journal.
  if (process.platform === "win32") return;
  const fd = await openDescriptor(path, "r");
  try {
    await new Promise<void>((resolve, reject) => {
      fs.fsync(fd, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    await new Promise<void>((resolve) => fs.close(fd, () => resolve()));
  }
}
