/**
 * Data folders for servers whose first start is not what is tested: all migrations are applied already. What a first
 * start makes of an empty folder is seen by test/e2e and test/pack.
 */
import { createHash } from "node:crypto";
import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dataFolder } from "../src/stores/sql/testing.ts";

const source = fileURLToPath(new URL("../src", import.meta.url));

export async function serverFolder(prefix: string): Promise<string> {
  return dataFolder(prefix, { name: await nameOfMigrations(), migrations: allMigrations });
}

// Only who makes the template needs the server's own modules, and a test of a process has no other use for them.
const allMigrations = async () => (await import("../src/cli/server.ts")).allMigrations();

async function nameOfMigrations(): Promise<string> {
  const files = await Array.fromAsync(glob("**/migrations/*.sql", { cwd: source }));
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(file).update(await readFile(join(source, file)));
  return hash.digest("hex").slice(0, 16);
}
