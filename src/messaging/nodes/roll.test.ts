import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { sql } from "kysely";
import { loadMigrations } from "../../stores/sql/index.ts";
import { type TestDatabase, testDatabase } from "../../stores/sql/testing.ts";
import { Roll } from "./roll.ts";
import type { Unit } from "./unit.ts";

const health = { queueDepth: 0, consumers: 0, topics: 0, cpuShare: 0, memoryBytes: 0, eventLoopDelayMs: 0 };
const units = (...topics: string[]): Unit[] => topics.map((topic) => ({ tenant: "t", topic }));

suite("the roll of nodes", () => {
  let database: TestDatabase;
  let roll: Roll;
  let fresh = 0;
  before(async () => {
    database = await testDatabase(
      await loadMigrations("messaging", new URL("../migrations/", import.meta.url)),
    );
    roll = new Roll(database.sql);
  });
  after(() => database?.close());

  const enter = async (leaseMs = 60_000): Promise<string> => {
    const id = `node-${fresh++}`;
    await roll.enter({ id, name: id, address: "http://127.0.0.1:1", leaseMs, health });
    return id;
  };
  /** As if the node had been silent for that long. */
  const silence = (id: string, ms: number) =>
    database.sql.system((tx) =>
      sql`update messaging_nodes set heartbeat_at = heartbeat_at - ${ms} * interval '1 millisecond'
        where id = ${id}`.execute(tx),
    );
  const stateOf = async (id: string) => (await roll.nodes()).find((node) => node.id === id)?.state;

  test("a session lives by its heartbeats; after its lease it is dead for ever", async () => {
    const id = await enter(1000);
    assert.equal(await roll.beat(id, "started", { ...health, queueDepth: 7 }), true);
    assert.equal((await roll.nodes()).find((node) => node.id === id)?.health.queueDepth, 7);
    await silence(id, 1000);
    assert.equal(await roll.beat(id, "started", health), false, "before anybody has looked");
    assert.equal(await stateOf(id), "dead");
    assert.equal(await roll.beat(id, "started", health), false);
  });

  test("a unit is given to one session, and its epoch grows with each change", async () => {
    const [a, b] = [await enter(), await enter()];
    const both = await Promise.all([roll.claim(a, units("one")), roll.claim(b, units("one"))]);
    assert.deepEqual(both.flat(), [{ unit: units("one")[0], epoch: 1 }]);
    const owner = (await roll.ownerOf(units("one")[0]!))!.node;
    const other = owner === a ? b : a;
    assert.deepEqual(await roll.claim(other, units("one")), []);
    await roll.leave(owner);
    assert.deepEqual(await roll.claim(other, units("one")), [{ unit: units("one")[0], epoch: 2 }]);
    assert.deepEqual(await roll.ownerOf(units("one")[0]!), { node: other, epoch: 2 });
  });

  test("a unit of a silent node is free when the lease is over, and not before", async () => {
    const [a, b] = [await enter(1000), await enter()];
    await roll.claim(a, units("late"));
    await silence(a, 900);
    await roll.nodes();
    assert.deepEqual(await roll.claim(b, units("late")), []);
    await silence(a, 100);
    await roll.nodes();
    assert.deepEqual(await roll.orphans(), units("late"));
    assert.equal((await roll.claim(b, units("late"))).length, 1);
    assert.deepEqual(await roll.claim(a, units("late", "more")), [], "the dead claim nothing");
  });

  test("units are handed over by their owner only, to a node that takes some, under a new epoch", async () => {
    const [a, b, c] = [await enter(), await enter(), await enter()];
    const owned = await roll.claim(a, units("x", "y"));
    assert.deepEqual(await roll.assign(b, c, owned), []);
    await roll.beat(c, "draining", health);
    assert.deepEqual(await roll.assign(a, c, owned), []);
    const given = await roll.assign(a, b, owned);
    assert.deepEqual(
      given.map(({ epoch }) => epoch),
      [2, 2],
    );
    assert.deepEqual(await roll.assign(a, b, owned), [], "the epoch is another by now");
    assert.equal((await roll.ownedBy(b)).length, 2);
  });

  test("a node that drains claims nothing", async () => {
    const a = await enter();
    await roll.beat(a, "draining", health);
    assert.deepEqual(await roll.claim(a, units("drained")), []);
  });

  test("changes of topics and subscriptions are told, also those of a transaction that ends late", async () => {
    const insert = (name: string) => sql`insert into messaging_topics
      (tenant_id, name, type, strategy, partitions, durability, created_at, updated_at)
      values ('t', ${name}, 'queue', 'load-balanced', 1, 'fsync', now(), now())`;
    const { upTo } = await roll.changes(undefined);
    const { promise: committed, resolve: commit } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const late = database.sql.tenant("t", async (tx) => {
      await insert("slow").execute(tx);
      begin();
      await committed;
    });
    await begun;
    await database.sql.tenant("t", (tx) => insert("quick").execute(tx));
    const first = await roll.changes(upTo);
    assert.deepEqual(first.topics, [{ tenant: "t", name: "quick" }]);
    commit();
    await late;
    const second = await roll.changes(first.upTo);
    assert.ok(second.topics.some(({ name }) => name === "slow"));
    await database.sql.tenant("t", (tx) =>
      sql`delete from messaging_topics where tenant_id = 't' and name = 'quick'`.execute(tx),
    );
    const third = await roll.changes(second.upTo);
    assert.deepEqual(
      third.topics.map(({ name }) => name),
      ["quick"],
    );
  });
});
