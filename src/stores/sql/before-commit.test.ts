import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sql } from "kysely";
import { beforeCommit } from "./before-commit.ts";
import type { AnyTx } from "./port.ts";
import { type TestDatabase, testDatabase } from "./testing.ts";

describe("steps before the commit", () => {
  let database: TestDatabase;
  before(async () => {
    database = await testDatabase([
      { name: "t/0001", sql: "create table notes (id int generated always as identity, text text)" },
    ]);
  });
  after(() => database.close());

  const insert = (tx: AnyTx, text: string) => sql`insert into notes (text) values (${text})`.execute(tx);
  const texts = () =>
    database.sql.system(async (tx: AnyTx) => {
      const { rows } = await sql<{ text: string }>`select text from notes order by id`.execute(tx);
      return rows.map((row) => row.text);
    });

  test("run after the work, in order, and may register more", async () => {
    await database.sql.tenant("acme", async (tx: AnyTx) => {
      beforeCommit(tx, async () => {
        await insert(tx, "first");
        beforeCommit(tx, async () => void (await insert(tx, "third")));
      });
      beforeCommit(tx, async () => void (await insert(tx, "second")));
      await insert(tx, "work");
    });
    assert.deepEqual(await texts(), ["work", "first", "second", "third"]);
  });

  test("a step that fails takes the work with it; work that fails runs no step", async () => {
    const earlier = await texts();
    const failingStep = database.sql.tenant("acme", async (tx: AnyTx) => {
      await insert(tx, "lost");
      beforeCommit(tx, async () => {
        throw new Error("the step failed");
      });
    });
    await assert.rejects(failingStep, /the step failed/);
    let ran = false;
    const failingWork = database.sql.tenant("acme", async (tx: AnyTx) => {
      beforeCommit(tx, async () => {
        ran = true;
      });
      throw new Error("the work failed");
    });
    await assert.rejects(failingWork, /the work failed/);
    assert.equal(ran, false);
    assert.deepEqual(await texts(), earlier);
  });

  test("a transaction that is over, or is not the port's, is refused", async () => {
    const over = await database.sql.tenant("acme", async (tx: AnyTx) => ({ tx }));
    assert.throws(() => beforeCommit(over.tx, async () => {}), TypeError);
  });
});
