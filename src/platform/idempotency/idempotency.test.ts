import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Type } from "typebox";
import type { ErrorCode } from "../../core/catalogue.ts";
import { ManualClock } from "../../core/clock.ts";
import { HotSwapError, hasCode } from "../../core/errors.ts";
import { idMaker } from "../../core/ids.ts";
import { systemRandom } from "../../core/random.ts";
import { loadMigrations } from "../../stores/sql/migrations.ts";
import { testDatabase } from "../../stores/sql/testing.ts";
import type { Principal } from "../auth/principal.ts";
import { testServer } from "../auth/testing.ts";
import { Reply, route } from "../http/route.ts";
import { fingerprint, Idempotency } from "./idempotency.ts";
import { migrations } from "./index.ts";

const ann: Principal = { subject: "ann", tenant: "acme", roles: [], attributes: {}, expiresAt: 0 };

async function setUp(t: TestContext) {
  const database = await testDatabase(await loadMigrations("idempotency", migrations));
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const make = () =>
    new Idempotency({
      sql: database.sql,
      clock,
      makeId: idMaker(clock, systemRandom),
      onError: (error) => errors.push(error),
    });
  const idempotency = make();
  t.after(() => database.close());
  let runs = 0;
  const count = async () => new Reply({ run: ++runs });
  const run = async (key: string, print = "f1", work: () => Promise<Reply> = count, principal = ann) => {
    const { body } = await idempotency.run(principal, "topics.create", key, print, work);
    return (body as { run: number }).run;
  };
  return { ...database, clock, errors, idempotency, make, run, runs: () => runs };
}

const refusedWith = (code: ErrorCode) => (error: unknown) => {
  assert.ok(hasCode(error, code), `${error}`);
  return true;
};

