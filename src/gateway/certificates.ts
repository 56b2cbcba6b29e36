/**
 * Certificates of the gateway's TLS listener, from one folder: pairs `name.crt` and `name.key`, or folders with
 * `fullchain.pem` and `privkey.pem` as certbot makes them. Which hosts a certificate is for it says itself. The folder
 * is looked at again and again, so a renewed certificate serves the next connection; one that cannot be read leaves the
 * one before in place. The same holds for `client-ca.pem`, the authorities that clients' certificates must be of.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { Clock, Timer } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { isFileError } from "../stores/files.ts";
import type { Certificate } from "./proxy/snapshot.ts";

export interface CertificatesOptions {
  folder: string;
  clock: Clock;
  onChange(certificates: readonly Certificate[]): void;
  onError(error: unknown): void;
}

interface Pair {
  cert: string;
  key: string;
}

const lookMs = 10_000;

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #known = new Map<string, { stamp: string; certificate: Certificate }>();
  #clientCa: string | undefined;
  #timer: Timer | undefined;

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** Rejects with `setting_invalid` when there is none that can be used. */
  async start(): Promise<readonly Certificate[]> {
    const { folder } = this.#options;
    await this.#look((error) => {
      throw error;
    });
    if (this.#known.size === 0) {
      throw new HotSwapError("setting_invalid", `gateway.tlsFolder: there is no certificate in ${folder}.`);
    }
    this.#arm();
    return this.list();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** In order of name: the first serves who asks for no host. */
  list(): Certificate[] {
    const clientCa = this.#clientCa;
    return [...this.#known]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { certificate }]) => ({ ...certificate, ...(clientCa !== undefined && { clientCa }) }));
  }

  #arm(): void {
    const { clock, onChange, onError } = this.#options;
    this.#timer = clock.after(lookMs, () => {
      void this.#look(onError)
        .then((changed) => changed && onChange(this.list()))
        .catch(onError)
        .then(() => this.#arm());
    });
  }

  async #look(onError: (error: unknown) => void): Promise<boolean> {
    const pairs = await this.#pairs();
    let changed = await this.#readClientCa(onError);
    for (const [name, pair] of pairs) {
      try {
        changed = (await this.#read(name, pair)) || changed;
      } catch (error) {
        onError(
          new HotSwapError("setting_invalid", `gateway.tlsFolder: ${name} cannot be used.`, { cause: error }),
        );
      }
    }
    for (const name of [...this.#known.keys()]) {
      if (!pairs.has(name)) changed = this.#known.delete(name) || changed;
    }
    return changed;
  }

  /** Whether it is another than before. One that is gone still counts: nobody gets in because a file is missing. */
  async #readClientCa(onError: (error: unknown) => void): Promise<boolean> {
    try {
      const text = await readFile(join(this.#options.folder, "client-ca.pem"), "utf8");
      if (text === this.#clientCa) return false;
      createSecureContext({ ca: text });
      this.#clientCa = text;
      return true;
    } catch (cause) {
      if (!isFileError(cause, "ENOENT")) {
        const detail = "gateway.tlsFolder: client-ca.pem cannot be used.";
        onError(new HotSwapError("setting_invalid", detail, { cause }));
      }
      return false;
    }
  }

  async #pairs(): Promise<Map<string, Pair>> {
    const { folder } = this.#options;
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => {
      throw new HotSwapError("setting_invalid", `gateway.tlsFolder: ${folder} cannot be read.`, { cause });
    });
    const names = new Set(entries.map(({ name }) => name));
    const pairs = new Map<string, Pair>();
    for (const entry of entries) {
      const name = entry.name.replace(/\.crt$/, "");
      if (name !== entry.name && names.has(`${name}.key`)) {
        pairs.set(name, { cert: join(folder, entry.name), key: join(folder, `${name}.key`) });
      } else if (entry.isDirectory()) {
        const pair = { cert: join(folder, name, "fullchain.pem"), key: join(folder, name, "privkey.pem") };
        if (
          await stat(pair.key).then(
            () => true,
            () => false,
          )
        )
          pairs.set(name, pair);
      }
    }
    return pairs;
  }

  /** Whether it is another than before. */
  async #read(name: string, pair: Pair): Promise<boolean> {
    const stamps = await Promise.all([stat(pair.cert), stat(pair.key)]);
    const stamp = stamps.map(({ mtimeMs, size }) => `${mtimeMs}/${size}`).join();
    if (this.#known.get(name)?.stamp === stamp) return false;
    const [cert, key] = await Promise.all([readFile(pair.cert, "utf8"), readFile(pair.key, "utf8")]);
    const parsed = new X509Certificate(cert);
    if (!parsed.checkPrivateKey(createPrivateKey(key)))
      throw new Error("the key is not that of the certificate");
    this.#known.set(name, { stamp, certificate: { hosts: hostsOf(parsed), cert, key } });
    return true;
  }
}

function hostsOf({ subjectAltName = "", subject }: X509Certificate): string[] {
  const names = [...subjectAltName.matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name!.toLowerCase());
  if (names.length > 0) return names;
  const common = /(?:^|\n)CN=([^\n]+)/.exec(subject)?.[1];
  return common ? [common.toLowerCase()] : [];
}
