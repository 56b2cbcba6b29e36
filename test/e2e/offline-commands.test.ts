/** The commands that need no server: what they print, and how they end. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { hotswap, temporaryFolder } from "./hotswap.ts";

suite("commands without a server", () => {
  test("routes lists every endpoint with who may call it", async () => {
    const { code, stdout } = await hotswap(["routes", "--json"]);
    assert.equal(code, 0);
    const rows = JSON.parse(stdout) as Record<string, string>[];
    const publish = rows.find(({ operation }) => operation === "messaging.messages.publish");
    assert.equal(publish?.permission, "messages.publish");
    assert.ok(publish?.roles?.includes("producer") && !publish.roles.includes("consumer"));
    assert.match(publish?.file ?? "", /^src\/messaging\/messages\.routes\.ts:\d+$/);
    assert.ok(rows.some(({ permission }) => permission === "public"));
    const filtered = await hotswap(["routes", "approvals.decide"]);
    assert.match(filtered.stdout, /^METHOD.*\n(.*approvals\.decide.*\n)+$/);
    assert.equal((await hotswap(["routes", "no such thing"])).code, 1);
  });

  test("doctor finds what is wrong, says what to do, and fails", async () => {
    await using folder = await temporaryFolder();
    const { code, stdout } = await hotswap(["doctor", "--data", folder.path, "--port", "0"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /disk +fdatasync of 4 KiB: p50 [\d.]+ ms, p99 [\d.]+ ms/);
    const ill = ["--kv", "redis://127.0.0.1:9", "--sql", "postgres://127.0.0.1:9/x", "--json"];
    const found = await hotswap(["doctor", "--data", "/dev/null/x", "--port", "0", ...ill]);
    assert.equal(found.code, 1);
    const findings = JSON.parse(found.stdout) as { name: string; status: string; remedy?: string }[];
    const failed = findings.filter(({ status }) => status === "fail");
    assert.deepEqual(
      failed.map(({ name }) => name),
      ["data", "sql", "kv"],
    );
    assert.ok(failed.every(({ remedy }) => remedy));
    const production = await hotswap(["doctor", "--production", "--port", "0"]);
    assert.equal(production.code, 1);
    assert.match(production.stdout, /secrets\.masterKey/);
  });
});
