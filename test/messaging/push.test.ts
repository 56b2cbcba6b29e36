/** Webhooks of subscriptions, against receivers that take, fail, wait, redirect, and have had enough. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { eventually } from "../gateway/backends.ts";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused } from "./calls.ts";
import { type Rule, startReceiver } from "./receiver.ts";

let server: TestServer;
let ann: Caller;
const ends: (() => void)[] = [];
before(async () => {
  server = await TestServer.start({
    "messaging-push-private-targets": "true",
    "messaging-push-failures-max": "2",
    "messaging-push-pause-ms": "300",
  });
  ann = await server.as();
});
after(async () => {
  for (const end of ends) end();
  await server?.remove();
});

async function receiver(rule?: Rule) {
  const started = await startReceiver(rule);
  ends.push(started.close);
  return started;
}

/** A queue whose messages go to the receiver. */
async function pushed(name: string, push: object) {
  await ann.ok(ann.post("/topics", { name }));
  const { items } = await ann.ok(ann.get(`/subscriptions?topic=${name}`));
  const { id } = items[0];
  const path = `/subscriptions/${id}/push`;
  return { path, push: await ann.ok(ann.put(path, push)) };
}

const publish = (topic: string, ...messages: object[]) =>
  ann.ok(ann.post("/messages/publish", { topic, messages }), 201);

/** Asks again until it is so. */
const isDone = (topic: string) =>
  eventually(
    async () => (await ann.ok(ann.get(`/topics/${topic}/stats`))).subscriptions[0].depth,
    (depth) => depth === 0,
  );

