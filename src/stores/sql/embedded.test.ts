import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { systemClock } from "../../core/clock.ts";
import { sqlConformance } from "./conformance.ts";
import { findBinaries, mendLinks } from "./embedded/binaries.ts";
import { processesOn } from "./embedded/orphans.ts";
import { PostgresServer } from "./embedded/server.ts";
import { type Unprivileged, ways } from "./embedded/unprivileged.ts";
import { ensureApplication } from "./embedded.ts";
import { openSql } from "./index.ts";
import { fastFolder } from "./testing.ts";

const home = await mkdtemp(join(await fastFolder(), "hotswap-embedded-"));
after(() => rm(home, { recursive: true }));
let folders = 0;
const newData = () => join(home, `data-${++folders}`);

sqlConformance("embedded PostgreSQL 18", async () => {
  const data = newData();
  const store = openSql({ data });
  await store.start();
  const socket = encodeURIComponent(join(data, "postgres.run"));
  return {
    sql: store,
    another: (options) =>
      openSql({ sql: `postgres://hotswap@localhost:5432/hotswap?host=${socket}`, data: "", ...options }),
    async crash() {
      for (const pid of await processesOn(join(data, "postgres"))) process.kill(pid, "SIGKILL");
    },
    recover: async () => {}, // by itself
    close: () => store.stop(),
  };
});

async function startAndStop(data: string): Promise<void> {
  const store = openSql({ data });
  await store.start();
  await store.ping(1000);
  await store.stop();
}

describe("the data folder of the embedded server", () => {
  it("may have a long name, and one that is strange to a shell or to PostgreSQL", async () => {
    await startAndStop(join(home, "a long name, to be sure ".repeat(6)));
    await startAndStop(join(home, `"it's, $HOME 'ö`));
  });

  it("is refused when another version wrote it", async () => {
    const data = newData();
    await mkdir(join(data, "postgres"), { recursive: true });
    await writeFile(join(data, "postgres", "PG_VERSION"), "17\n");
    const message = /was written by PostgreSQL 17; this HotSwap brings 18/;
    await assert.rejects(startAndStop(data), { code: "data_folder_incompatible", message });
  });

  it("is left alone when it holds something else", async () => {
    const data = newData();
    await mkdir(join(data, "postgres"), { recursive: true });
    await writeFile(join(data, "postgres", "letter.txt"), "dear");
    await assert.rejects(startAndStop(data), { code: "data_folder_incompatible" });
    assert.equal(await readFile(join(data, "postgres", "letter.txt"), "utf8"), "dear");
    await rm(join(data, "postgres"), { recursive: true });
    await startAndStop(data); // the lock was given back
  });

  it("is named when it cannot be made", async () => {
    const file = newData();
    await writeFile(file, "");
    const message = /cannot be made \(ENOTDIR\)/;
    await assert.rejects(startAndStop(join(file, "below")), { code: "setting_invalid", message });
  });

  it("is open to nobody else, and its log does not grow for ever", async () => {
    const data = newData();
    await mkdir(data);
    await writeFile(join(data, "postgres.log"), "x".repeat(2 ** 20 + 1));
    const store = openSql({ data });
    await store.start();
    for (const name of ["postgres", "postgres.run"])
      assert.equal((await stat(join(data, name))).mode & 0o777, 0o700, name);
    assert.equal((await stat(join(data, "postgres.log"))).mode & 0o077, 0);
    assert.ok((await stat(join(data, "postgres.log"))).size < 10_000);
    await store.stop();
  });

  it("says what PostgreSQL said when it does not start", async () => {
    const data = newData();
    await startAndStop(data);
    await writeFile(join(data, "postgres", "postgresql.conf"), "no_such_setting = 1\n");
    await assert.rejects(startAndStop(data), {
      code: "store_unavailable",
      message: /no_such_setting|contains errors/,
    });
  });
});

const asRoot = { skip: process.getuid?.() === 0 ? false : "it needs root" };

describe("the embedded server under root", asRoot, async () => {
  const binaries = await findBinaries();
  await chmod(home, 0o711);

  // An ordinary user cannot start what lies below a folder that only root may enter, such as a clone in /root.
  const nobody = { uid: 65534, gid: 65534 };
  const reaches = async (file: string) =>
    promisify(execFile)("/bin/sh", ["-c", 'test -r "$0"', file], { ...nobody, cwd: "/" }).then(
      () => true,
      () => false,
    );
  const needed = [process.execPath, binaries.postgres, fileURLToPath(import.meta.url)];
  const closed = (await Promise.all(needed.map(reaches))).every(Boolean)
    ? false
    : "an ordinary user may not enter the folder of this checkout";

  const runInTurn = async (test: TestContext, folder: string, order: readonly Unprivileged[]) => {
    for (const unprivileged of order) {
      const options = { folder: join(folder, "postgres"), binaries, clock: systemClock };
      const server = new PostgresServer({ ...options, unprivileged });
      await server.start();
      await ensureApplication(server.connection);
      assert.equal((await stat(options.folder)).uid, unprivileged.owner.uid);
      await server.stop();
      test.diagnostic(`ran with ${unprivileged.prefix[0] ?? "setuid"}`);
    }
  };

  it("runs in two ways, by turns on the same files, below a folder that only root may enter", async (test) => {
    const folder = newData();
    await mkdir(folder, { mode: 0o700 });
    const [namespace, capability] = await ways();
    await runInTurn(test, folder, [namespace!, capability!, namespace!]);
  });

  it("runs as nobody where everybody may enter, on the files of another way", {
    skip: closed,
  }, async (test) => {
    const folder = newData();
    await mkdir(folder, { mode: 0o711 });
    const [namespace, , plain] = await ways();
    await runInTurn(test, folder, [namespace!, plain!]);
  });

  it("needs no root: an ordinary user starts it directly", { skip: closed }, async () => {
    const data = newData();
    await mkdir(data);
    await chown(data, nobody.uid, nobody.gid);
    const index = fileURLToPath(new URL("index.ts", import.meta.url));
    const program = `import { openSql } from ${JSON.stringify(index)};
      const store = openSql({ data: process.argv[1] });
      await store.start(); await store.ping(1000); console.log(store.serverVersion, process.getuid()); await store.stop();`;
    const command = ["--input-type=module", "--eval", program, data];
    const ran = await promisify(execFile)(process.execPath, command, nobody);
    assert.match(ran.stdout, /^18\d{4} 65534\n$/);
    await startAndStop(data); // then root does, on the same files
  });
});

describe("the programs that npm installed", () => {
  it("get the links that npm did not make", async () => {
    const { postgres } = await findBinaries();
    const bare = newData(); // as it comes from the registry
    await promisify(execFile)("cp", ["-R", dirname(dirname(dirname(postgres))), bare]);
    const links = JSON.parse(await readFile(join(bare, "native", "pg-symlinks.json"), "utf8")) as {
      target: string;
    }[];
    assert.ok(links.length > 0);
    for (const { target } of links) await rm(join(bare, target));
    await mendLinks(bare);
    for (const { target } of links) await access(join(bare, target));
    await mendLinks(bare);
  });
});
