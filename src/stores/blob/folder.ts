/**
 * Blobs as files below one folder. A file is the content followed by a trailer with its hash, so that object
 * and hash change in one rename. A damaged or cut file is found out by its trailer and its hash.
 *
 *   <folder>/objects/acme/%50lugin.tgz~    the key acme/Plugin.tgz
 *   <folder>/incoming/                     what is being written; emptied at start
 *
 * File systems that ignore case must not confuse keys, so capitals are escaped; `~` keeps the object `a`
 * apart from the folder of `a/b`. One process uses the folder (the data folder's lock sees to it).
 */
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { HotSwapError } from "../../core/errors.ts";
import { isFileError, syncFolder } from "../files.ts";
import { type BlobInfo, type BlobStore, keyPattern } from "./port.ts";

const magic = Buffer.from("hotswap1");
const trailerBytes = 32 + magic.length;
const chunkBytes = 256 * 1024;

export class FolderBlobStore implements BlobStore {
  readonly name = "blob";
  readonly #objects: string;
  readonly #incoming: string;
  #sequence = 0;

  constructor(folder: string) {
    this.#objects = join(folder, "objects");
    this.#incoming = join(folder, "incoming");
  }

  async start(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
    await mkdir(this.#incoming, { recursive: true });
    await mkdir(this.#objects, { recursive: true });
    await syncFolder(dirname(this.#objects));
  }

  async stop(): Promise<void> {}

  async put(key: string, source: Readable | Uint8Array): Promise<BlobInfo> {
    const path = this.#path(key);
    const temporary = join(this.#incoming, String(this.#sequence++));
    try {
      const { bytes, digest } = await write(temporary, source);
      await this.#makeFolder(dirname(path));
      await rename(temporary, path);
      await syncFolder(dirname(path));
      return { key, bytes, sha256: digest.toString("hex") };
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {}); // the first error is the one that tells
      if (isFileError(error, "ENOSPC") || isFileError(error, "EDQUOT")) {
        throw new HotSwapError("disk_full", "The disk of the blob store is full.", { cause: error });
      }
      throw error;
    }
  }

  async get(key: string): Promise<Readable> {
    const opened = await openObject(this.#path(key), key);
    if (!opened) throw new HotSwapError("not_found", `There is no object ${key}.`);
    return verified(opened, key);
  }

  async stat(key: string): Promise<BlobInfo | undefined> {
    const opened = await openObject(this.#path(key), key);
    if (!opened) return undefined;
    await opened.file.close();
    return { key, bytes: opened.bytes, sha256: opened.digest.toString("hex") };
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    try {
      await rm(path);
      await syncFolder(dirname(path));
    } catch (error) {
      if (!isFileError(error, "ENOENT")) throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    const files = await readdir(this.#objects, { recursive: true, withFileTypes: true });
    const keys = files
      .filter((file) => file.isFile() && file.name.endsWith("~"))
      .map((file) => join(file.parentPath, file.name).slice(this.#objects.length + 1, -1))
      .map(decodeURIComponent)
      .filter((key) => key.startsWith(prefix));
    for (const key of keys.sort()) {
      const info = await this.stat(key);
      if (info) yield info; // deleted meanwhile otherwise
    }
  }

  #path(key: string): string {
    if (!keyPattern.test(key)) {
      throw new HotSwapError(
        "validation_failed",
        "A blob key is segments of letters, digits, dot, hyphen and underscore, joined by slashes.",
      );
    }
    const escaped = key.replace(/[A-Z]/g, (capital) => `%${capital.charCodeAt(0).toString(16)}`);
    return join(this.#objects, `${escaped}~`);
  }

  /** A folder is durable when its name is; another `put` may have made it and not be there yet. */
  async #makeFolder(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
    for (let folder = path; folder.length > this.#objects.length; folder = dirname(folder)) {
      await syncFolder(dirname(folder));
    }
  }
}

async function write(
  path: string,
  source: Readable | Uint8Array,
): Promise<{ bytes: number; digest: Buffer }> {
  const file = await open(path, "wx");
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of source instanceof Uint8Array ? [source] : source) {
      const content: Uint8Array = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      hash.update(content);
      bytes += content.length;
      await file.writeFile(content);
    }
    const digest = hash.digest();
    await file.writeFile(Buffer.concat([digest, magic]));
    await file.sync();
    return { bytes, digest };
  } finally {
    await file.close();
  }
}

interface OpenObject {
  file: FileHandle;
  bytes: number;
  digest: Buffer;
}

/** Undefined when there is no such file. */
async function openObject(path: string, key: string): Promise<OpenObject | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isFileError(error, "ENOENT") || isFileError(error, "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    const trailer = Buffer.alloc(trailerBytes);
    const start = size - trailerBytes;
    if (start >= 0) await file.read(trailer, 0, trailerBytes, start);
    if (!trailer.subarray(32).equals(magic)) throw corrupt(key);
    return { file, bytes: start, digest: trailer.subarray(0, 32) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function verified({ file, bytes, digest }: OpenObject, key: string): Readable {
  const hash = createHash("sha256");
  let position = 0;
  /** The last piece is given out only when the whole is known to be right. */
  const next = async (): Promise<Buffer | null> => {
    const piece = Buffer.allocUnsafe(Math.min(chunkBytes, bytes - position));
    const { bytesRead } = await file.read(piece, 0, piece.length, position);
    const chunk = piece.subarray(0, bytesRead);
    hash.update(chunk);
    position += bytesRead;
    const wrong = position === bytes ? !hash.copy().digest().equals(digest) : bytesRead === 0;
    if (wrong) throw corrupt(key);
    return bytesRead === 0 ? null : chunk;
  };
  return new Readable({
    highWaterMark: chunkBytes,
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error) => this.destroy(error),
      );
    },
    destroy: (error, done) => void file.close().then(() => done(error), done),
  });
}

function corrupt(key: string): HotSwapError {
  return new HotSwapError("blob_corrupt", `The stored object ${key} is damaged.`);
}
