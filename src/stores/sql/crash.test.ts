/**
 * The embedded server meets every kind of end of its owner. Each test runs the owner as a process of its own,
 * so that it can be killed; what it acknowledged must be there after the next start.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { sql } from "kysely";
import { sleep, systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import { processesOn } from "./embedded/orphans.ts";
import { openSql } from "./index.ts";
import { dataFolder, fastFolder } from "./testing.ts";

const home = await mkdtemp(join(await fastFolder(), "hotswap-crash-"));
after(() => rm(home, { recursive: true, maxRetries: 5 }));
let folders = 0;
const newData = () => join(home, `data-${++folders}`);
/** As a first start left it: what is tested comes later. */
const oldData = async () => {
  const data = await dataFolder("hotswap-crash-");
  after(() => rm(data, { recursive: true, maxRetries: 5 }));
  return data;
};
const cluster = (data: string) => join(data, "postgres");

/** By what is there, as a sequence leaves a hole where the owner is killed between its number and the commit. */
const next = "insert into rows select coalesce(max(id), 0) + 1 from rows returning id";

/** Starts the store, says so, then writes row after row and says each that was committed. */
const ownerProgram = `
  import { openSql } from ${JSON.stringify(fileURLToPath(new URL("index.ts", import.meta.url)))};
  import { sql } from ${JSON.stringify(fileURLToPath(import.meta.resolve("kysely")))};
  console.log("begin");
  const store = openSql({ data: process.argv[1] });
  await store.start();
  console.log("ready");
  await store.system((tx) => sql\`create table if not exists rows (id int primary key)\`.execute(tx));
  for (;;) {
    const { rows } = await store.system((tx) => sql\`${next}\`.execute(tx));
    console.log(String(rows[0].id));
  }`;

interface Owner {
  process: ChildProcess;
  /** Resolves when the owner has said this line; rejects when it ends before. */
  said(line: string): Promise<void>;
  /** The same for a file. */
  made(file: string): Promise<void>;
  /** The last row that it committed. */
  committed(): number;
  kill(): Promise<void>;
}

function startOwner(data: string, options: { uid?: number; gid?: number } = {}): Owner {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", ownerProgram, data], {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  const exited = once(child, "exit");
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  child.stdout.on("data", (chunk) => {
    output += chunk;
    child.emit("said");
  });
  const ended = exited.then(() => Promise.reject(new Error(`the owner ended: ${errors}`)));
  ended.catch(() => {}); // most are killed
  return {
    process: child,
    async said(line) {
      while (!output.split("\n").includes(line)) await Promise.race([once(child, "said"), ended]);
    },
    async made(file) {
      while (!existsSync(file)) await Promise.race([sleep(systemClock, 1), ended]);
    },
    committed: () =>
      Number(
        output
          .trim()
          .split("\n")
          .findLast((line) => /^\d+$/.test(line)) ?? 0,
      ),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/**
 * Neither server nor watcher nor initdb. Nothing announces the end of a process that is not a child; one that never
 * ends is ended by the test's time-out.
 */
async function untilNobodyIn(data: string): Promise<void> {
  while ((await watchersOf(data)).length > 0 || (await processesOn(cluster(data))).length > 0) {
    await sleep(systemClock, 5);
  }
}

/** Starts on the folder, and finds at least the rows that were acknowledged, without holes among them. */
async function assertGoesOn(data: string, committed: number): Promise<void> {
  const store = openSql({ data });
  await store.start();
  const table = sql<{ rows: string | null }>`select to_regclass('rows')::text as rows`;
  const exists = await store.system(async (tx) => (await table.execute(tx)).rows[0]!.rows);
  if (committed > 0) assert.ok(exists);
  if (exists) {
    const found = sql<{ count: number }>`select count(*) as count from rows where id <= ${committed}`;
    assert.equal(await store.system(async (tx) => (await found.execute(tx)).rows[0]!.count), committed);
  }
  await store.stop();
  await untilNobodyIn(data); // the server has ended, its watcher is about to
  const left = (await readdir(data)).sort();
  assert.deepEqual(
    left.filter((name) => !name.startsWith("postgres.log")),
    ["lock", "postgres"],
  );
}

/** The shells that watch over the server, whose command line names the cluster, or a draft of it. */
async function watchersOf(data: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.startsWith("/bin/sh\0-c") && command.includes(cluster(data))) found.push(Number(pid));
  }
  return found;
}

const onLinux = { skip: process.platform === "linux" ? false : "it looks into /proc" };