describe("a webhook", { timeout: 60_000 }, () => {
  test("gets each message, signed by Standard Webhooks, in the order of its key", async () => {
    const { url, until, connections } = await receiver();
    const { push, path } = await pushed("signed", { url, concurrency: 8 });
    assert.match(push.secret, /^whsec_/);
    const messages = Array.from({ length: 40 }, (_, number) => ({ payload: number, key: `k${number % 3}` }));
    const { messages: receipts } = await publish("signed", ...messages);
    const calls = await until(40);
    assert.ok(connections() <= 8, "connections are kept for the next request");
    const verifier = new Webhook(push.secret);
    const seen = new Map<string, number[]>();
    for (const { headers, text, json } of calls) {
      verifier.verify(text, headers as Record<string, string>);
      assert.equal(json.type, "message");
      const { payload, key, messageId } = json.data;
      assert.equal(headers["webhook-id"], `msg_${messageId}`);
      seen.set(key, [...(seen.get(key) ?? []), payload]);
    }
    for (const numbers of seen.values())
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
    const ids = calls.map(({ json }) => json.data.messageId).sort();
    assert.deepEqual(ids, receipts.map(({ messageId }: { messageId: string }) => messageId).sort());
    assert.throws(() => verifier.verify(`${calls[0]!.text} `, calls[0]!.headers as Record<string, string>));
    await isDone("signed");
    const shown = await ann.ok(ann.get(path));
    assert.equal(shown.secret, undefined);
    assert.equal(shown.status, "active");
  });

  test("gets batches, and CloudEvents in either mode", async () => {
    const many = await receiver();
    await pushed("batched", { url: many.url, batch: 100, concurrency: 1, format: "cloudevents" });
    await publish("batched", ...Array.from({ length: 30 }, (_, number) => ({ payload: number })));
    await isDone("batched");
    const all = many.calls.flatMap(({ json }) => json);
    assert.deepEqual(
      all.map(({ data }) => data),
      Array.from({ length: 30 }, (_, number) => number),
    );
    assert.match(many.calls[0]!.headers["content-type"]!, /^application\/cloudevents-batch\+json/);
    const single = await receiver();
    await pushed("binary", { url: single.url, format: "cloudevents-binary" });
    const event = {
      specversion: "1.0",
      id: "é",
      source: "/s",
      type: "t",
      datacontenttype: "text/plain",
      data: "hi",
    };
    await ann.ok(
      ann.post("/topics/binary/events", event, {
        headers: { "content-type": "application/cloudevents+json" },
      }),
      201,
    );
    const [call] = await single.until(1);
    const { "ce-id": id, "ce-type": type, "content-type": contentType } = call!.headers;
    assert.deepEqual([id, type, contentType, call!.text], ["%C3%A9", "t", "text/plain", "hi"]);
  });

  test("that fails gets the message again, under the same id and a new signature", async () => {
    const { url, until } = await receiver((_, number) => ({ status: number === 1 ? 500 : 200 }));
    const { push } = await pushed("retried", { url });
    await publish("retried", { payload: 1 });
    const [first, second] = await until(2);
    assert.equal(first!.headers["webhook-id"], second!.headers["webhook-id"]);
    assert.ok(second!.at - first!.at > 900, "the back-off of the subscription");
    new Webhook(push.secret).verify(second!.text, second!.headers as Record<string, string>);
    await isDone("retried");
  });

  test("that closes a kept connection gets the request over another one, at once", async () => {
    const { url, until } = await receiver(({ before }) => (before > 0 ? "hang up" : { status: 204 }));
    await pushed("hung-up", { url, concurrency: 1 });
    await publish("hung-up", { payload: 1 }, { payload: 2 });
    const calls = await until(3);
    assert.deepEqual(
      calls.map(({ json, before }) => [json.data.payload, before]),
      [
        [1, 0],
        [2, 1],
        [2, 0],
      ],
    );
    assert.equal(calls[1]!.headers["webhook-id"], calls[2]!.headers["webhook-id"]);
    await isDone("hung-up");
    const { subscriptions } = await ann.ok(ann.get("/topics/hung-up/stats"));
    assert.equal(subscriptions[0].redeliveredTotal, 0);
  });

  test("that keeps failing pauses, says why, and goes on by itself or when told to", async () => {
    let isBroken = true;
    const { url, calls, until } = await receiver(() => ({ status: isBroken ? 503 : 200 }));
    const { path } = await pushed("paused", { url, concurrency: 1 });
    await publish("paused", { payload: 1 }, { payload: 2 }, { payload: 3 });
    const paused = await eventually(
      () => ann.ok(ann.get(path)),
      ({ status }) => status === "paused",
    );
    assert.equal(paused.reason, "the receiver answered 503");
    assert.ok(paused.failures >= 2 && Date.parse(paused.resumesAt) > 0);
    await until(calls.length + 1); // tries by itself
    isBroken = false;
    const resumed = await ann.ok(ann.post(`${path}/resume`));
    assert.deepEqual([resumed.status, resumed.reason], ["active", null]);
    await isDone("paused");
  });

  test("is paused by a person until one resumes it, also over a restart", async () => {
    const { url, calls } = await receiver();
    const { path } = await pushed("held", { url });
    const tried = await ann.ok(ann.post(`${path}/pause?dryRun=true`));
    assert.deepEqual([tried.status, (await ann.ok(ann.get(path))).status], ["paused", "active"]);
    const { status, reason, resumesAt } = await ann.ok(ann.post(`${path}/pause`));
    assert.deepEqual([status, resumesAt], ["paused", null]);
    assert.match(reason, /^paused by /);
    await publish("held", { payload: 1 });
    await server.restart();
    ann = await server.as();
    assert.equal((await ann.ok(ann.get(path))).status, "paused");
    const { reasons, push } = await ann.ok(ann.get(path.replace("/push", "/explain")));
    assert.deepEqual([reasons[0].code, push], ["no-consumer", { status, reason }]);
    assert.equal(calls.length, 0);
    await ann.ok(ann.post(`${path}/resume`));
    await isDone("held");
    assert.equal(calls.length, 1);
  });

  test("that answers 410 is not asked again, and says so over a restart", async () => {
    const gone = await receiver(() => ({ status: 410 }));
    const { path } = await pushed("gone", { url: gone.url, concurrency: 1 });
    await publish("gone", { payload: 1 });
    await eventually(
      () => ann.ok(ann.get(path)),
      ({ status }) => status === "disabled",
    );
    await server.restart();
    ann = await server.as();
    const { status, reason } = await ann.ok(ann.get(path));
    assert.deepEqual([status, gone.calls.length], ["disabled", 1]);
    assert.match(reason, /410/);
  });

  test("is not followed elsewhere, and not waited for", async () => {
    const other = await receiver();
    const first = await receiver((_, number) =>
      number === 1
        ? { status: 307, headers: { location: other.url } }
        : number === 2
          ? "never"
          : { status: 200 },
    );
    await pushed("astray", { url: first.url, timeoutSeconds: 1, concurrency: 1 });
    await publish("astray", { payload: 1 });
    await first.until(2);
    await isDone("astray");
    assert.equal(other.calls.length, 0);
  });

  test("changes its secret while the former one still counts; secrets are nowhere to be read", async () => {
    const { url, until } = await receiver();
    const { path, push } = await pushed("rotated", { url });
    const { secret } = await ann.ok(ann.post(`${path}/rotate`));
    await publish("rotated", { payload: 1 });
    const [call] = await until(1);
    for (const one of [secret, push.secret])
      new Webhook(one).verify(call!.text, call!.headers as Record<string, string>);
    const everything = JSON.stringify([
      await ann.ok(ann.get(path)),
      await ann.ok(ann.get("/audit?limit=1000")),
    ]);
    assert.doesNotMatch(everything, /whsec_/);
    await ann.ok(ann.delete(path), 204);
    assertRefused(await ann.get(path), 404, "push_not_found");
    await publish("rotated", { payload: 2 });
    const { messages } = await ann.ok(ann.get("/messages/consume/rotated?wait=5"));
    assert.equal(messages[0].payload, 2);
  });

  test("may not lead into the operator's network", async () => {
    const guarded = await TestServer.start();
    try {
      const caller = await guarded.as();
      await caller.ok(caller.post("/topics", { name: "t" }));
      const { items } = await caller.ok(caller.get("/subscriptions?topic=t"));
      const path = `/subscriptions/${items[0].id}/push`;
      const inner = [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://10.1.2.3/",
      ];
      const more = [
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://169.254.169.254/",
      ];
      for (const url of [...inner, ...more, "https://u:p@example.com/", "ftp://example.com/", "x"]) {
        const { errors } = assertRefused(await caller.put(path, { url }), 400, "push_target_refused");
        assert.equal(errors![0]!.pointer, "/url");
      }
      // A name that leads there is found out when it is asked for.
      await caller.ok(caller.put(path, { url: "https://ip6-localhost/" }));
      await caller.ok(caller.post("/messages/publish", { topic: "t", payload: 1 }), 201);
      const { reason } = await eventually(
        () => caller.ok(caller.get(path)),
        ({ failures }) => failures > 0,
      );
      assert.match(reason, /private or loopback|cannot be reached/);
    } finally {
      await guarded.remove();
    }
  });
});
