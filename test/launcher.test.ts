/**
 * bin/handover.js: what runs on Node 24 behaves as if it had been started directly. And scripts/lock.js,
 * which keeps two setups of one folder apart.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

const handover = new URL("../bin/handover.js", import.meta.url).href;
const lock = new URL("../scripts/lock.js", import.meta.url).href;
const launcher = new URL("../bin/hotswap.js", import.meta.url).pathname;

/** A launcher that hands over to a Node that runs `script`; resolves when the script has said "ready". */
async function launch(script: string) {
  const parent = spawn(process.execPath, ["--input-type=module", "-e", launching(script)], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true, // a group of its own, so that a test can signal the whole group as a terminal does
  });
  const said: string[] = [];
  const lines = createInterface(parent.stdout!).on("line", (line) => said.push(line));
  const hear = async (...words: string[]) => {
    while (!words.every((word) => said.includes(word))) await once(lines, "line");
  };
  await once(lines, "line");
  return { parent, said, hear, childPid: Number(said[0]) };
}

function launching(script: string): string {
  const child = `import { tether } from ${JSON.stringify(handover)}; tether();${script}`;
  const args = JSON.stringify(["--input-type=module", "-e", child, "first", "second"]);
  // The first Ctrl-C counts twice, as when npm passes on what the terminal has sent already.
  return `import { handOver } from ${JSON.stringify(handover)};
    handOver(process.execPath, ${args});
    process.once("SIGINT", () => setTimeout(() => { process.emit("SIGINT"); console.log("twice"); }, 10));`;
}

// Says its pid, then every signal that it gets, and ends on a line of input, after any signal sent before it.
const listening = `
  for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => console.log(name));
  process.stdin.once("data", () => setImmediate(() => setImmediate(() => process.exit(7))));
  setInterval(() => {}, 1000);
  console.log(process.pid);`;

async function finish(parent: ChildProcess): Promise<number | NodeJS.Signals | null> {
  parent.stdin!.write("done\n");
  const [code, signal] = await once(parent, "close");
  return code ?? signal;
}

test("arguments, input, output and the exit code pass through", async () => {
  const { parent, said } = await launch(`console.log(process.argv.slice(1).join(" "));${listening}`);
  assert.equal(await finish(parent), 7);
  assert.equal(said[0], "first second");
});

test("a signal to the launcher reaches the child once", async () => {
  const { parent, said, hear } = await launch(listening);
  parent.kill("SIGTERM");
  await hear("SIGTERM");
  assert.equal(await finish(parent), 7);
  assert.deepEqual(said.slice(1), ["SIGTERM"]);
});

test("Ctrl-C, which a terminal sends to the group and npm sends once more, reaches the child once", async () => {
  const { parent, said, hear } = await launch(listening);
  process.kill(-parent.pid!, "SIGINT");
  await hear("SIGINT", "twice");
  assert.equal(await finish(parent), 7);
  assert.deepEqual(
    said.filter((line) => line === "SIGINT"),
    ["SIGINT"],
  );
});

test("a child that dies of a signal lets the launcher die of the same", async () => {
  const { parent, childPid } = await launch(`console.log(process.pid); setInterval(() => {}, 1000);`);
  process.kill(childPid, "SIGTERM");
  const [code, signal] = await once(parent, "close");
  assert.deepEqual({ code, signal }, { code: null, signal: "SIGTERM" });
});

test("kill -9 of the launcher ends the child too", { timeout: 10_000 }, async (t) => {
  const { parent, childPid } = await launch(listening);
  t.after(() => {
    try {
      process.kill(childPid, "SIGKILL");
    } catch {
      // gone, as it should be
    }
  });
  const closed = once(parent, "close");
  parent.kill("SIGKILL");
  await closed; // the child held the other end of stdout
});

test("the launcher runs the command line", () => {
  const { stdout, status } = spawnSync(process.execPath, [launcher, "--version"], { encoding: "utf8" });
  assert.match(stdout, /^hotswap \d+\.\d+\.\d+\n$/);
  assert.equal(status, 0);
});

test("a lock is held by one process at a time, and a dead owner's lock is broken", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "hotswap-lock-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const dead = spawnSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" }).stdout;
  writeFileSync(join(folder, "lock"), dead);
  writeFileSync(join(folder, "count"), "0");
  // Reads, yields, writes: counts come out wrong as soon as two hold the lock together.
  const script = `
    import { readFileSync, writeFileSync } from "node:fs"; import { withLock } from ${JSON.stringify(lock)};
    for (let i = 0; i < 5; i++) await withLock("lock", async () => {
      const count = Number(readFileSync("count", "utf8"));
      await new Promise((resolve) => setTimeout(resolve, 5));
      writeFileSync("count", String(count + 1));
    });`;
  const holders = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: folder, stdio: "inherit" }),
  );
  await Promise.all(holders.map((holder) => once(holder, "exit")));
  assert.equal(readFileSync(join(folder, "count"), "utf8"), "20");
});
