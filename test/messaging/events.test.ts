/** Server-sent events: what arrives, what is done, and where a reconnect goes on. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Caller, TestServer } from "../server.ts";
import { publish, take } from "./calls.ts";

interface Event {
  id: string;
  data: { payload: unknown; receipt: string; attempt: number };
}

let server: TestServer;
let ann: Caller;
before(async () => {
  server = await TestServer.start();
  ann = await server.as();
});
after(() => server?.remove());

/** Listens until `count` events came, then ends the connection. */
async function listen(topic: string, count: number, query = "", lastEventId?: string): Promise<Event[]> {
  const gone = new AbortController();
  const response = await fetch(`${server.url}/api/v1/messages/consume/${topic}/events?${query}`, {
    headers: {
      authorization: `Bearer ${ann.token}`,
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
    },
    signal: gone.signal,
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const events: Event[] = [];
  let rest = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const lines = block.split("\n");
      const member = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      if (member("data").length > 0) {
        events.push({ id: member("id")[0]!, data: JSON.parse(member("data").join("\n")) });
      }
    }
    if (events.length >= count) break;
  }
  gone.abort();
  return events;
}

const depth = async (topic: string) =>
  (await ann.ok(ann.get(`/topics/${topic}/stats`))).subscriptions[0].depth as number;

describe("server-sent events", { timeout: 60_000 }, () => {
  test("carry messages whole, also those laid out over several lines, and their receipts settle", async () => {
    await ann.ok(ann.post("/topics", { name: "lines" }));
    await ann.ok(ann.post("/messages/publish", `{"topic":"lines","payload":{\r\n "a":\n1}}`), 201);
    const [event] = await listen("lines", 1);
    assert.deepEqual([event!.data.payload, event!.id], [{ a: 1 }, event!.data.receipt]);
    const { settled } = await ann.ok(ann.post("/messages/ack", { receipts: [event!.id] }));
    assert.equal(settled, 1);
  });

  test("go on behind Last-Event-ID: what came is done, what did not come comes again, at once", async () => {
    await ann.ok(ann.post("/topics", { name: "resumed" }));
    await publish(ann, "resumed", [0, 1, 2, 3, 4]);
    const first = await listen("resumed", 5, "ack=auto");
    assert.deepEqual(
      first.map(({ data }) => data.payload),
      [0, 1, 2, 3, 4],
    );
    const second = await listen("resumed", 2, "ack=auto", first[2]!.id);
    assert.deepEqual(
      second.map(({ data }) => data.payload),
      [3, 4],
    );
    assert.deepEqual(
      second.map(({ data }) => data.attempt),
      [1, 1],
      "what was not seen was not tried",
    );
    await listen("resumed", 0, "ack=auto", second[1]!.id);
    assert.equal(await depth("resumed"), 0);
  });

  test("are done by themselves when the connection stays well", async () => {
    await ann.ok(ann.post("/topics", { name: "well" }));
    await publish(ann, "well", [1, 2]);
    const gone = new AbortController();
    const response = await fetch(`${server.url}/api/v1/messages/consume/well/events?ack=auto`, {
      headers: { authorization: `Bearer ${ann.token}` },
      signal: gone.signal,
    });
    const reading = response.body!.getReader();
    await reading.read();
    const started = performance.now();
    while ((await depth("well")) > 0) assert.ok(performance.now() - started < 20_000);
    gone.abort();
  });

  test("come again to others when their reader has gone for good", async () => {
    await ann.ok(ann.post("/topics", { name: "left" }));
    await publish(ann, "left", [1]);
    await listen("left", 1, "ack=auto");
    const [again] = await take(ann, "left", 1);
    assert.equal(again!.payload, 1);
  });

  test("are refused like any consume", async () => {
    assert.equal((await ann.get("/messages/consume/none/events")).json.code, "topic_not_found");
    const stranger = await server.as({ roles: ["producer"] });
    assert.equal((await stranger.get("/messages/consume/lines/events")).status, 403);
  });
});
