/** A message in the trace of its publisher: what it carries, and the spans of its way through HotSwap. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "../../client/src/node.ts";
import {
  type OtlpReceiver,
  plain,
  type ReceivedSpan,
  startOtlpReceiver,
} from "../../src/platform/telemetry/otlp-receiver.testing.ts";
import { eventually } from "../gateway/backends.ts";
import { type Caller, TestServer } from "../server.ts";
import { assertRefused } from "./calls.ts";
import { startReceiver } from "./receiver.ts";

const client = 3;
const producer = 4;
const consumer = 5;
let otlp: OtlpReceiver;
/** Records what its callers sample, and begins no traces. */
let server: TestServer;
let ann: Caller;
before(async () => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = "50"; // else spans wait five seconds for more of them
  otlp = await startOtlpReceiver();
  server = await TestServer.start({
    "telemetry-otlp-endpoint": otlp.url,
    "telemetry-sample-ratio": "0",
    "messaging-push-private-targets": "true",
  });
  ann = await server.as();
});
after(async () => {
  await server.remove();
  await otlp.stop();
});

/** A trace of a test, so that its spans are found among others'. */
function newTrace(digits: string) {
  const traceId = digits.repeat(16);
  const parent = "00f067aa0ba902b7";
  const of = (kind: number) => otlp.spans.filter((span) => span.traceId === traceId && span.kind === kind);
  const one = async (kind: number): Promise<ReceivedSpan> =>
    (
      await eventually(
        async () => of(kind),
        (found) => found.length === 1,
      )
    )[0]!;
  /** The earliest of its kind, once it has come. */
  const first = async (kind: number): Promise<ReceivedSpan> => {
    const found = await eventually(
      async () => of(kind),
      (spans) => spans.length > 0,
    );
    return found.sort((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))[0]!;
  };
  const header = (flags: string) => ({ headers: { traceparent: `00-${traceId}-${parent}-${flags}` } });
  return { traceId, parent, of, one, first, sampled: header("01"), unsampled: header("00") };
}

const linksOf = ({ links = [] }: ReceivedSpan) => links.map((link) => [link.traceId, link.spanId]);

test("a message links the span of its publish and that of its consumer", async () => {
  await ann.ok(ann.post("/topics", { name: "one" }), 201);
  const from = newTrace("a1");
  const to = newTrace("b1");
  await ann.ok(ann.post("/messages/publish", { topic: "one", payload: 1 }, from.sampled), 201);
  const { messages } = await ann.ok(ann.get("/messages/consume/one?wait=10", to.sampled));
  const sent = await from.one(producer);
  assert.equal(sent.name, "publish one");
  assert.deepEqual(plain(sent.attributes), {
    "messaging.system": "hotswap",
    "messaging.destination.name": "one",
    "messaging.operation.name": "publish",
    "messaging.operation.type": "send",
    "messaging.batch.message_count": 1,
  });
  const request = (
    await eventually(
      async () => from.of(2),
      (found) => found.length === 1,
    )
  )[0]!;
  assert.deepEqual([request.parentSpanId, sent.parentSpanId], [from.parent, request.spanId]);
  assert.equal(messages[0].traceparent, `00-${from.traceId}-${sent.spanId}-01`);
  const received = await to.one(consumer);
  assert.equal(received.name, "receive one");
  const routed = plain(received.attributes);
  assert.deepEqual(
    [
      routed["messaging.destination.subscription.name"],
      routed["hotswap.routing.strategy"],
      routed["messaging.client.id"],
    ],
    ["default", "load-balanced", "ann"],
  );
  assert.deepEqual(linksOf(received), [[from.traceId, sent.spanId]]);
});

