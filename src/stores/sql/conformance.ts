/**
 * What every SQL store must do, whichever server is behind it. Run by embedded.test.ts and external.test.ts.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Generated, sql } from "kysely";
import { sleep, systemClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { isUniqueViolation, type Migration, type Sql, type SqlOptions, type Tx } from "./index.ts";

export interface SqlFixture {
  /** Started, on an empty database. */
  sql: Sql;
  /** Another node on the same database, not yet started. */
  another(options?: Partial<SqlOptions>): Sql;
  /** Ends the server the hard way. */
  crash(): Promise<void>;
  /** Brings the server back. */
  recover(): Promise<void>;
  close(): Promise<void>;
}

interface Tables {
  notes: { tenant_id: string; id: number; text: string };
  counters: { name: string; value: number };
  kinds: { id: Generated<number>; big: number; day: string; amount: string; at: Date };
}

const schema: Migration[] = [
  {
    name: "test/0001_notes",
    sql: `create table notes (tenant_id text not null, id int not null, text text not null, primary key (tenant_id, id));
      alter table notes enable row level security;
      alter table notes force row level security;
      create policy tenant on notes using (
        tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');`,
  },
  {
    name: "test/0002_counters",
    sql: "create table counters (name text primary key, value int not null); insert into counters values ('a', 0), ('b', 0);",
  },
  {
    name: "test/0003_kinds",
    sql: "create table kinds (id int generated always as identity, big bigint, day date, amount numeric, at timestamptz);",
  },
];

/** `missing` names what is not installed here, and skips the suite. */
export function sqlConformance(name: string, open: () => Promise<SqlFixture>, missing?: string): void {
  describe(`sql on ${name}`, { skip: missing ? `${missing} is not installed` : false }, () => {
    let fixture: SqlFixture;
    let store: Sql;
    before(async () => {
      fixture = await open();
      store = fixture.sql;
      const [mine, other] = [fixture.another(), fixture.another()];
      await Promise.all([mine.start(), other.start()]);
      await nodesShareTheMigrations([store, mine, other]);
      await Promise.all([mine.stop(), other.stop()]);
    });
    after(() => fixture?.close());
    const current = () => ({ store, fixture });
    isolation(current);
    transactions(current);
    migrations(current);
    failures(current); // last: it ends the server
  });
}

type Current = () => { store: Sql; fixture: SqlFixture };

async function nodesShareTheMigrations(nodes: Sql[]): Promise<void> {
  const reports = await Promise.all(nodes.map((node) => node.migrate(schema)));
  const applied = reports.flatMap((report) => report.applied).sort();
  assert.deepEqual(
    applied,
    schema.map((migration) => migration.name),
    "each migration is applied by one node, once",
  );
}

const addNote = (tenant_id: string, id: number) => (tx: Tx<Tables>) =>
  tx
    .insertInto("notes")
    .values({ tenant_id, id, text: `note of ${tenant_id}` })
    .execute();
const readNotes = (tx: Tx<Tables>) => tx.selectFrom("notes").selectAll().orderBy("id").execute();

function isolation(current: Current): void {
  it("shows a tenant its own rows only, whatever the query asks for", async () => {
    const { store } = current();
    await store.tenant("north", addNote("north", 1));
    await store.tenant("south", addNote("south", 2));
    assert.deepEqual(
      (await store.tenant("north", readNotes)).map((note) => note.id),
      [1],
    );
    const stolen = await store.tenant("north", (tx: Tx<Tables>) =>
      tx.selectFrom("notes").selectAll().where("tenant_id", "=", "south").execute(),
    );
    assert.deepEqual(stolen, []);
    assert.equal((await store.system(readNotes)).length, 2);
  });

  it("lets a tenant neither write, change nor delete another's rows", async () => {
    const { store } = current();
    await assert.rejects(store.tenant("north", addNote("south", 3)), { code: "42501" });
    const moved = (tx: Tx<Tables>) => tx.updateTable("notes").set({ tenant_id: "south" }).execute();
    await assert.rejects(store.tenant("north", moved), { code: "42501" });
    await store.tenant("north", (tx: Tx<Tables>) =>
      tx.deleteFrom("notes").where("tenant_id", "=", "south").execute(),
    );
    assert.deepEqual(
      (await store.tenant("south", readNotes)).map((note) => note.text),
      ["note of south"],
    );
  });

  it("leaves nothing of a tenant on the connection", async () => {
    const { store } = current();
    const read = sql<{
      tenant: string;
      timeout: string;
    }>`select current_setting('hotswap.tenant', true) as tenant,
      current_setting('statement_timeout') as timeout`;
    const [inside, after, notes] = await store.tenant("north", async (tx: Tx<Tables>) => {
      const before = await read.execute(tx);
      await sql`commit`.execute(tx); // what follows is the bare connection, as PgBouncer may give it to anybody
      return [before.rows[0], (await read.execute(tx)).rows[0], await readNotes(tx)];
    });
    assert.deepEqual(inside, { tenant: "north", timeout: "30s" });
    assert.deepEqual(after, { tenant: "", timeout: "0" });
    assert.deepEqual(notes, []);
  });

  it("takes neither the empty name nor the sign for all tenants as a tenant", async () => {
    const { store } = current();
    for (const name of ["", "*"]) await assert.rejects(store.tenant(name, readNotes), TypeError);
  });
}

