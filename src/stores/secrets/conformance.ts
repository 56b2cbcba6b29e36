/** What every secret driver must do. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { inspect } from "node:util";
import { hasCode } from "../../core/errors.ts";
import { type SecretStore, valueBytesMax } from "./port.ts";

export interface SecretsUnderTest {
  /** A started store on the same secrets; the one before it is stopped. */
  reopen(): Promise<SecretStore>;
  stop(): Promise<void>;
}

export function secretsConformance(
  driver: string,
  open: () => Promise<SecretsUnderTest>,
  options: { skip?: string | false } = {},
): void {
  suite(`secrets: ${driver}`, { skip: options.skip ?? false }, () => {
    let opened: SecretsUnderTest;
    let secrets: SecretStore;
    before(async () => {
      opened = await open();
      secrets = await opened.reopen();
    });
    after(() => opened.stop());

    test("a value is what was set last, also after a restart", async () => {
      assert.equal(await secrets.get("a"), undefined);
      for (const value of ["first", "", "ünïcødé 🚀\0\r\n", "x".repeat(valueBytesMax)]) {
        await secrets.set("a", value);
        assert.equal(await secrets.get("a"), value);
        secrets = await opened.reopen();
        assert.equal((await secrets.get("a")) === value, true);
      }
    });

    test("a deleted secret is gone, also after a restart", async () => {
      await secrets.set("gone", "v");
      await secrets.delete("gone");
      await secrets.delete("gone");
      assert.equal(await secrets.get("gone"), undefined);
      secrets = await opened.reopen();
      assert.equal(await secrets.get("gone"), undefined);
    });

    test("names are listed in order, whatever they are", async () => {
      const names = ["constructor", "hasOwnProperty", "auth/keys", "B", "1", "x".repeat(200), "proto__"];
      for (const name of names) assert.equal(await secrets.get(name), undefined, name);
      for (const name of names) await secrets.set(name, `of ${name}`);
      secrets = await opened.reopen();
      assert.deepEqual(
        (await secrets.list()).filter((name) => names.includes(name)),
        names.sort(),
      );
      for (const name of names) assert.equal(await secrets.get(name), `of ${name}`);
    });

    test("changes made at once all count", async () => {
      const names = Array.from({ length: 20 }, (_, i) => `many/${i}`);
      await Promise.all(names.map((name) => secrets.set(name, name)));
      secrets = await opened.reopen();
      for (const name of names) assert.equal(await secrets.get(name), name);
      await Promise.all([secrets.set("quick", "v"), secrets.delete("quick")]);
      assert.equal(await secrets.get("quick"), undefined);
    });

    test("names and values that cannot be kept are refused, without showing the value", async () => {
      const refused = (error: unknown) =>
        hasCode(error, "validation_failed") && !inspect(error).includes("hunter2");
      for (const name of ["", ".a", "/a", "_proto", "a b", "ä", "a\n", "x".repeat(201)]) {
        await assert.rejects(secrets.get(name), refused, name);
        await assert.rejects(secrets.set(name, "hunter2"), refused, name);
        await assert.rejects(secrets.delete(name), refused, name);
      }
      await assert.rejects(secrets.set("a", "hunter2".repeat(valueBytesMax)), refused);
      await assert.rejects(secrets.set("a", "hunter2 \ud800"), refused);
    });

    test("a store that shows itself shows no secrets", async () => {
      await secrets.set("shown", "hunter2");
      assert.doesNotMatch(
        inspect(secrets, { depth: 10, showHidden: true }) + JSON.stringify(secrets),
        /hunter2/,
      );
    });
  });
}
