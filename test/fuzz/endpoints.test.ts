/**
 * Bad input for every endpoint, made from the server's own OpenAPI document. Whatever comes, the answer is one
 * that the document promises: never a failure of the server, never a hang, nothing of the inside; and the server
 * works on as before. HOTSWAP_TEST_FUZZ_RUNS is the number of requests per endpoint, HOTSWAP_TEST_FUZZ_SEED replays.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { defaultRoutes } from "../../scripts/generate.ts";
import { Contract } from "../contract.ts";
import { type Caller, TestServer } from "../server.ts";
import { requestsOf } from "./requests.ts";
import type { Known } from "./values.ts";
import { judge, send } from "./wire.ts";

const long = process.env.HOTSWAP_TEST_FUZZ_RUNS;
const runs = Number(long ?? 150);
/**
 * The short form takes about this long, whatever the number of endpoints: each has its share, and what one leaves
 * is for those that follow. One that begins late still has a moment.
 */
const budgetMs = long ? Number.POSITIVE_INFINITY : 35_000;
const momentMs = 50;
const seed = Number(process.env.HOTSWAP_TEST_FUZZ_SEED ?? Date.now() % 2 ** 31);

let server: TestServer;
let ann: Caller;
let secrets: string[];

before(async () => {
  server = await TestServer.start({
    "http-body-limit-bytes": "16384",
    "messaging-consume-wait-max-seconds": "0",
    "messaging-partitions-max": "4",
  });
  ann = await server.as();
  secrets = [server.data, fileURLToPath(new URL("../..", import.meta.url)), ann.token!];
});
after(() => server?.remove());

/** Things that exist, so that requests get past the first look-up; made anew for each endpoint. */
async function things(): Promise<Known> {
  const topic = "fuzz";
  await ann.post("/topics", { name: topic, type: "pubsub", partitions: 2, durability: "memory" });
  await ann.post("/topics", { name: "queue", durability: "memory" });
  await ann.post("/subscriptions", { topic, name: "default", ackDeadlineSeconds: 600, from: "earliest" });
  const { items } = await ann.ok(ann.get("/subscriptions"));
  const { messages } = await ann.ok(
    ann.post("/messages/publish", { topic, messages: [{ payload: 1 }, { payload: 2 }] }),
  );
  const taken = (await ann.ok(ann.get(`/messages/consume/${topic}?limit=2`))).messages;
  const { id } = await ann.ok(ann.post("/approvals", { kind: "fuzz", resource: "x", content: {} }));
  const { next } = await ann.ok(ann.get("/topics?limit=1"));
  await ann.post("/gateway/routes", { name: "fuzz", match: {}, backends: [{ url: "http://127.0.0.1:9" }] });
  const route = (await ann.ok(ann.get("/gateway/routes"))).items[0]?.id ?? id;
  const ids = [...messages.map(({ messageId }: { messageId: string }) => messageId), items[0].id, id, route];
  const receipts = taken.map(({ receipt }: { receipt: string }) => receipt);
  const known: Record<string, unknown[]> = {
    name: [topic, "queue", "default"],
    topic: [topic, "queue"],
    subscription: ["default"],
    id: ids,
    receipt: receipts.length > 0 ? receipts : ["1-0-0-1"],
    cursor: [next, ...cursors],
  };
  return (name) => (Object.hasOwn(known, name) ? fc.constantFrom(...known[name]!) : undefined);
}

/** Well formed, with a key inside that is none. */
const cursors = [
  ["a\u0000"],
  ["\ud800"],
  [-1],
  [1e300],
  [0.5],
  [""],
  ["x".repeat(300)],
  [9007199254740991],
].map((key) => Buffer.from(JSON.stringify(key)).toString("base64url"));

async function worksOn(): Promise<void> {
  const other = await server.as({ tenant: "healthy" });
  assert.equal((await other.get("//health")).status, 200);
  await other.post("/topics", { name: "alive" });
  await other.ok(other.post("/messages/publish", { topic: "alive", payload: "still" }), 201);
  const { messages } = await other.ok(other.get("/messages/consume/alive?limit=100"));
  assert.equal(messages[0].payload, "still");
  const { settled } = await other.ok(other.post("/messages/ack", { receipts: [messages[0].receipt] }));
  assert.equal(settled, 1);
}

const { operations } = Contract.ofRoutes(await defaultRoutes());

describe(`bad input, seed ${seed}`, () => {
  let began = 0;
  before(() => {
    began = performance.now();
  });
  for (const [index, operation] of operations.entries()) {
    it(operation.id, async (t) => {
      const statuses = new Map<number, number>();
      const requests = requestsOf(operation, await things(), ann.token!);
      // fast-check's own time limit counts from before the first request, and fails when none was made in time.
      let end = Number.POSITIVE_INFINITY;
      let shrinking = false;
      const property = fc.asyncProperty(requests, async (request) => {
        if (performance.now() > end && !shrinking) return;
        const answer = await send(server.url, request);
        if (end === Number.POSITIVE_INFINITY) {
          const share = (budgetMs * (index + 1)) / operations.length;
          end = Math.max(began + share, performance.now() + momentMs);
        }
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        shrinking = true;
        judge(server.contract, request, answer, secrets);
        shrinking = false;
      });
      await fc.assert(property, { numRuns: runs, seed });
      t.diagnostic(`${operation.id}: ${JSON.stringify(Object.fromEntries(statuses))}`);
      await worksOn();
    });
  }
});
