/**
 * Keeps the last known good configuration in a file, encrypted and authenticated (AES-256-GCM), since documents hold
 * secrets. With a key of your own, such as one from the environment, whoever can read or write the folder can neither
 * read the documents nor plant others. Without one a key is made beside the file, for its owner alone: that finds torn
 * and damaged files and protects copies of the file without its key, but not from who can read both. Neither keeps
 * somebody who can write the folder from putting an older file back.
 *
 * The file is replaced as a whole, and is on the disk before `save` resolves.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigurationCache } from "./configuration.ts";
import type { SavedState } from "./configuration-state.ts";

export interface FileCacheOptions {
  /** Of this instance alone; made when it is not there. */
  folder: string;
  /** Any text that others do not know, of 16 characters at least. */
  key?: string | undefined;
  /** Told when what is kept cannot be trusted, and is not used. */
  onError?(error: unknown): void;
}

const format = Buffer.from("hotswap-configuration-1\0");
const nonceBytes = 12;
const tagBytes = 16;

export function fileCache({ folder, key, onError }: FileCacheOptions): ConfigurationCache {
  if (key !== undefined && key.length < 16) throw new TypeError("the key must have 16 characters at least");
  const file = join(folder, "configuration.bin");
  let secret: Promise<Buffer> | undefined;
  const secretOf = () => {
    secret ??= ready(folder, key);
    return secret;
  };
  let saving: Promise<void> = Promise.resolve();
  return {
    async load() {
      try {
        const bytes = await readFile(file);
        return JSON.parse(unseal(await secretOf(), bytes).toString()) as SavedState;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") onError?.(error);
        return undefined;
      }
    },
    save(state) {
      const text = JSON.stringify(state);
      saving = saving
        .catch(() => {}) // told to whoever saved that
        .then(async () => replace(file, seal(await secretOf(), Buffer.from(text))));
      return saving;
    },
  };
}

async function ready(folder: string, key: string | undefined): Promise<Buffer> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const material = key ?? (await ownKey(join(folder, "key")));
  return Buffer.from(hkdfSync("sha256", material, "", "hotswap configuration cache", 32));
}

async function ownKey(file: string): Promise<string> {
  const fresh = randomBytes(32).toString("base64url");
  const made = await writeFile(file, fresh, { mode: 0o600, flag: "wx" }).then(
    () => true,
    (error) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );
  return made ? fresh : readFile(file, "utf8");
}

function seal(secret: Buffer, text: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", secret, nonce).setAAD(format);
  const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([format, nonce, cipher.getAuthTag(), sealed]);
}

function unseal(secret: Buffer, bytes: Buffer): Buffer {
  const body = format.length + nonceBytes + tagBytes;
  if (bytes.length < body || !bytes.subarray(0, format.length).equals(format)) {
    throw new Error("the kept configuration is not of this format");
  }
  const nonce = bytes.subarray(format.length, format.length + nonceBytes);
  const decipher = createDecipheriv("aes-256-gcm", secret, nonce).setAAD(format);
  decipher.setAuthTag(bytes.subarray(body - tagBytes, body));
  return Buffer.concat([decipher.update(bytes.subarray(body)), decipher.final()]);
}

async function replace(file: string, bytes: Buffer): Promise<void> {
  const beside = `${file}.new`;
  const handle = await open(beside, "w", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(beside, file);
}