function transactions(current: Current): void {
  it("rolls back when the work throws, and passes the error on untouched", async () => {
    const { store } = current();
    const mistake = new Error("a mistake of the caller");
    const work = async (tx: Tx<Tables>) => {
      await addNote("undone", 1)(tx);
      throw mistake;
    };
    await assert.rejects(store.tenant("undone", work), (error) => error === mistake);
    assert.deepEqual(await store.tenant("undone", readNotes), []);
  });

  it("names a violated unique key", async () => {
    const { store } = current();
    await store.tenant("twice", addNote("twice", 1));
    const error = await store.tenant("twice", addNote("twice", 1)).catch((caught) => caught);
    assert.ok(isUniqueViolation(error));
    assert.ok(isUniqueViolation(error, "notes_pkey"));
    assert.ok(!isUniqueViolation(error, "another_key"));
  });

  it("gives bigint as a number, date and numeric as strings", async () => {
    const { store } = current();
    const row = {
      big: 2 ** 53 - 1,
      day: "2024-02-29",
      amount: "12345678901234567890.05",
      at: new Date(1_700_000_000_000),
    };
    const read = await store.system(async (tx: Tx<Tables>) => {
      await tx.insertInto("kinds").values(row).execute();
      return tx.selectFrom("kinds").select(["big", "day", "amount", "at"]).execute();
    });
    assert.deepEqual(read, [row]);
    await assert.rejects(
      store.system((tx) => sql`select 9007199254740993::bigint`.execute(tx)),
      RangeError,
    );
  });

  it("runs the work again after a deadlock", async () => {
    const { store } = current();
    const bothHoldOne = barrier(2);
    let runs = 0;
    const cross = (first: string, second: string) =>
      store.system(async (tx: Tx<Tables>) => {
        runs++;
        const add = (name: string) =>
          tx
            .updateTable("counters")
            .set((row) => ({ value: row("value", "+", 1) }))
            .where("name", "=", name)
            .execute();
        await add(first);
        await bothHoldOne();
        await add(second);
      });
    await Promise.all([cross("a", "b"), cross("b", "a")]);
    const counters = await store.system((tx: Tx<Tables>) =>
      tx.selectFrom("counters").select("value").execute(),
    );
    assert.deepEqual(
      counters.map((row) => row.value),
      [2, 2],
    );
    assert.ok(runs > 2, "one of them ran again");
  });

  it("lets go of what a transaction holds that stands still, and begins it anew when it goes on", async () => {
    const { store, fixture } = current();
    const frozen = fixture.another({ idleInTransactionTimeoutMs: 100 });
    await frozen.start();
    const add = (tx: Tx<Tables>) =>
      tx
        .updateTable("counters")
        .set((row) => ({ value: row("value", "+", 1) }))
        .where("name", "=", "a")
        .returning("value")
        .executeTakeFirstOrThrow();
    const seen: number[] = [];
    await frozen.system(async (tx: Tx<Tables>) => {
      seen.push((await add(tx)).value);
      // It holds the row; another one has it nonetheless, and this one is cut off by then.
      if (seen.length === 1) seen.push((await store.system(add)).value);
      seen.push((await add(tx)).value);
    });
    const first = seen[0]!;
    assert.deepEqual(seen, [first, first, first + 1, first + 2], "the first try counts for nothing");
    await frozen.stop();
  });

  it("ends a statement that runs for too long", async () => {
    const { fixture } = current();
    const impatient = fixture.another({ statementTimeoutMs: 50 });
    await impatient.start();
    const slow = impatient.system((tx) => sql`select pg_sleep(20)`.execute(tx));
    await assert.rejects(slow, { code: "store_unavailable", message: "PostgreSQL did not answer (57014)." });
    await impatient.ping(1000);
    await impatient.stop();
  });
}

