/**
 * The data folder of the embedded server, as PostgreSQL calls it a cluster: made once, whole or not at all.
 * It is prepared beside its place and renamed into it, so an interrupted first start leaves only rubbish that
 * the next one sweeps away.
 */
import { lchown, mkdtemp, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { HotSwapError } from "../../../core/errors.ts";
import type { Binaries } from "./binaries.ts";
import { startChild } from "./child.ts";
import { endOrphans } from "./orphans.ts";
import type { Unprivileged } from "./unprivileged.ts";

export interface ClusterOptions {
  folder: string;
  binaries: Binaries;
  unprivileged: Unprivileged;
  clock: Clock;
  /** A descriptor that takes what initdb prints. */
  output: number;
}

/** Makes the cluster when there is none, refuses one of another major version, sees to its owner. */
export async function ensureCluster(options: ClusterOptions): Promise<void> {
  const { folder, binaries, unprivileged } = options;
  const found = await readFile(join(folder, "PG_VERSION"), "utf8").catch(() => undefined);
  if (found === undefined) return createCluster(options);
  if (Number(found) !== binaries.major) {
    throw new HotSwapError(
      "data_folder_incompatible",
      `The folder ${folder} was written by PostgreSQL ${found.trim()}; this HotSwap brings ${binaries.major}.`,
    );
  }
  await giveTo(folder, unprivileged.owner);
}

async function createCluster(options: ClusterOptions): Promise<void> {
  const { folder, unprivileged, clock } = options;
  await sweep(folder, clock);
  const draft = await mkdtemp(`${folder}${draftMark}`);
  await giveTo(draft, unprivileged.owner);
  await initialize(draft, options);
  await rename(draft, folder).catch((cause) => {
    throw new HotSwapError("data_folder_incompatible", `The folder ${folder} holds something else already.`, {
      cause,
    });
  });
  await syncFolder(dirname(folder));
}

const draftMark = ".draft-";

async function sweep(folder: string, clock: Clock): Promise<void> {
  const prefix = `${basename(folder)}${draftMark}`;
  const names = await readdir(dirname(folder));
  for (const name of names.filter((name) => name.startsWith(prefix))) {
    const draft = join(dirname(folder), name);
    await endOrphans(draft, clock);
    await rm(draft, { recursive: true, force: true });
  }
}

async function initialize(folder: string, { binaries, unprivileged, output }: ClusterOptions): Promise<void> {
  const command = [
    binaries.initdb,
    "-D",
    folder,
    "--username=postgres",
    "--encoding=UTF8",
    "--no-locale", // order and case of text are the same on every machine
    "--auth-local=trust", // who may enter the folder of the socket is trusted; nobody else can
    "--auth-host=reject",
    "--no-clean", // when it is cut off, its own child is still at work there
  ];
  if (binaries.major >= 17) command.push("--locale-provider=builtin", "--builtin-locale=C.UTF-8");
  const child = await startChild(unprivileged, command, { output });
  const code = await child.exited;
  if (code === 0) return;
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  throw new HotSwapError(
    "store_unavailable",
    "The embedded PostgreSQL could not make its data folder; its log says why.",
  );
}

/** After a change of the way root starts PostgreSQL the files belong to another user. */
async function giveTo(folder: string, owner: { uid: number; gid: number }): Promise<void> {
  const { uid } = await stat(folder);
  if (uid === owner.uid) return;
  try {
    for (const name of await readdir(folder, { recursive: true })) {
      await lchown(join(folder, name), owner.uid, owner.gid); // of a link, never of what it leads to
    }
    await lchown(folder, owner.uid, owner.gid); // last, since it is what tells that the work is done
  } catch (cause) {
    throw new HotSwapError("data_folder_incompatible", `The folder ${folder} belongs to another user.`, {
      cause,
    });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}
