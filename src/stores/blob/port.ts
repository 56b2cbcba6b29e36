/** Large immutable objects under a key, such as plugin packages. Written whole or not at all. */
import type { Readable } from "node:stream";
import type { Service } from "../../core/lifecycle.ts";

export interface BlobInfo {
  key: string;
  bytes: number;
  /** Lower-case hex SHA-256 of the content. */
  sha256: string;
}

export interface BlobStore extends Service {
  /** Reads the source to its end; an object of this key is replaced at once, never seen half-written. */
  put(key: string, source: Readable | Uint8Array): Promise<BlobInfo>;
  /** Rejects with `not_found`. The content is checked against its hash while it is read. */
  get(key: string): Promise<Readable>;
  stat(key: string): Promise<BlobInfo | undefined>;
  delete(key: string): Promise<void>;
  /** Keys that begin with the prefix, in order. */
  list(prefix: string): AsyncIterable<BlobInfo>;
}
