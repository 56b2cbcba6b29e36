/**
 * Writing files so that a crash or power loss leaves the old content or the new, never a mixture: write
 * beside it, fsync, rename over it, fsync the folder (without which the new name itself may be lost).
 */
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Replaces the whole file. One writer at a time; `mode` is for owner-only files. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true }); // left by a crash, perhaps with another mode
  const file = await open(temporary, "wx", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** True for an error of the file system with this code, such as ENOENT. */
export function isFileError(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