describe("the embedded server after kill -9 of its owner", onLinux, () => {
  it("ends by itself, and the next start goes on", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("100");
    await owner.kill();
    await untilNobodyIn(data);
    await assertGoesOn(data, owner.committed());
  });

  it("is taken over by a start that does not wait for its end", async () => {
    const data = await oldData();
    for (let round = 0; round < 3; round++) {
      const owner = startOwner(data);
      await owner.said("ready");
      await owner.kill();
    }
    const owner = startOwner(data);
    await owner.said("50");
    await owner.kill();
    await assertGoesOn(data, owner.committed());
  });

  it("is taken down by the next start when its watchers were killed too", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("50");
    owner.process.kill("SIGSTOP"); // or it would see the watchers end, and start another server
    const watchers = await watchersOf(data);
    assert.equal(watchers.length, 2);
    for (const pid of watchers) process.kill(pid, "SIGKILL");
    await owner.kill();
    assert.notDeepEqual(await processesOn(cluster(data)), []);
    await assertGoesOn(data, owner.committed());
  });

  it("recovers when everything was killed and the pid file names a stranger", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("50");
    owner.process.kill("SIGSTOP");
    for (const pid of await processesOn(cluster(data))) process.kill(pid, "SIGKILL");
    await owner.kill();
    await untilNobodyIn(data);
    const pidFile = join(cluster(data), "postmaster.pid");
    const lines = (await readFile(pidFile, "utf8")).split("\n");
    await writeFile(pidFile, [process.ppid, ...lines.slice(1)].join("\n"));
    await assertGoesOn(data, owner.committed());
  });

  it("waits for backends whose postmaster was killed", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("50");
    owner.process.kill("SIGSTOP");
    for (const pid of await watchersOf(data)) process.kill(pid, "SIGKILL");
    const postmaster = Number.parseInt(await readFile(join(cluster(data), "postmaster.pid"), "utf8"), 10);
    process.kill(postmaster, "SIGKILL");
    await owner.kill();
    await assertGoesOn(data, owner.committed());
  });

  it("starts anew when initdb was cut off, whatever it left", async () => {
    const data = newData();
    const sweptLater = join(data, "postgres.draft-XXXXXX", "base");
    await mkdir(sweptLater, { recursive: true });
    for (const delayMs of [5, 60, 120, 250]) {
      const owner = startOwner(data);
      await owner.said("begin");
      await sleep(systemClock, delayMs); // a moment within initdb, not an event
      await owner.kill();
    }
    await assertGoesOn(data, 0);
  });

  it("ends also when it had only just begun", async () => {
    const data = await oldData();
    await assertGoesOn(data, 0);
    for (let delayMs = 0; delayMs < 64; delayMs += 8) {
      const owner = startOwner(data);
      await owner.made(join(data, "pid")); // the lock was taken, the server is about to be started
      await sleep(systemClock, delayMs);
      await owner.kill();
      await untilNobodyIn(data);
      await rm(join(data, "pid"));
    }
    await assertGoesOn(data, 0);
  });

  it("finds its way from any moment", async () => {
    const data = newData();
    let committed = 0;
    for (let round = 0; round < 12; round++) {
      const owner = startOwner(data);
      await owner.said("begin");
      const delayMs = systemRandom.below(round % 2 ? 600 : 150);
      await sleep(systemClock, delayMs);
      await owner.kill();
      if (round % 3 === 0) await untilNobodyIn(data);
      committed = Math.max(committed, owner.committed());
    }
    await assertGoesOn(data, committed);
  });
});

describe("the embedded server while its owner lives", onLinux, () => {
  it("is started again when its watcher is killed", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("20");
    await owner.kill();
    const store = openSql({ data });
    await store.start();
    const before = await processesOn(cluster(data));
    for (const pid of await watchersOf(data)) process.kill(pid, "SIGKILL");
    while ((await processesOn(cluster(data))).some((pid) => before.includes(pid))) {
      await sleep(systemClock, 5);
    }
    for (let ok = false; !ok; ) {
      ok = await store.ping(1000).then(
        () => true,
        () => false,
      );
    }
    await store.stop();
    await assertGoesOn(data, owner.committed());
  });

  it("keeps every other process, and itself, out of the folder", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("ready");
    const message = new RegExp(`is process ${owner.process.pid}\\.$`);
    await assert.rejects(openSql({ data }).start(), { code: "data_folder_in_use", message });
    await owner.kill();
    const first = openSql({ data });
    await first.start();
    await assert.rejects(openSql({ data }).start(), { code: "data_folder_in_use" });
    await first.ping(1000);
    await first.stop();
  });

  it("does not end by signals that are sent to whole groups of processes", async () => {
    const data = await oldData();
    const owner = startOwner(data);
    await owner.said("ready");
    const watchers = await watchersOf(data);
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
      for (const pid of watchers) process.kill(pid, signal);
    }
    const group = await groupOf(owner.process.pid!);
    for (const pid of await processesOn(cluster(data))) assert.notEqual(await groupOf(pid), group);
    await owner.said(String(owner.committed() + 20));
    assert.deepEqual(await watchersOf(data), watchers);
    await owner.kill();
    await untilNobodyIn(data);
  });
});

/** The process group, field 5 of /proc/<pid>/stat. */
async function groupOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
}
