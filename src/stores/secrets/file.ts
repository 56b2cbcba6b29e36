/**
 * Secrets in one JSON file, each value sealed (seal.ts), the whole replaced with every change. A sealed
 * check word tells a wrong key from a damaged file.
 *
 * What it does not do: names are not secret; somebody who can write the file can put an older one back; a
 * key that lies beside the file protects copies of the file, not the folder. One process uses the file.
 */
import { mkdir, readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { HotSwapError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { isFileError, replaceFile } from "../files.ts";
import { namePattern, type SecretStore, valueBytesMax } from "./port.ts";
import { keyBytes, nonceBytes, seal, unseal } from "./seal.ts";

export interface FileSecretsOptions {
  /**
   * The file with the secrets. Without `masterKey` the key is in `<path>.key`, made together with the file.
   */
  path: string;
  /** 32 bytes in base64. */
  masterKey?: string | undefined;
  /** The system's, but in tests. */
  random: Random;
}

const format = "hotswap-secrets-1";
/** No secret has this name, so no value can stand in for the check word. */
const checkName = "";
const ownerOnly = 0o600;

export class FileSecretStore implements SecretStore {
  readonly name = "secrets";
  readonly #path: string;
  readonly #masterKey: string | undefined;
  readonly #random: Random;
  /** Defined exactly while started. */
  #key: Buffer | undefined;
  /** Sealed values by name, as they are on disk. */
  #sealed: ReadonlyMap<string, string> = new Map();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(options: FileSecretsOptions) {
    this.#path = options.path;
    this.#masterKey = options.masterKey;
    this.#random = options.random;
  }

  async start(): Promise<void> {
    const content = await readIfThere(this.#path);
    if (content === undefined) {
      await mkdir(dirname(this.#path), { recursive: true });
      const key = (await this.#findKey()) ?? (await this.#makeKey());
      await this.#write(key, new Map());
      this.#key = key;
      return;
    }
    const key = await this.#findKey();
    if (!key) {
      throw unreadable(`There is no master key: neither a setting nor the file ${this.#keyFile}.`);
    }
    const { check, sealed } = parse(content);
    if (unseal(key, checkName, check) === undefined) {
      throw unreadable("The master key is not the one that they were written with.");
    }
    // Damage is found now, and not when a token has to be signed.
    for (const [name, value] of sealed) unsealed(key, name, value);
    this.#key = key;
    this.#sealed = sealed;
  }

  async stop(): Promise<void> {
    await this.#changing;
    this.#key?.fill(0);
    this.#key = undefined;
  }

  async get(name: string): Promise<string | undefined> {
    checkSecretName(name);
    const key = this.#started();
    const sealed = this.#sealed.get(name);
    return sealed === undefined ? undefined : unsealed(key, name, sealed);
  }

  async set(name: string, value: string): Promise<void> {
    checkSecretName(name);
    if (Buffer.byteLength(value) > valueBytesMax || !value.isWellFormed()) {
      throw new HotSwapError("validation_failed", `A secret is at most ${valueBytesMax} bytes of UTF-8.`);
    }
    await this.#change((sealed, key) => sealed.set(name, this.#seal(key, name, value)));
  }

  async delete(name: string): Promise<void> {
    checkSecretName(name);
    await this.#change((sealed) => sealed.delete(name));
  }

  async list(): Promise<string[]> {
    this.#started();
    return [...this.#sealed.keys()].sort();
  }

  #started(): Buffer {
    if (!this.#key) throw new Error("the secret store is not started");
    return this.#key;
  }

  #seal(key: Buffer, name: string, value: string): string {
    return seal(key, this.#random.bytes(nonceBytes), name, value);
  }

  /** One change after the other; a change is seen when it is durable, and one that fails changes nothing. */
  #change(apply: (sealed: Map<string, string>, key: Buffer) => void): Promise<void> {
    const change = this.#changing.then(async () => {
      const key = this.#started();
      const sealed = new Map(this.#sealed);
      apply(sealed, key);
      await this.#write(key, sealed);
      this.#sealed = sealed;
    });
    this.#changing = change.catch(() => {}); // whoever asked for it hears of it
    return change;
  }

  async #write(key: Buffer, sealed: ReadonlyMap<string, string>): Promise<void> {
    const check = this.#seal(key, checkName, format);
    const content = { format, check, values: Object.fromEntries(sealed) };
    await replaceFile(this.#path, `${JSON.stringify(content, undefined, 2)}\n`, ownerOnly);
  }

  get #keyPath(): string {
    return `${this.#path}.key`;
  }

  /** For messages: the name without the path. */
  get #keyFile(): string {
    return basename(this.#keyPath);
  }

  async #findKey(): Promise<Buffer | undefined> {
    if (this.#masterKey !== undefined) return decodeKey(this.#masterKey, "The master key");
    const text = await readIfThere(this.#keyPath);
    if (text === undefined) return undefined;
    const { mode } = await stat(this.#keyPath);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new HotSwapError(
        "setting_invalid",
        `Others can read the master key in ${this.#keyFile}. Take it away from them: chmod 600.`,
      );
    }
    return decodeKey(text.trim(), `The content of ${this.#keyFile}`);
  }

  async #makeKey(): Promise<Buffer> {
    const key = Buffer.from(this.#random.bytes(keyBytes));
    await replaceFile(this.#keyPath, `${key.toString("base64")}\n`, ownerOnly);
    return key;
  }
}

function decodeKey(text: string, what: string): Buffer {
  const key = Buffer.from(text, "base64");
  if (key.length !== keyBytes || key.toString("base64") !== text) {
    throw new HotSwapError(
      "setting_invalid",
      `${what} must be 32 bytes in base64 (openssl rand -base64 32).`,
    );
  }
  return key;
}

/** Says what is wrong, never what is there. */
function parse(content: string): { check: string; sealed: Map<string, string> } {
  let file: unknown;
  try {
    file = JSON.parse(content);
  } catch {
    throw unreadable("The file is damaged: it is not JSON.");
  }
  const { check, values, format: found } = (file ?? {}) as Record<string, unknown>;
  if (found !== format) throw unreadable("The file is damaged, or of another version of HotSwap.");
  const sealed = new Map(Object.entries((values ?? {}) as Record<string, unknown>));
  const whole = typeof check === "string" && typeof values === "object";
  if (!whole || ![...sealed.values()].every((value) => typeof value === "string")) {
    throw unreadable("The file is damaged: parts of it are missing.");
  }
  return { check, sealed: sealed as Map<string, string> };
}

function unsealed(key: Buffer, name: string, sealed: string): string {
  const value = unseal(key, name, sealed);
  if (value === undefined) throw unreadable(`The value of ${JSON.stringify(name)} is damaged.`);
  return value;
}

function unreadable(detail: string): HotSwapError {
  return new HotSwapError("secrets_unreadable", detail);
}

function checkSecretName(name: string): void {
  if (!namePattern.test(name)) {
    throw new HotSwapError(
      "validation_failed",
      "The name of a secret is letters, digits and . _ / -, at most 200, and begins with a letter or digit.",
    );
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isFileError(error, "ENOENT")) return undefined;
    throw error;
  }
}