/** A promise to be settled from outside. */
function gate<T>() {
  let open: (value: T) => void = () => {};
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

test("a repeat gets the first answer; another key, subject, tenant or route runs anew", async (t) => {
  const { run, idempotency, runs } = await setUp(t);
  assert.equal(await run("k1"), 1);
  assert.equal(await run("k1"), 1);
  assert.equal(await run('"k1"'), 1, "quoted or bare, it is the same key");
  assert.equal(await run("k2"), 2);
  assert.equal(await run("k1", "f1", undefined, { ...ann, subject: "bob" }), 3);
  assert.equal(await run("k1", "f1", undefined, { ...ann, tenant: "globex" }), 4);
  await idempotency.run(ann, "topics.delete", "k1", "f1", async () => new Reply({}));
  assert.equal(runs(), 4);
});

test("a stored answer is the first one to the byte, marked as a repeat", async (t) => {
  const { idempotency } = await setUp(t);
  const json = { "content-type": "application/json", location: "/x" };
  const replies = [
    new Reply({ a: [1, null, "é"] }, { status: 201, headers: { location: "/x" } }),
    new Reply(undefined, { status: 204 }),
    new Reply(Buffer.from([0, 255, 10]), { headers: { "content-type": "application/octet-stream" } }),
    new Reply('{"a" : 1}\n', { headers: json }),
    new Reply("text without a type"),
    new Reply(false),
  ];
  for (const [index, reply] of replies.entries()) {
    const once = () => idempotency.run(ann, "r", `k${index}`, "f", async () => reply);
    assert.equal(await once(), reply);
    const repeat = await once();
    assert.deepEqual([repeat.body, repeat.status], [reply.body, reply.status]);
    assert.deepEqual(repeat.headers, { ...reply.headers, "idempotency-replayed": "true" });
  }
});

test("a key used for another request is refused, also while the first is running", async (t) => {
  const { run, clock } = await setUp(t);
  const { passed, open } = gate<Reply>();
  const started = gate<void>();
  const first = run("k1", "f1", () => {
    started.open();
    return passed;
  });
  await started.passed;
  await assert.rejects(run("k1", "f2"), refusedWith("idempotency_key_reused"));
  await assert.rejects(run("k1", "f1"), (error) => {
    assert.ok(hasCode(error, "idempotency_in_progress"));
    assert.equal(error.retryAfterMs, 1_000);
    return true;
  });
  open(new Reply({ run: 7 }));
  assert.equal(await first, 7);
  await assert.rejects(run("k1", "f2"), refusedWith("idempotency_key_reused"));
  clock.advance(60_000);
  await assert.rejects(run("k1", "f2"), refusedWith("idempotency_key_reused"));
  assert.equal(await run("k1", "f1"), 7);
});

test("of many at once exactly one runs", async (t) => {
  const { run, runs } = await setUp(t);
  const all = await Promise.allSettled(Array.from({ length: 20 }, () => run("k1")));
  assert.equal(runs(), 1);
  for (const result of all) {
    if (result.status === "rejected") refusedWith("idempotency_in_progress")(result.reason);
    else assert.equal(result.value, 1);
  }
});

test("work that fails gives the key back", async (t) => {
  const { run } = await setUp(t);
  const failing = async () => {
    throw new HotSwapError("topic_exists");
  };
  await assert.rejects(run("k1", "f1", failing), refusedWith("topic_exists"));
  assert.equal(await run("k1", "f2"), 1, "even for another request");
});

test("after a crash the key is free at the deadline; a late run changes nothing", async (t) => {
  const { run, clock, errors } = await setUp(t);
  const slow = gate<Reply>();
  const started = gate<void>();
  const first = run("k1", "f1", () => {
    started.open();
    return slow.passed;
  });
  await started.passed;
  clock.advance(59_999);
  await assert.rejects(run("k1"), refusedWith("idempotency_in_progress"));
  clock.advance(1);
  await assert.rejects(run("k1", "f2"), refusedWith("idempotency_key_reused"));
  assert.equal(await run("k1"), 1);
  slow.open(new Reply({ run: 99 }));
  assert.equal(await first, 99, "it gets its own answer");
  assert.equal(await run("k1"), 1, "but the one that took over is the one that is kept");

  const failing = gate<Reply>();
  const begun = gate<void>();
  const late = run("k2", "f1", async () => {
    begun.open();
    await failing.passed;
    throw new HotSwapError("topic_exists");
  });
  await begun.passed;
  clock.advance(60_000);
  assert.equal(await run("k2"), 2);
  failing.open(new Reply({}));
  await assert.rejects(late, refusedWith("topic_exists"));
  assert.equal(await run("k2"), 2, "nor does a late failure give back what is not its own any more");
  assert.deepEqual(errors, []);
});

test("answers are kept for a day, and swept then", async (t) => {
  const { run, clock, idempotency, runs } = await setUp(t);
  await run("k1");
  clock.advance(86_399_999);
  await run("k2");
  assert.equal(await run("k1"), 1);
  assert.equal(await idempotency.sweep(), 0);
  clock.advance(1);
  assert.equal(await run("k1", "f2"), 3, "an answer that is kept no longer does not count, swept or not");
  assert.equal(runs(), 3);
  clock.advance(86_399_999);
  assert.equal(await idempotency.sweep(), 1);
  clock.advance(1);
  assert.equal(await idempotency.sweep(), 1);
});

test("a started service sweeps by itself", async (t) => {
  const { run, clock, idempotency } = await setUp(t);
  await run("k1");
  clock.advance(86_400_000);
  await idempotency.start();
  clock.advance(600_000);
  await idempotency.stop(); // waits for the sweep that the timer has begun
  assert.equal(await idempotency.sweep(), 0);
});

test("when the answer cannot be kept the caller gets it all the same", async (t) => {
  const { sql, run, errors } = await setUp(t);
  const work = async () => {
    await sql.stop();
    return new Reply({ run: 5 });
  };
  assert.equal(await run("k1", "f1", work), 5);
  refusedWith("store_unavailable")(errors[0]);
});

test("keys that are empty, too long or not printable are refused", async (t) => {
  const { run } = await setUp(t);
  for (const key of ["", " ", '""', "a\u0000b", "é", "k".repeat(256), '"a\nb"']) {
    await assert.rejects(run(key), refusedWith("validation_failed"), JSON.stringify(key));
  }
  assert.equal(await run('"a\\"b"'), await run('a"b'));
});

test("the fingerprint tells requests apart, whatever the order of fields", () => {
  const print = fingerprint({ id: "1" }, {}, { a: 1, b: 2 });
  assert.equal(fingerprint({ id: "1" }, {}, { b: 2, a: 1 }), print);
  assert.notEqual(fingerprint({ id: "2" }, {}, { a: 1, b: 2 }), print);
  assert.notEqual(fingerprint({ id: "1" }, {}, { a: 1, b: "2" }), print);
  assert.notEqual(fingerprint(Buffer.from("a")), fingerprint(Buffer.from("b")));
  assert.notEqual(fingerprint(undefined, {}), fingerprint({}, undefined));
});

test("over HTTP: a POST with the same key answers as it did the first time", async (t) => {
  const { idempotency } = await setUp(t);
  let count = 0;
  const create = route({
    id: "things.create",
    method: "POST",
    path: "/api/v1/boxes/{box}/things",
    summary: "A thing",
    permission: "topics.write",
    audit: { none: "test" },
    params: Type.Object({ box: Type.String() }),
    body: Type.Object({ name: Type.String() }),
    response: Type.Object({ number: Type.Integer() }),
    status: 201,
    idempotent: true,
    handler: ({ body }) => {
      if (body.name === "taken") throw new HotSwapError("already_exists");
      return { number: ++count };
    },
  });
  const call = await testServer(t, [create], {
    once: ({ principal, params, query, body }, { id }, key, work) =>
      idempotency.run(principal, id, key, fingerprint(params, query, body), work),
  });
  const post = (box: string, name: string, key: string) =>
    call("POST", `/api/v1/boxes/${box}/things`, { body: { name }, headers: { "idempotency-key": key } });
  const first = await post("a", "x", "k1");
  assert.deepEqual(
    [first.status, first.json.number, first.headers.get("idempotency-replayed")],
    [201, 1, null],
  );
  const repeat = await post("a", "x", "k1");
  assert.deepEqual(
    [repeat.status, repeat.text, repeat.headers.get("idempotency-replayed")],
    [201, first.text, "true"],
  );
  const other = await post("b", "x", "k1");
  assert.deepEqual(
    [other.status, other.json.code],
    [422, "idempotency_key_reused"],
    "the path is part of the request",
  );
  assert.equal((await post("a", "taken", "k2")).json.code, "already_exists");
  assert.equal((await post("a", "x", "k2")).json.number, 2, "what was refused does not bind the key");
  assert.equal((await post("a", "x", "")).status, 400);
});
