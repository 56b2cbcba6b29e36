/**
 * One process per data folder. The lock must go away with its owner, however that ends, and must hold across
 * containers that share the folder, where process ids say nothing: so it is a lock of the kernel. The only one
 * that Node can take is SQLite's (POSIX advisory locks on the file), hence the empty database.
 *
 * Nobody else may open the lock file within this process: closing any descriptor of it gives up the lock.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { HotSwapError } from "../core/errors.ts";

export interface FolderLock {
  release(): Promise<void>;
}

const busy = 5; // SQLITE_BUSY

/** Takes the lock or rejects at once with `data_folder_in_use`. The folder must exist. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const ownerFile = join(folder, "pid"); // for people only; nothing decides by it
  const database = new DatabaseSync(join(folder, "lock"));
  try {
    database.exec("pragma journal_mode = memory; begin exclusive");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== busy) throw error;
    const owner = (await readFile(ownerFile, "utf8").catch(() => "")).trim();
    const who = owner ? `It is process ${owner}.` : "";
    throw new HotSwapError(
      "data_folder_in_use",
      `Another HotSwap uses the folder ${folder}. ${who}`.trimEnd(),
    );
  }
  await writeFile(ownerFile, `${process.pid}\n`);
  return {
    async release() {
      await rm(ownerFile, { force: true });
      database.close();
    },
  };
}
