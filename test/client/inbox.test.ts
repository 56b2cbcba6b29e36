/**
 * The inbox on a real PostgreSQL: a consumer that dies between commit and ack is given its message again, and the
 * effect has still happened once.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { connect, type HotSwap, Inbox } from "../../client/src/node.ts";
import { type TestDatabase, testDatabase } from "../../src/stores/sql/testing.ts";
import { type Caller, TestServer } from "../server.ts";

let server: TestServer;
let ann: Caller;
let database: TestDatabase;
let pool: pg.Pool;
let client: HotSwap;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
  client = connect({ url: server.url, token: ann.token });
  database = await testDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 4 });
  // One that has said goodbye may still be told that its database goes.
  pool.on("connect", (connection) => connection.on("error", () => {}));
  await pool.query("create table sums (total integer not null)");
  await pool.query("insert into sums values (0)");
  await pool.query(new Inbox(pool, { consumer: "adder" }).sql);
  await ann.ok(ann.post("/topics", { name: "sums", type: "pubsub" }));
  for (const name of ["adder", "other"]) {
    await ann.ok(
      ann.post("/subscriptions", { topic: "sums", name, ackDeadlineSeconds: 1, from: "earliest" }),
    );
  }
});
after(async () => {
  client?.close();
  await pool?.end();
  await database?.close();
  await server?.remove();
});

const total = async () => (await pool.query("select total from sums")).rows[0].total as number;

describe("the inbox", { timeout: 60_000 }, () => {
  test("killed between commit and ack: the message comes again, the effect does not", async () => {
    await client.messages.publish("sums", { payload: 5 });
    const victim = fileURLToPath(new URL("./inbox.victim.ts", import.meta.url));
    const child = spawn(process.execPath, [victim, server.url, ann.token!, database.url], {
      stdio: "inherit",
    });
    const [, signal] = await once(child, "exit");
    assert.equal(signal, "SIGKILL");
    assert.equal(await total(), 5);
    const inbox = new Inbox(pool, { consumer: "adder" });
    await using stream = client.stream();
    for await (const message of stream.consume<number>("sums", { subscription: "adder", count: 1 })) {
      assert.equal(message.attempt, 2);
      const isFirst = await inbox.handle(message, async (tx) => {
        await tx.query("update sums set total = total + $1", [message.payload]);
      });
      assert.equal(isFirst, false);
    }
    assert.equal(await total(), 5);
    const stats = await ann.ok(ann.get("/topics/sums/stats"));
    assert.equal(stats.subscriptions.find(({ name }: { name: string }) => name === "adder").depth, 0);
  });

  test("an effect that fails leaves nothing, and the message comes again; another consumer has an inbox of its own", async () => {
    const inbox = new Inbox(pool, { consumer: "other" });
    await using stream = client.stream();
    const consumer = stream.consume<number>("sums", { subscription: "other", count: 2 });
    const first = (await consumer.next()).value!;
    const failing = inbox.handle(first, async (tx) => {
      await tx.query("update sums set total = total + 100");
      throw new Error("no");
    });
    await assert.rejects(failing, /^Error: no$/);
    assert.equal(await total(), 5);
    const second = (await consumer.next()).value!;
    assert.deepEqual([second.attempt, second.extras.lastReason], [2, "no"]);
    const add = () =>
      inbox.handle(second, async (tx) => void (await tx.query("update sums set total = total + 1")));
    // At the same moment, on two connections: one waits for the other's row and finds it.
    assert.deepEqual((await Promise.all([add(), add()])).sort(), [false, true]);
    assert.equal(await total(), 6);
    assert.equal(await inbox.prune(pool, -1), 1);
  });
});