test("a batch and a stream of lines have one span for all their messages", async () => {
  await ann.ok(ann.post("/topics", { name: "many" }), 201);
  const from = newTrace("a2");
  const to = newTrace("b2");
  const messages = [1, 2, 3].map((payload) => ({ payload }));
  await ann.ok(ann.post("/messages/publish", { topic: "many", messages }, from.sampled), 201);
  const taken = await ann.ok(ann.get("/messages/consume/many?wait=10", to.sampled));
  const sent = await from.one(producer);
  assert.equal(plain(sent.attributes)["messaging.batch.message_count"], 3);
  const carried = taken.messages.map(({ traceparent }: { traceparent: string }) => traceparent);
  assert.deepEqual(carried, new Array(3).fill(`00-${from.traceId}-${sent.spanId}-01`));
  assert.deepEqual(linksOf(await to.one(consumer)), [[from.traceId, sent.spanId]]);

  const lines = newTrace("a3");
  const headers = { ...lines.sampled.headers, "content-type": "application/x-ndjson" };
  const text = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  assert.equal((await ann.post("/messages/publish?topic=many", text, { headers })).status, 201);
  const { spanId } = await lines.one(producer);
  const [last] = (await ann.ok(ann.get("/topics/many/messages?limit=1"))).messages;
  assert.equal(last.traceparent, `00-${lines.traceId}-${spanId}-01`);
});

test("a message of a batch may bring a trace of its own, which the publish links", async () => {
  await ann.ok(ann.post("/topics", { name: "own" }), 201);
  const from = newTrace("a4");
  const other = newTrace("c4");
  const own = other.sampled.headers.traceparent;
  const messages = [
    { payload: 1, traceparent: own, tracestate: "x=1" },
    { payload: 2 },
    { payload: 3, traceparent: other.unsampled.headers.traceparent },
  ];
  await ann.ok(ann.post("/messages/publish", { topic: "own", messages }, from.sampled), 201);
  const sent = await from.one(producer);
  assert.deepEqual(linksOf(sent), [[other.traceId, other.parent]]);
  const stored = (await ann.ok(ann.get("/topics/own/messages"))).messages;
  assert.deepEqual(
    stored.map(({ traceparent, tracestate }: Record<string, unknown>) => [traceparent, tracestate]),
    [
      [own, "x=1"],
      [`00-${from.traceId}-${sent.spanId}-01`, undefined],
      [undefined, undefined],
    ],
  );
  for (const traceparent of ["1", `00-${"0".repeat(32)}-${other.parent}-01`]) {
    const batch = { topic: "own", messages: [{ payload: 1 }, { payload: 2, traceparent }] };
    const problem = assertRefused(await ann.post("/messages/publish", batch), 400, "validation_failed");
    assert.equal(problem.errors?.[0]?.pointer, "/messages/1/traceparent");
  }
});

test("what is not sampled stores nothing, and its receive has no span", async () => {
  await ann.ok(ann.post("/topics", { name: "none" }), 201);
  const from = newTrace("a5");
  const to = newTrace("b5");
  const message = { topic: "none", payload: 1 };
  for (const options of [{}, from.unsampled, { headers: { traceparent: "nonsense" } }]) {
    await ann.ok(ann.post("/messages/publish", message, options), 201);
  }
  const { messages } = await ann.ok(ann.get("/messages/consume/none?wait=10", to.sampled));
  assert.equal(messages.length, 3);
  // A message that has any field shows its priority.
  for (const one of messages) assert.deepEqual([one.traceparent, one.priority], [undefined, undefined]);
  await eventually(
    async () => to.of(2),
    (found) => found.length === 1,
  ); // its request's, sent with or after it
  assert.deepEqual([...to.of(consumer), ...from.of(producer)], []);
});

