/**
 * What a user installs: the tarball of `npm pack`, in an empty folder, started through npm's bin. The package
 * holds JavaScript, because Node refuses to run .ts below node_modules.
 */
import assert from "node:assert/strict";
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

// Without the checkout's own Node on the PATH: an older one must find the packaged Node by itself.
const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.startsWith(root));
const env = { ...process.env, PATH: path.join(delimiter) };

function run(command: string, args: string[], options: SpawnSyncOptions = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    env,
    ...options,
    encoding: "utf8",
  });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`);
  return String(stdout);
}

test("the packed tarball installs in an empty folder and starts", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "hotswap-pack-"));
  t.after(() => rmSync(folder, { recursive: true }));

  const [packed] = JSON.parse(
    run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", folder]),
  );
  const files: string[] = packed.files.map(({ path }: { path: string }) => path);
  for (const file of [
    "LICENSE",
    "bin/hotswap.js",
    "bin/handover.js",
    "dist/src/cli/main.js",
    "dist/package.json",
  ]) {
    assert.ok(files.includes(file), `${file} is missing from the package`);
  }
  assert.deepEqual(
    files.filter((file) => /\.ts$|\.test\.|conformance|testing\./.test(file)),
    [],
  );

  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const tarball = join(folder, packed.filename);
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", tarball], {
    cwd: folder,
  });
  const hotswap = join(folder, "node_modules", ".bin", "hotswap");
  assert.equal(run(hotswap, ["--version"], { cwd: folder }), `hotswap ${version}\n`);
  assert.equal(run("npx", ["--no-install", "hotswap", "--version"], { cwd: folder }), `hotswap ${version}\n`);
});