function migrations(current: Current): void {
  it("applies nothing twice, and reports what it does not know", async () => {
    const { store } = current();
    assert.deepEqual(await store.migrate(schema), { applied: [], unknown: [] });
    const older = await store.migrate(schema.slice(0, 1));
    assert.deepEqual(older, { applied: [], unknown: ["test/0002_counters", "test/0003_kinds"] });
  });

  it("refuses a migration that was changed after it had been applied, before it applies anything", async () => {
    const { store } = current();
    const edited = [{ name: "test/0000_new", sql: "create table new_one (a int)" }, ...schema.slice(0, 2)];
    edited.push({ ...schema[2]!, sql: `${schema[2]!.sql} -- edited` });
    await assert.rejects(store.migrate(edited), { code: "migration_failed", message: /test\/0003_kinds/ });
    assert.equal(await tableExists(store, "new_one"), false);
    const lineEnds = schema.map((migration) => ({
      ...migration,
      sql: migration.sql.replaceAll("\n", "\r\n"),
    }));
    assert.deepEqual((await store.migrate(lineEnds)).applied, []);
  });

  it("leaves nothing of a migration that fails, and keeps those before it", async () => {
    const { store } = current();
    const steps = [
      { name: "test/0004_good", sql: "create table good (a int)" },
      { name: "test/0005_bad", sql: "create table half (a int); select 1/0;" },
    ];
    const failed = store.migrate([...schema, ...steps]);
    await assert.rejects(failed, { code: "migration_failed", message: "test/0005_bad: division by zero" });
    assert.deepEqual([await tableExists(store, "good"), await tableExists(store, "half")], [true, false]);
    steps[1]!.sql = "create table half (a int)";
    assert.deepEqual((await store.migrate([...schema, ...steps])).applied, ["test/0005_bad"]);
  });

  it("gives a migration the time that it needs", async () => {
    const impatient = current().fixture.another({ statementTimeoutMs: 50 });
    await impatient.start();
    const slow = { name: "test/0006_slow", sql: "select pg_sleep(0.2)" };
    assert.deepEqual((await impatient.migrate([...schema, slow])).applied, [slow.name]);
    await impatient.stop();
  });
}

function failures(current: Current): void {
  it("answers a ping", () => current().store.ping(1000));

  it("survives the loss of a connection between two statements", async () => {
    const { store } = current();
    const killed = store.system(async (tx: Tx<Tables>) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      await store.system((other) => sql`select pg_terminate_backend(${rows[0]!.pid}, 5000)`.execute(other));
      await readNotes(tx);
    });
    await assert.rejects(killed, { code: "store_unavailable" });
    await store.system(readNotes);
  });

  it("rejects with store_unavailable when the server dies within a transaction, and goes on when it is back", async () => {
    const { store, fixture } = current();
    await store.tenant("lasting", addNote("lasting", 1));
    const lost = store.tenant("lasting", async (tx: Tx<Tables>) => {
      await addNote("lasting", 2)(tx);
      await fixture.crash();
      await readNotes(tx);
    });
    await assert.rejects(lost, { code: "store_unavailable", message: /^PostgreSQL did not answer/ });
    await fixture.recover();
    await untilAvailable(() => store.ping(1000));
    assert.deepEqual(
      (await store.tenant("lasting", readNotes)).map((note) => note.id),
      [1],
    );
  });

  it("says that it is not running after stop, which may be called twice", async () => {
    const { store } = current();
    await store.stop();
    await store.stop();
    await assert.rejects(store.system(readNotes), { code: "store_unavailable" });
    await assert.rejects(store.ping(100), { code: "store_unavailable" });
    await store.start();
    assert.equal((await store.tenant("lasting", readNotes)).length, 1);
  });
}

async function tableExists(store: Sql, name: string): Promise<boolean> {
  const found = sql<{ exists: boolean }>`select to_regclass(${name}) is not null as exists`;
  return store.system(async (tx) => (await found.execute(tx)).rows[0]!.exists);
}

/** Tries until a server that nobody announces is there. */
export async function untilAvailable(attempt: () => Promise<void>, patienceMs = 15_000): Promise<void> {
  const deadline = systemClock.monotonic() + patienceMs;
  for (;;) {
    const failure = await attempt().then(
      () => undefined,
      (error) => error,
    );
    if (!failure) return;
    if (!hasCode(failure, "store_unavailable") || systemClock.monotonic() > deadline) throw failure;
    await sleep(systemClock, 10);
  }
}

/** Resolves for all when `count` have come; later callers pass at once. */
function barrier(count: number): () => Promise<void> {
  let arrived = 0;
  const opened = Promise.withResolvers<void>();
  return () => {
    if (++arrived === count) opened.resolve();
    return opened.promise;
  };
}
