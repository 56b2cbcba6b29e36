import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { pathToFileURL } from "node:url";
import { loadMigrations } from "./index.ts";

async function load(files: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), "hotswap-migrations-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return loadMigrations("room", pathToFileURL(folder)).finally(() => rm(folder, { recursive: true }));
}

it("reads the migrations of a room in the order of their numbers", async () => {
  const migrations = await load({ "0010_last.sql": "c", "0002_b.sql": "b", "0001_a.sql": "a" });
  assert.deepEqual(migrations, [
    { name: "room/0001_a", sql: "a" },
    { name: "room/0002_b", sql: "b" },
    { name: "room/0010_last", sql: "c" },
  ]);
});

it("refuses what is named otherwise, and a number that is there twice", async () => {
  for (const name of ["1_a.sql", "0001_A.sql", "0001_a.sql.bak", "0001-a.sql", ".gitkeep"]) {
    await assert.rejects(load({ [name]: "" }), /is not named NNNN_what\.sql/, name);
  }
  await assert.rejects(load({ "0001_a.sql": "", "0001_b.sql": "" }), /two migrations numbered 0001/);
});
