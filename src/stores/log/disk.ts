/**
 * The little that the disk log needs of a file system, as an argument: the real one in production, one that
 * fails, tears, forgets and fills up in the simulation (disk.simulated.ts). Paths are relative to the root
 * that the disk was made with, with forward slashes.
 */
export interface DiskFile {
  /** Size in bytes as of the last write or truncate through this handle. */
  readonly size: number;
  /** Writes all bytes at `position`. On rejection any prefix may have been written. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills `target` from `position`; resolves to the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  truncate(size: number): Promise<void>;
  /** fdatasync: content and size reach the medium. After a rejection nothing may be assumed of unsynced writes. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Opens for reading and writing. `create` makes the file, or empties the one that exists. */
  open(path: string, mode: "create" | "existing"): Promise<DiskFile>;
  /** Names of the entries of a folder, sorted; empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  /** Removes a file or a folder with all in it. Idempotent. */
  remove(path: string): Promise<void>;
  /** Atomic; replaces a file that has the name. */
  rename(from: string, to: string): Promise<void>;
  /** fsync of a folder: the names in it reach the medium. */
  syncFolder(path: string): Promise<void>;
}

/** True for the errors by which a file system says that it has no room left. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** True when the file or folder is not there. */
export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ENOENT";
}

/** Opens an existing file for the time of the work. */
export async function withFile<T>(
  disk: Disk,
  path: string,
  work: (file: DiskFile) => Promise<T>,
): Promise<T> {
  const file = await disk.open(path, "existing");
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Makes the file with this content, and syncs it; its name is durable when the folder is synced. */
export async function writeWhole(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(path, "create");
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