test("a settlement links to the receive of its messages, in the caller's trace", async () => {
  await ann.ok(ann.post("/topics", { name: "settled" }), 201);
  const [from, to, said] = [newTrace("a7"), newTrace("b7"), newTrace("c7")];
  const messages = [{ payload: 1 }, { payload: 2 }];
  await ann.ok(ann.post("/messages/publish", { topic: "settled", messages }, from.sampled), 201);
  const taken = await ann.ok(ann.get("/messages/consume/settled?limit=2&wait=10", to.sampled));
  const [one, two] = taken.messages.map(({ receipt }: { receipt: string }) => receipt);
  await ann.ok(ann.post("/messages/extend", { receipts: [one], seconds: 60 }));
  await ann.ok(ann.post("/messages/nack", { items: [{ receipt: two, delayMs: 60_000 }] }));
  await ann.ok(ann.post("/messages/ack", { receipts: [one] }, said.sampled));
  const received = await to.first(consumer);
  const acked = await said.first(client);
  assert.equal(acked.name, "ack settled");
  assert.deepEqual(linksOf(acked), [[to.traceId, received.spanId]]);
  const { "messaging.operation.type": type, "messaging.batch.message_count": count } = plain(
    acked.attributes,
  );
  assert.deepEqual([type, count], ["settle", 1]);
  const nacked = await to.first(client); // by somebody without a trace: it goes on in that of the receive
  assert.deepEqual([nacked.name, nacked.parentSpanId], ["nack settled", received.spanId]);
});

test("what goes out by a stream, events and a webhook goes on in the trace of its publish", async (t) => {
  const receiver = await startReceiver();
  t.after(receiver.close);
  for (const name of ["streamed", "paged", "hooked"]) await ann.ok(ann.post("/topics", { name }), 201);
  const { items } = await ann.ok(ann.get("/subscriptions?topic=hooked"));
  const setting = newTrace("d8");
  const target = { url: receiver.url };
  await ann.ok(ann.put(`/subscriptions/${items[0].id}/push`, target, setting.sampled));
  const traces = { streamed: newTrace("a8"), paged: newTrace("b8"), hooked: newTrace("c8") };
  for (const [topic, { sampled }] of Object.entries(traces)) {
    await ann.ok(ann.post("/messages/publish", { topic, payload: topic }, sampled), 201);
  }
  await ann.ok(ann.post("/messages/publish", { topic: "hooked", payload: "of no trace" }));

  const hotswap = connect({ url: server.url, token: ann.token! });
  t.after(() => hotswap.close());
  await using stream = hotswap.stream();
  for await (const message of stream.consume("streamed", { count: 1 })) await message.ack();
  const page = await fetch(`${server.url}/api/v1/messages/consume/paged/events`, {
    headers: { authorization: `Bearer ${ann.token}` },
  });
  const reader = page.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes('"paged"'); ) text += (await reader.read()).value;
  await reader.cancel();

  for (const [topic, { first, of }] of Object.entries(traces)) {
    const kind = topic === "hooked" ? client : consumer;
    const [sent, delivered] = [await first(producer), await first(kind)];
    assert.deepEqual([delivered.name, delivered.parentSpanId], [`deliver ${topic}`, sent.spanId]);
    assert.deepEqual(linksOf(delivered), [[sent.traceId, sent.spanId]]);
    if (topic === "paged") continue;
    const acked = (await eventually(
      async () => of(client).find(({ name }) => name.startsWith("ack")),
      (span) => span !== undefined,
    ))!;
    assert.equal(acked.parentSpanId, delivered.spanId);
  }
  const [traced, other] = await receiver.until(2);
  const { traceId, first } = traces.hooked;
  assert.equal(traced!.headers.traceparent, `00-${traceId}-${(await first(client)).spanId}-01`);
  assert.equal(other!.headers.traceparent, undefined);
  assert.deepEqual([...setting.of(consumer), ...setting.of(client)], []);
});

test("without a receiver of spans the caller's own context goes along", async () => {
  const plainServer = await TestServer.start();
  try {
    const bob = await plainServer.as();
    await bob.ok(bob.post("/topics", { name: "through" }), 201);
    const from = newTrace("a6");
    await bob.ok(bob.post("/messages/publish", { topic: "through", payload: 1 }, from.sampled), 201);
    const { messages } = await bob.ok(bob.get("/messages/consume/through?wait=10"));
    assert.equal(messages[0].traceparent, from.sampled.headers.traceparent);
  } finally {
    await plainServer.remove();
  }
});
