/** Starting, finding and ending a server, as a person or a supervisor does it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesOn } from "../../src/stores/sql/embedded/orphans.ts";
import { hotswap, Server, serverFolder, spawnHotswap, temporaryFolder } from "./hotswap.ts";

const masterKey = Buffer.alloc(32, 7).toString("base64");

suite("hotswap dev", () => {
  test("says on its first line where it is, leaves a marker, drains on SIGTERM and exits 0", async () => {
    await using folder = await temporaryFolder();
    await using server = await Server.start({ data: folder.path });
    const { api, console: page, token, mode } = server.facts;
    assert.match(api, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(page, `${api}/#token=${token}`);
    assert.equal(mode, "development");
    const marker = `${folder.path}/server.json`;
    assert.equal((await stat(marker)).mode & 0o777, 0o600);
    const { stdout } = await hotswap(["topic", "create", "orders", "--json"], server.env);
    assert.equal(JSON.parse(stdout).name, "orders");

    const authorization = `Bearer ${token}`;
    const waiting = fetch(`${api}/api/v1/messages/consume/orders?wait=30`, { headers: { authorization } });
    const busy = await fetch(`${api}/api/v1/topics`, { headers: { authorization } });
    assert.equal(busy.status, 200);
    assert.equal(await server.stop(), 0);
    assert.ok([200, 503].includes((await waiting).status), "the request that waited got an answer");
    assert.equal(existsSync(marker), false);
  });

  test("its screen is at most twelve lines and names the next step", async () => {
    await using folder = await serverFolder();
    const child = spawnHotswap(["dev", "--data", folder.path, "--port", "0"]);
    let text = "";
    child.stdout.setEncoding("utf8");
    for await (const part of child.stdout) {
      text += part;
      if (/pub orders.*\n/.test(text)) break;
    }
    child.kill("SIGTERM");
    await once(child, "close");
    assert.ok(text.trimEnd().split("\n").length <= 12, text);
    for (const word of [
      "ready in",
      "Console",
      "API",
      "/docs",
      "/openapi.json",
      "Metrics",
      "Data",
      "Token",
      "Next",
    ]) {
      assert.ok(text.includes(word), word);
    }
    assert.ok(!text.includes("\x1b"), "no colours where there is no terminal");
  });

  test("a port that is taken is named with its owner, before anything else is touched", async () => {
    await using folder = await temporaryFolder();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const data = `${folder.path}/data`;
    const { code, stdout, stderr } = await hotswap(["dev", "--data", data, "--port", String(port)]);
    taken.close();
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`^hotswap: port_in_use: 127\\.0\\.0\\.1:${port} is taken`));
    if (process.platform === "linux") assert.ok(stderr.includes(`by process ${process.pid} (`), stderr);
    assert.match(stderr, /--port/);
    assert.equal(existsSync(data), false);
  });

  test("a second server on the same folder is refused and leaves the first alone", async () => {
    await using folder = await serverFolder();
    await using server = await Server.start({ data: folder.path });
    const { code, stderr } = await hotswap(["dev", "--data", folder.path, "--port", "0"]);
    assert.equal(code, 1);
    assert.match(stderr, /^hotswap: data_folder_in_use: .*process \d+/);
    assert.equal((await hotswap(["status"], server.env)).code, 0);
    assert.equal(existsSync(`${folder.path}/server.json`), true);
  });

  test("after kill -9 nothing of it runs on, and it starts again", async () => {
    await using folder = await serverFolder();
    const data = await realpath(folder.path);
    const server = await Server.start({ data });
    await hotswap(["topic", "create", "orders"], server.env);
    assert.ok((await processesOn(`${data}/postgres`)).length > 0, "the database's processes are not seen");
    await server.kill();
    while ((await processesOn(`${data}/postgres`)).length > 0) await sleep(20); // the test's time-out ends it
    await using again = await Server.start({ data });
    const { stdout } = await hotswap(["topic", "list", "--json"], again.env);
    assert.deepEqual(
      JSON.parse(stdout).map(({ name }: { name: string }) => name),
      ["orders"],
    );
  });
});

suite("hotswap start", () => {
  test("without a master key it refuses, names the setting, and makes nothing", async () => {
    await using folder = await temporaryFolder();
    const data = `${folder.path}/data`;
    const { code, stdout, stderr } = await hotswap(["start", "--data", data, "--port", "0"]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^hotswap: setting_missing: secrets\.masterKey: .*HOTSWAP_SECRETS_MASTER_KEY/);
    assert.equal(existsSync(data), false);
  });

  test("it prints no token, takes none of development, and those that `hotswap token` makes", async () => {
    await using folder = await serverFolder();
    const data = folder.path;
    const env = { HOTSWAP_SECRETS_MASTER_KEY: masterKey };
    await using development = await Server.start({ data, env });
    assert.equal(await development.stop(), 0);
    await using server = await Server.start({ data, command: "start", env });
    assert.equal(server.facts.mode, "production");
    assert.equal(server.facts.token, undefined);

    const HOTSWAP_URL = server.facts.api;
    const refused = await hotswap(["status"], { HOTSWAP_URL, HOTSWAP_TOKEN: development.facts.token });
    assert.match(refused.stderr, /^hotswap: token_invalid/);
    const none = await hotswap(["status", "--data", data], env);
    assert.match(none.stderr, /^hotswap: token_missing/, "no token is made for a person unasked");

    const made = await hotswap(["token", "--role", "viewer", "--data", data, "--json"], env);
    const { token, mode } = JSON.parse(made.stdout);
    assert.equal(mode, "production");
    const status = await hotswap(["status", "-o", "json"], { HOTSWAP_URL, HOTSWAP_TOKEN: token });
    assert.equal(JSON.parse(status.stdout).mode, "production");

    const keyless = await hotswap(["token", "--role", "viewer", "--data", data]);
    assert.match(keyless.stderr, /^hotswap: setting_missing: secrets\.masterKey/);
    const explicit = await hotswap(
      ["token", "--role", "viewer", "--data", data, "--mode", "development"],
      env,
    );
    const old = await hotswap(["status"], { HOTSWAP_URL, HOTSWAP_TOKEN: explicit.stdout.trim() });
    assert.match(old.stderr, /^hotswap: token_invalid/);
  });
});
