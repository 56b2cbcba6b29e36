import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { HotSwap, HotSwapConnectionError, nodeWire } from "../../client/src/node.ts";
import { Patience, patientRetry } from "./patience.ts";

test("a server that comes back is waited for; it is said once that it is away and once that it is back", async () => {
  const port = await closedPort();
  const patience = new Patience(60);
  const said: string[] = [];
  patience.say = (text) => said.push(text);
  const client = clientOf(port, patience);
  const answer = client.topics.get("orders", { signal: patience.signal });
  while (said.length === 0) await new Promise(setImmediate);
  const server = createServer((_, response) => response.end('{"name":"orders"}')).listen(port, "127.0.0.1");
  assert.equal((await answer).name, "orders");
  client.close();
  server.close();
  assert.match(
    said[0]!,
    /^http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\); trying again for 60 s$/,
  );
  assert.match(said[1]!, /^connected again after /);
  assert.deepEqual([said.length, patience.interruptions, patience.signal.aborted], [2, 1, false]);
});

test("when patience ends, the last failure is what is said", async () => {
  const patience = new Patience(0);
  patience.say = () => {};
  const client = clientOf(await closedPort(), patience);
  const isRefusal = (error: unknown) =>
    error instanceof HotSwapConnectionError && error.failure === "refused";
  await assert.rejects(client.topics.get("orders", { signal: patience.signal }), isRefusal);
  assert.ok(isRefusal(patience.signal.reason));
});

const clientOf = (port: number, patience: Patience) =>
  new HotSwap({ url: `http://127.0.0.1:${port}`, retry: patientRetry, wire: patience.wrap(nodeWire()) });

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
