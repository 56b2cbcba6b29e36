import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { inspect } from "node:util";
import { hasCode } from "../../core/errors.ts";
import { secretsConformance } from "./conformance.ts";
import { openSecrets } from "./index.ts";
import type { SecretStore } from "./port.ts";

const temporaryFolder = () => mkdtemp(join(tmpdir(), "hotswap-secrets-"));

secretsConformance("file", async () => {
  const folder = await temporaryFolder();
  let store: SecretStore | undefined;
  const reopen = async () => {
    await store?.stop();
    store = openSecrets({ path: join(folder, "deep/secrets.json") });
    await store.start();
    return store;
  };
  const stop = async () => {
    await store?.stop();
    await rm(folder, { recursive: true });
  };
  return { reopen, stop };
});

/** A file with the secrets alpha and beta, closed, and the key beside it. */
async function written(masterKey?: string) {
  const folder = await temporaryFolder();
  const path = join(folder, "secrets.json");
  const open = async (key = masterKey) => {
    const store = openSecrets({ path, masterKey: key });
    await store.start();
    return store;
  };
  const store = await open();
  await store.set("alpha", "hunter2");
  await store.set("beta", "swordfish");
  await store.stop();
  return { folder, path, open, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

const refusedAs = (text: RegExp) => (error: unknown) =>
  hasCode(error, "secrets_unreadable") &&
  text.test(error.message) &&
  !/hunter2|swordfish/.test(inspect(error));

suite("secrets: the file", () => {
  test("file and key are for the owner only, and no value is in them", async () => {
    await using files = await written();
    assert.deepEqual((await readdir(files.folder)).sort(), ["secrets.json", "secrets.json.key"]);
    for (const name of await readdir(files.folder)) {
      assert.equal((await stat(join(files.folder, name))).mode & 0o777, 0o600, name);
      assert.doesNotMatch(await readFile(join(files.folder, name), "utf8"), /hunter2|swordfish/);
    }
  });

  test("the same value is never sealed the same way twice", async () => {
    await using files = await written();
    const store = await files.open();
    await store.set("again", "hunter2");
    const before = JSON.parse(await readFile(files.path, "utf8"));
    await store.set("again", "hunter2");
    const after = JSON.parse(await readFile(files.path, "utf8"));
    assert.notEqual(before.values.again, after.values.again);
    assert.equal(before.values.alpha, after.values.alpha);
    await store.stop();
  });

  test("a wrong or missing key is told apart from a damaged file", async () => {
    const key = randomBytes(32).toString("base64");
    await using files = await written(key);
    assert.equal(await (await files.open()).get("alpha"), "hunter2");
    await assert.rejects(
      files.open(randomBytes(32).toString("base64")),
      refusedAs(/master key is not the one/),
    );
    const store = openSecrets({ path: files.path });
    await assert.rejects(store.start(), refusedAs(/no master key/));
    assert.deepEqual(await readdir(files.folder), ["secrets.json"]);
    for (const wrong of ["", "short", `${key}x`, key.slice(0, -1), randomBytes(31).toString("base64")]) {
      const error = (error: unknown) => hasCode(error, "setting_invalid") && !error.message.includes(key);
      await assert.rejects(files.open(wrong), error);
    }
  });

  test("a key that others can read is refused", { skip: process.platform === "win32" }, async () => {
    await using files = await written();
    await chmod(`${files.path}.key`, 0o640);
    await assert.rejects(files.open(), (error) => hasCode(error, "setting_invalid"));
  });

  test("damage anywhere is found at start, and the file is left alone", async () => {
    await using files = await written();
    const good = await readFile(files.path, "utf8");
    const { values, check } = JSON.parse(good);
    const flipped = (text: string, at: number) =>
      text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
    const bad: Record<string, string> = {
      empty: "",
      null: "null",
      cut: good.slice(0, -20),
      "another format": good.replace("hotswap-secrets-1", "hotswap-secrets-9"),
      "swapped names": good.replace("alpha", "x").replace("beta", "alpha").replace('"x"', '"beta"'),
      renamed: good.replace("alpha", "gamma"),
      "the check word as a value": good.replace(values.alpha, check),
      "no values": JSON.stringify({ format: "hotswap-secrets-1", check }),
    };
    for (let at = 0; at < values.beta.length; at++) {
      bad[`character ${at}`] = good.replace(values.beta, flipped(values.beta, at));
    }
    for (const [what, content] of Object.entries(bad)) {
      await writeFile(files.path, content);
      await assert.rejects(files.open(), refusedAs(/damaged/), what);
      assert.equal(await readFile(files.path, "utf8"), content);
    }
    await writeFile(files.path, good);
    assert.equal(await (await files.open()).get("beta"), "swordfish");
  });

  test("a crash between any two steps leaves the old secrets or the new", async () => {
    await using files = await written();
    const good = await readFile(files.path, "utf8");
    await writeFile(`${files.path}.new`, good.slice(0, 50)); // while writing beside it
    const store = await files.open();
    assert.equal(await store.get("alpha"), "hunter2");
    await store.set("alpha", "new");
    await store.stop();
    await rm(files.path); // the key was made, the file not yet
    const empty = await files.open();
    assert.deepEqual(await empty.list(), []);
    await empty.stop();
  });

  test("a change that cannot be written changes nothing, and the next one works", async () => {
    await using files = await written();
    const store = await files.open();
    await mkdir(`${files.path}.new`); // in the way of the temporary file
    await assert.rejects(store.set("alpha", "new"));
    assert.equal(await store.get("alpha"), "hunter2");
    await rm(`${files.path}.new`, { recursive: true });
    await store.set("alpha", "newer");
    assert.equal(await store.get("alpha"), "newer");
    await store.stop();
    await assert.rejects(store.get("alpha"), /not started/);
  });
});
