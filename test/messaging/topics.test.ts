/** Topics over HTTP: their life, what may change and what may not, and what a deletion takes along. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Answer } from "../contract.ts";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused, consume, payloads, publish, take, walk } from "./calls.ts";

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start({ "messaging-partitions-max": "16" });
  ann = await server.as();
});
after(() => server?.remove());

const partitionFolders = async () =>
  (await readdir(join(server.data, "log"))).filter((name) => /^[ts]\d/.test(name));

describe("topics", () => {
  it("are created with defaults, and read with the same ETag", async () => {
    const created = await ann.post("/topics", { name: "plain" });
    assert.equal(created.status, 201);
    const { createdAt, updatedAt, ...rest } = created.json;
    const defaults = { type: "queue", partitions: 1, durability: "fsync", description: "", version: 1 };
    const kept = { retentionSeconds: 0, retentionBytes: null, retain: "unacknowledged" };
    const policies = { dedupWindowSeconds: 300, messageTtlSeconds: null, ...kept };
    assert.deepEqual({ ...rest, name: "plain", ...defaults, ...policies }, rest);
    assert.equal(createdAt, updatedAt);
    const read = await ann.get("/topics/plain");
    assert.deepEqual(read.json, created.json);
    assert.equal(created.headers.get("etag"), `"1"`);
    assert.equal(read.headers.get("etag"), `"1"`);
  });

  it("are created as asked", async () => {
    const asked = {
      name: "A.full_name-1",
      type: "pubsub",
      partitions: 3,
      durability: "os",
      dedupWindowSeconds: 0,
      messageTtlSeconds: 60,
      retentionSeconds: 604_800,
      retentionBytes: 1 << 30,
      retain: "limits",
      description: "ü ✓",
    };
    const { createdAt, updatedAt, version, ...rest } = await ann.ok(ann.post("/topics", asked), 201);
    assert.deepEqual({ ...rest, ...asked }, rest);
  });

  it("can be tried without being kept: made, changed and deleted", async () => {
    const tried = await ann.ok(ann.post("/topics?dryRun=true", { name: "tried", partitions: 2 }), 201);
    assert.equal(tried.partitions, 2);
    assertRefused(await ann.get("/topics/tried"), 404, "topic_not_found");
    assertRefused(
      await ann.post("/messages/publish", { topic: "tried", payload: 1 }),
      404,
      "topic_not_found",
    );
    await ann.ok(ann.post("/topics", { name: "tried" }), 201);
    assertRefused(await ann.post("/topics?dryRun=true", { name: "tried" }), 409, "topic_exists");
    const grown = await ann.ok(
      ann.put("/topics/tried?dryRun=true", { partitions: 4 }, { headers: { "if-match": "*" } }),
      200,
    );
    assert.equal(grown.partitions, 4);
    assert.equal((await ann.delete("/topics/tried?dryRun=true")).status, 204);
    assert.equal((await ann.get("/topics/tried")).json.partitions, 1);
    const { items } = await ann.ok(ann.get("/audit?resource=topics/tried"), 200);
    assert.deepEqual(
      items.map(({ action }: { action: string }) => action),
      ["topic.create"],
    );
  });

  it("have unique names, also when two come at once", async () => {
    const both = await Promise.all([1, 2].map(() => ann.post("/topics", { name: "twin" })));
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409]);
    assertRefused(await ann.post("/topics", { name: "twin" }), 409, "topic_exists");
  });

  for (const name of [
    "",
    "a/b",
    "../up",
    ".hidden",
    "-a",
    "a b",
    "ä",
    "a\u0000b",
    "x".repeat(129),
    7,
    null,
  ]) {
    it(`refuse the name ${JSON.stringify(name).slice(0, 20)}`, async () => {
      const problem = assertRefused(await ann.post("/topics", { name }), 400, "validation_failed");
      assert.deepEqual(
        problem.errors?.map(({ pointer }) => pointer),
        ["/name"],
      );
    });
  }

  it("refuse more partitions than the installation allows", async () => {
    const problem = assertRefused(
      await ann.post("/topics", { name: "wide", partitions: 17 }),
      400,
      "validation_failed",
    );
    assert.equal(problem.errors?.[0]?.pointer, "/partitions");
    assertRefused(await ann.get("/topics/wide"), 404, "topic_not_found");
  });

  it("are listed by name, page by page, each once", async () => {
    const pat = await server.as({ tenant: "pages" });
    const names = Array.from({ length: 7 }, (_, i) => `page.${i}`);
    for (const name of names.toReversed()) await pat.ok(pat.post("/topics", { name }));
    for (const limit of [1, 3, 7, 1000])
      assert.deepEqual(
        (await walk(pat, "/topics", limit)).map(({ name }) => name),
        names,
      );
    // A page goes on where the last one ended, whatever came and went in between.
    const first = await pat.ok(pat.get("/topics?limit=2"));
    await pat.ok(pat.delete("/topics/page.1"));
    await pat.ok(pat.post("/topics", { name: "page.1b" }));
    const second = await pat.ok(pat.get(`/topics?limit=2&cursor=${first.next}`));
    assert.deepEqual(
      second.items.map(({ name }: { name: string }) => name),
      ["page.1b", "page.2"],
    );
    for (const cursor of ["x", "W10", "WzEsMl0", "bnVsbA"]) {
      assertRefused(await pat.get(`/topics?cursor=${cursor}`), 400, "cursor_invalid");
    }
  });
});

describe("changing a topic", () => {
  const change = (name: string, body: unknown, etag?: string) =>
    ann.put(`/topics/${name}`, body, etag === undefined ? {} : { headers: { "if-match": etag } });

  it("needs the ETag that was read", async () => {
    await ann.ok(ann.post("/topics", { name: "edit" }));
    assertRefused(await change("edit", { description: "a" }), 428, "if_match_required");
    assertRefused(await change("edit", { description: "a" }, `"2"`), 412, "etag_mismatch");
    assertRefused(await change("edit", { description: "a" }, "1"), 412, "etag_mismatch");
    const changed = await change("edit", { description: "a" }, `"1"`);
    assert.deepEqual([changed.status, changed.json.description, changed.json.version], [200, "a", 2]);
    assert.equal(changed.headers.get("etag"), `"2"`);
    assert.equal((await ann.ok(change("edit", { durability: "os" }, "*"))).version, 3);
    assert.equal((await ann.ok(change("edit", { description: "b" }, `"9", "3"`))).durability, "os");
    assertRefused(await change("none", {}, "*"), 404, "topic_not_found");
  });

  it("lets one of two who read the same version win", async () => {
    await ann.ok(ann.post("/topics", { name: "race" }));
    const both = await Promise.all(["a", "b"].map((description) => change("race", { description }, `"1"`)));
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
    const winner = both.find(({ status }) => status === 200)!;
    assert.deepEqual(await ann.ok(ann.get("/topics/race")), winner.json);
  });

  it("refuses what is fixed, by pointer", async () => {
    await ann.ok(ann.post("/topics", { name: "fixed", partitions: 2 }));
    for (const [body, pointer] of [
      [{ type: "pubsub" }, "/type"],
      [{ name: "other" }, "/name"],
      [{ partitions: 1 }, "/partitions"],
    ] as const) {
      const problem = assertRefused(await change("fixed", body, "*"), 409, "topic_change_refused");
      assert.equal(problem.errors?.[0]?.pointer, pointer);
    }
    assert.equal((await ann.ok(ann.get("/topics/fixed"))).version, 1);
  });

  it("grows partitions under publishers and consumers, and loses nothing", async () => {
    await ann.ok(ann.post("/topics", { name: "grow", durability: "memory" }));
    await publish(ann, "grow", ["before 1", "before 2"]);
    await consume(ann, "grow", { limit: 1 });
    await ann.ok(change("grow", { partitions: 4 }, `"1"`));
    const messages = Array.from({ length: 40 }, (_, n) => ({ payload: n, key: `k${n}` }));
    const receipts = (await ann.ok(ann.post("/messages/publish", { topic: "grow", messages }))).messages;
    assert.equal(new Set(receipts.map(({ partition }: { partition: number }) => partition)).size, 4);
    const rest = await take(ann, "grow", 41);
    assert.deepEqual(
      new Set(payloads(rest)),
      new Set(["before 2", ...messages.map(({ payload }) => payload)]),
    );
    const stats = await ann.ok(ann.get("/topics/grow/stats"));
    assert.deepEqual([stats.messages, stats.partitions.length], [42, 4]);
  });

  it("to more durability counts from the next publish on", async () => {
    await ann.ok(ann.post("/topics", { name: "harder", durability: "memory" }));
    assert.equal((await publish(ann, "harder", [1]))[0].durability, "memory");
    await ann.ok(change("harder", { durability: "fsync" }, "*"));
    assert.equal((await publish(ann, "harder", [2]))[0].durability, "fsync");
  });
});

describe("numbers of a topic", () => {
  it("are read as its metrics, with the lag of each subscription; how many topics there are is scraped", async () => {
    const zed = await server.as({ tenant: "numbers" });
    await zed.ok(zed.post("/topics", { name: "counted" }));
    await publish(zed, "counted", [1, 2, 3]);
    await consume(zed, "counted", { limit: 1 });
    const { publishedTotal, subscriptions } = await zed.ok(zed.get("/topics/counted/metrics"));
    const [{ depth, inFlight, lag, deliveredTotal }] = subscriptions;
    assert.deepEqual([publishedTotal, depth, inFlight, lag, deliveredTotal], [3, 3, 1, 2, 1]);
    const scraped = async () =>
      /message_topics\{tenant="numbers"\} (\d+)/.exec((await zed.get("//metrics")).text)?.[1];
    assert.equal(await scraped(), "1");
    await zed.ok(zed.delete("/topics/counted"));
    assert.equal(await scraped(), "0");
  });
});

describe("deleting a topic", () => {
  it("takes messages, subscriptions and their files along", async () => {
    const before = await partitionFolders();
    await ann.ok(ann.post("/topics", { name: "gone", type: "pubsub", partitions: 2 }));
    const { id } = await ann.ok(ann.post("/subscriptions", { topic: "gone", name: "s", from: "earliest" }));
    const [{ messageId }] = await publish(ann, "gone", ["old"]);
    const [message] = await take(ann, "gone", 1, { subscription: "s" });
    assert.ok((await partitionFolders()).length > before.length);

    const deleted = await ann.delete("/topics/gone");
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    assert.deepEqual((await partitionFolders()).sort(), before.sort());
    assertRefused(await ann.get("/topics/gone"), 404, "topic_not_found");
    assertRefused(await ann.delete("/topics/gone"), 404, "topic_not_found");
    assertRefused(await ann.get("/messages/consume/gone?subscription=s"), 404, "topic_not_found");
    assertRefused(await ann.post("/messages/publish", { topic: "gone", payload: 1 }), 404, "topic_not_found");
    assertRefused(await ann.get(`/subscriptions/${id}`), 404, "subscription_not_found");
    assertRefused(await ann.get(`/messages/${messageId}`), 404, "message_not_found");

    // A new topic of the name is another topic: nothing of the old one is in it or counts in it.
    await ann.ok(ann.post("/topics", { name: "gone", partitions: 2 }));
    assert.deepEqual(await consume(ann, "gone"), []);
    assertRefused(await ann.get(`/messages/${messageId}`), 404, "message_not_found");
    const late = await ann.post(`/messages/${messageId}/ack`, { receipt: message!.receipt });
    assertRefused(late, 400, "receipt_invalid");
  });

  it("ends a consumer's wait and says why", async () => {
    await ann.ok(ann.post("/topics", { name: "waited" }));
    const waiting = ann.get("/messages/consume/waited?wait=20");
    await ann.ok(ann.get("/topics/waited/stats"));
    await ann.ok(ann.delete("/topics/waited"));
    assertRefused(await waiting, 404, "topic_not_found");
  });
});

describe("one name, many at once", () => {
  it("comes and goes while messages are published, and no answer is wrong", async () => {
    const name = "busy";
    const repeat = async (call: () => Promise<Answer>) => {
      const seen: number[] = [];
      for (let n = 0; n < 40; n++) seen.push((await call()).status);
      return seen;
    };
    const create = () => ann.post("/topics", { name });
    const publishOne = () => ann.post("/messages/publish", { topic: name, payload: 1 });
    const remove = () => ann.delete(`/topics/${name}`);
    const all = [create, create, publishOne, publishOne, remove, remove].map(repeat);
    const [created, , published, , removed] = await Promise.all(all);
    const others = (statuses: number[] | undefined, ...expected: number[]) =>
      statuses!.filter((status) => !expected.includes(status));
    assert.deepEqual(others(created, 201, 409), []);
    assert.deepEqual(others(published, 201, 404), []);
    assert.deepEqual(others(removed, 204, 404), []);
    // What is known and what is live agree in the end.
    const { status } = await ann.get(`/topics/${name}`);
    assert.equal((await publishOne()).status, status === 200 ? 201 : 404);
  });
});

describe("an Idempotency-Key", () => {
  const keyed = (key: string, body: unknown, path = "/topics") =>
    ann.post(path, body, { headers: { "idempotency-key": key } });

  it("gives a repeat the first answer, and makes one topic", async () => {
    const first = await keyed("k1", { name: "once" });
    assert.equal(first.status, 201);
    const again = await keyed("k1", { name: "once" });
    assert.deepEqual([again.status, again.json, again.headers.get("etag")], [201, first.json, `"1"`]);
    const { items } = await ann.ok(ann.get("/audit?resource=topics/once"));
    assert.equal(items.length, 1);
    await ann.ok(ann.post("/topics", { name: "feed", type: "pubsub" }));
    const subscribed = await keyed("k2", { name: "s", topic: "feed" }, "/subscriptions");
    assert.equal(subscribed.status, 201);
    assert.deepEqual(
      (await keyed("k2", { name: "s", topic: "feed" }, "/subscriptions")).json,
      subscribed.json,
    );
  });

  it("is not good for another request", async () => {
    await ann.ok(keyed("k3", { name: "first" }));
    assertRefused(await keyed("k3", { name: "second" }), 422, "idempotency_key_reused");
    assertRefused(await ann.get("/topics/second"), 404, "topic_not_found");
  });

  it("is free again after a failure", async () => {
    assertRefused(await keyed("k4", { name: "once" }), 409, "topic_exists");
    assert.equal((await keyed("k4", { name: "now.free" })).status, 201);
  });

  it("lets one of many at once do the work", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed("k5", { name: "crowd" })));
    for (const answer of answers) {
      if (answer.status !== 201) assertRefused(answer, 409, "idempotency_in_progress");
    }
    assert.ok(answers.some(({ status }) => status === 201));
    assert.equal((await keyed("k5", { name: "crowd" })).status, 201);
  });

  it("must be printable and of 255 characters at most", async () => {
    assertRefused(await keyed("x".repeat(256), { name: "never" }), 400, "validation_failed");
    assertRefused(await keyed("ü", { name: "never" }), 400, "validation_failed");
  });
});
