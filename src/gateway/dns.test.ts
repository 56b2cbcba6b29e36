import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../core/clock.ts";
import { nameServer } from "./dns.testing.ts";
import { DnsWatcher } from "./dns.ts";

test("a name is resolved to its addresses, again when its TTL is over, and forgotten when nobody asks", async () => {
  const names = await nameServer(7);
  const clock = new ManualClock();
  let told = Promise.withResolvers<void>();
  let used = true;
  const watcher = new DnsWatcher({
    ...{ clock, servers: [names.server], isUsed: () => used, onError: assert.fail },
    onChange: () => told.resolve(),
  });
  const spec = { name: "orders.test", type: "A", port: 80 } as const;
  assert.deepEqual(watcher.endpoints(spec), []);
  await watcher.settled();
  const urls = () => watcher.endpoints(spec).map(({ url }) => url);
  assert.deepEqual(urls(), ["http://10.0.0.1:80", "http://10.0.0.2:80"]);
  names.state.addresses = ["10.0.0.3"];
  told = Promise.withResolvers();
  clock.advance(6_999);
  assert.equal(names.state.asked, 1);
  clock.advance(1);
  await told.promise;
  assert.deepEqual(urls(), ["http://10.0.0.3:80"]);
  used = false;
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(7_000);
  assert.deepEqual(urls(), [], "asked for anew");
  watcher.stop();
  names.close();
});

test("SRV names ports and weights, and a name that cannot be resolved keeps its last answer", async () => {
  const names = await nameServer(1);
  const clock = new ManualClock();
  const failed = Promise.withResolvers<unknown>();
  const changed = Promise.withResolvers<void>();
  const changes = [Promise.withResolvers<void>(), changed];
  const options = {
    clock,
    servers: [names.server],
    isUsed: () => true,
    onChange: () => void changes.shift()?.resolve(),
  };
  const watcher = new DnsWatcher({ ...options, onError: failed.resolve });
  const spec = { name: "_orders._tcp.test", type: "SRV", scheme: "https" } as const;
  names.state.addresses = ["10.0.0.1"];
  watcher.endpoints(spec);
  await watcher.settled();
  const expected = [
    { url: "https://10.0.0.1:8001", weight: 3, serverName: "test" },
    { url: "https://10.0.0.1:8002", weight: 1, serverName: "test" },
  ];
  assert.deepEqual(watcher.endpoints(spec), expected);
  names.state.targets[1] = "b";
  clock.advance(1_000);
  await changed.promise;
  assert.deepEqual(watcher.endpoints(spec), expected.slice(0, 1), "a target without an address");
  names.close();
  clock.advance(5_000);
  assert.ok(await failed.promise);
  assert.deepEqual(watcher.endpoints(spec), expected.slice(0, 1));
  watcher.stop();
});
