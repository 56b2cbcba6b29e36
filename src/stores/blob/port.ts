/**
 * Large immutable objects under a key, such as plugin packages. Written whole or not at all.
 *
 * A key is 1 to 512 characters: segments of `A-Z a-z 0-9 . _ -` joined by `/`, none empty, none longer than
 * 80, none beginning with a dot. Every call with another key rejects with `validation_failed`.
 */
import type { Readable } from "node:stream";
import type { Service } from "../../core/lifecycle.ts";

export interface BlobInfo {
  key: string;
  bytes: number;
  /** Lower-case hex SHA-256 of the content. */
  sha256: string;
}

export interface BlobStore extends Service {
  /**
   * Reads the source to its end; an object of this key is replaced at once, never seen half-written.
   * Resolves when the object is durable. When the source fails, nothing has changed and its error is passed
   * on.
   */
  put(key: string, source: Readable | Uint8Array): Promise<BlobInfo>;
  /**
   * Rejects with `not_found`. The content is checked against its hash while it is read: the stream ends only
   * when all of it was right, and fails with `blob_corrupt` otherwise, so nothing is to be trusted before.
   */
  get(key: string): Promise<Readable>;
  stat(key: string): Promise<BlobInfo | undefined>;
  /** Idempotent. A stream that is being read goes on. */
  delete(key: string): Promise<void>;
  /** Objects whose key begins with the prefix (any text), in the order of the keys' characters. */
  list(prefix: string): AsyncIterable<BlobInfo>;
}

export const keyPattern =
  /^(?=.{1,512}$)[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,79})*$/;
