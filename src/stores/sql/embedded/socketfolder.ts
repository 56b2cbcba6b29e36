/**
 * Where the server's socket lies: beside the cluster, or in a short folder for temporary files when that path
 * would not fit into a socket address (107 bytes on Linux, 103 on macOS). Whoever may enter the folder may do
 * everything with the database, so nobody but its owner may.
 */
import { createHash } from "node:crypto";
import { chown, mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const maxPathBytes = 103;

export async function makeSocketFolder(
  cluster: string,
  owner: { uid: number; gid: number },
): Promise<string> {
  const home = await realpath(dirname(cluster));
  const beside = join(home, `${basename(cluster)}.run`);
  const fits = Buffer.byteLength(join(beside, ".s.PGSQL.5432")) <= maxPathBytes;
  const folder = fits ? await makeAnew(beside) : await makeTemporary(home);
  if (owner.uid !== process.getuid!()) await chown(folder, owner.uid, owner.gid);
  return folder;
}

export async function removeSocketFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Always the same name for one data folder, so that what a killed process left is found and not piled up. */
async function makeTemporary(home: string): Promise<string> {
  const name = createHash("sha256").update(home).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `hotswap-${name}`);
  // A stranger may have taken the name; what cannot be removed is not ours, and not to be used.
  return makeAnew(folder).catch(() => mkdtemp(join(tmpdir(), "hotswap-")));
}

async function makeAnew(folder: string): Promise<string> {
  await removeSocketFolder(folder);
  await mkdir(folder, { mode: 0o700 });
  return folder;
}
