/** Secrets that configurations refer to by name: set, listed and deleted, never read back. */
import type { ChangeOptions } from "./gateway.ts";
import { type CallOptions, type Page, type PageOptions, path, type Transport } from "./transport.ts";

export interface Secret {
  name: string;
  /** How often it was set. */
  revision: number;
  author: string;
  createdAt: string;
  updatedAt: string;
}

export class Secrets {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  set(name: string, value: string, { dryRun, ...options }: ChangeOptions = {}): Promise<Secret> {
    const target = path`/api/v1/secrets/${name}`;
    return this.#transport.json({
      method: "PUT",
      path: target,
      query: { dryRun },
      body: { value },
      ...options,
    });
  }

  list({ limit, cursor, ...options }: PageOptions = {}): Promise<Page<Secret>> {
    const query = { limit, cursor };
    return this.#transport.json({ method: "GET", path: "/api/v1/secrets", query, ...options });
  }

  all(options: CallOptions = {}): AsyncGenerator<Secret> {
    return this.#transport.items((cursor) => this.list({ cursor, ...options }));
  }

  /** Refused while a version in force refers to it, unless `force`. */
  delete(
    name: string,
    { dryRun, force, ...options }: ChangeOptions & { force?: boolean } = {},
  ): Promise<void> {
    const target = path`/api/v1/secrets/${name}`;
    return this.#transport.json({ method: "DELETE", path: target, query: { dryRun, force }, ...options });
  }
}
