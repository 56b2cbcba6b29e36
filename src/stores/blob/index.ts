/** The door of the blob store. S3 will be another driver behind the same port. */
import { FolderBlobStore } from "./folder.ts";
import type { BlobStore } from "./port.ts";

export type { BlobInfo, BlobStore } from "./port.ts";

/** The store, not started. `folder` is made when it does not exist. */
export function openBlob(options: { folder: string }): BlobStore {
  return new FolderBlobStore(options.folder);
}
