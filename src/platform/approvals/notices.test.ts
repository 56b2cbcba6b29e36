import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../core/clock.ts";
import { hasCode } from "../../core/errors.ts";
import { idMaker } from "../../core/ids.ts";
import { systemRandom } from "../../core/random.ts";
import { loadMigrations } from "../../stores/sql/migrations.ts";
import { testDatabase } from "../../stores/sql/testing.ts";
import type { ApprovalTables, ApprovalTx, NoticeRow } from "./approvals.sql.ts";
import { migrations } from "./index.ts";
import { Notices } from "./notices.ts";
import { webhookSignature } from "./webhook.ts";

const key = Buffer.alloc(32, 7);
const secret = `whsec_${key.toString("base64")}`;

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers with what `answer` says; undefined: it breaks the connection. */
async function startReceiver(t: TestContext) {
  const received: Received[] = [];
  const receiver = { received, url: "", answer: 204 as number | undefined };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    received.push({ headers: request.headers, body });
    if (receiver.answer === undefined) return void request.socket.destroy();
    response.writeHead(receiver.answer, { location: "http://127.0.0.1:1/" }).end("thank you");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return receiver;
}

async function setUp(t: TestContext) {
  const database = await testDatabase(await loadMigrations("approvals", migrations));
  const receiver = await startReceiver(t);
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const make = () =>
    new Notices({
      sql: database.sql,
      clock,
      makeId: idMaker(clock, systemRandom),
      webhook: { url: receiver.url, secret },
      onError: (error) => errors.push(error),
    });
  const notices = make();
  t.after(async () => {
    await notices.stop();
    await database.close();
  });
  const add = (type: string, tenant = "acme") =>
    database.sql.tenant(tenant, (tx: ApprovalTx) => notices.add(tx, tenant, type, { id: "a1" }));
  const waiting = () =>
    database.sql.system<ApprovalTables, NoticeRow[]>((tx) =>
      tx.selectFrom("approval_notices").selectAll().orderBy("id").execute(),
    );
  return { ...database, receiver, clock, errors, notices, make, add, waiting };
}

test("a notice is signed as Standard Webhooks says, and gone when it is taken", async (t) => {
  const { receiver, notices, add, waiting } = await setUp(t);
  await add("approval.requested");
  await notices.deliver();
  const [{ headers, body }] = receiver.received as [Received];
  assert.deepEqual(JSON.parse(body), {
    type: "approval.requested",
    timestamp: "2023-11-14T22:13:20.000Z",
    data: { id: "a1" },
  });
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["webhook-timestamp"], "1700000000");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const expected = `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
  assert.equal(headers["webhook-signature"], expected);
  assert.deepEqual(await waiting(), []);
});

test("the signature fits the specification's own example", () => {
  const signature = webhookSignature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp: 1614265330,
    body: '{"test": 2432232314}',
  });
  assert.equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

test("a change that is rolled back sends nothing", async (t) => {
  const { sql, notices, receiver } = await setUp(t);
  const failing = sql.tenant("acme", async (tx: ApprovalTx) => {
    await notices.add(tx, "acme", "approval.requested", {});
    throw new Error("the change failed");
  });
  await assert.rejects(failing);
  await notices.deliver();
  assert.equal(receiver.received.length, 0);
});

test("what the receiver does not take comes again, later and later, under the same id", async (t) => {
  const { receiver, notices, add, waiting, clock, errors } = await setUp(t);
  await add("approval.requested");
  const answers = [500, undefined, 302, 404];
  for (const [attempt, answer] of answers.entries()) {
    receiver.answer = answer;
    await notices.deliver();
    assert.equal(receiver.received.length, attempt + 1);
    await notices.deliver();
    assert.equal(receiver.received.length, attempt + 1, "it is not due yet");
    clock.advance(15_000 * 2 ** attempt - 1);
    await notices.deliver();
    assert.equal(receiver.received.length, attempt + 1);
    clock.advance(1);
  }
  const [row] = await waiting();
  assert.deepEqual([row?.attempts, row?.last_error], [4, "the receiver answered 404"]);
  assert.equal(errors.length, 4);
  receiver.answer = 200;
  await notices.deliver();
  assert.equal(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size, 1);
  assert.deepEqual(await waiting(), []);
});

test("after days of failure it is tried every hour still", async (t) => {
  const { sql, notices, add, waiting, clock, receiver } = await setUp(t);
  await add("approval.requested");
  await sql.system<ApprovalTables, unknown>((tx) =>
    tx.updateTable("approval_notices").set({ attempts: 500 }).execute(),
  );
  receiver.answer = 500;
  await notices.deliver();
  const [row] = await waiting();
  assert.equal(row!.next_attempt_at.getTime() - clock.now(), 3_600_000);
});

test("two nodes share the work: each notice goes out once", async (t) => {
  const { notices, make, add, receiver, waiting } = await setUp(t);
  const other = make();
  for (let i = 0; i < 35; i++) await add(`n${i}`, i % 2 ? "acme" : "globex");
  await Promise.all([notices.deliver(), other.deliver()]);
  const types = receiver.received.map(({ body }) => JSON.parse(body).type);
  assert.deepEqual(types.sort(), Array.from({ length: 35 }, (_, i) => `n${i}`).sort());
  assert.deepEqual(await waiting(), []);
  await other.stop();
});

test("it delivers by itself once started; what is left at the stop goes out after a restart", async (t) => {
  const { notices, make, add, receiver, clock, waiting } = await setUp(t);
  await notices.start();
  await add("first");
  clock.advance(1_000);
  await notices.deliver(); // runs after the one that the timer has begun
  assert.equal(receiver.received.length, 1);
  await notices.stop();
  await add("second");
  clock.advance(10_000);
  await notices.deliver();
  assert.equal(receiver.received.length, 1);
  const restarted = make();
  await restarted.deliver();
  assert.equal(receiver.received.length, 2);
  assert.deepEqual(await waiting(), []);
});

test("a URL or secret that cannot be used is refused at once, and not shown", () => {
  for (const webhook of [
    { url: "ftp://example.com", secret },
    { url: "example", secret },
    { url: "https://example.com", secret: "hunter2hunter2hunter2hunter2hunter2" },
    { url: "https://example.com", secret: "whsec_aHVudGVyMg==" },
  ]) {
    const make = () =>
      new Notices({
        sql: undefined as never,
        clock: new ManualClock(),
        makeId: () => "",
        webhook,
        onError: () => {},
      });
    assert.throws(make, (error) => {
      assert.ok(hasCode(error, "setting_invalid"));
      assert.doesNotMatch(error.message, /hunter2|aHVudGVyMg/);
      return true;
    });
  }
});
