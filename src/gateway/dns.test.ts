import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { ManualClock } from "../core/clock.ts";
import { DnsWatcher } from "./dns.ts";

/** A name server that answers A with these addresses, and SRV with two targets on other ports. */
async function nameServer(ttl: number) {
  const state = { addresses: ["10.0.0.1", "10.0.0.2"], asked: 0 };
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    state.asked++;
    const end = query.indexOf(0, 12) + 5;
    const type = query.readUInt16BE(end - 4);
    const record = (kind: number, data: Buffer) => {
      const head = Buffer.alloc(12);
      head.writeUInt16BE(0xc00c, 0); // the name of the question
      head.writeUInt16BE(kind, 2);
      head.writeUInt16BE(1, 4);
      head.writeUInt32BE(ttl, 6);
      head.writeUInt16BE(data.length, 10);
      return Buffer.concat([head, data]);
    };
    const target = (weight: number, at: number) => {
      const data = Buffer.from([0, 1, 0, weight, at >> 8, at & 255, 1, 97, 0]); // priority 1, the name "a"
      return record(33, data);
    };
    const a = state.addresses.map((text) => record(1, Buffer.from(text.split(".").map(Number))));
    const answers = type === 1 ? a : type === 33 ? [target(3, 8001), target(0, 8002)] : [];
    const head = Buffer.from([query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, answers.length, 0, 0, 0, 0]);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...answers]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { state, server: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}

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
  const options = { clock, servers: [names.server], isUsed: () => true, onChange: () => {} };
  const watcher = new DnsWatcher({ ...options, onError: failed.resolve });
  const spec = { name: "_orders._tcp.test", type: "SRV", scheme: "https" } as const;
  names.state.addresses = ["10.0.0.1"];
  watcher.endpoints(spec);
  await watcher.settled();
  const expected = [
    { url: "https://10.0.0.1:8001", weight: 3, serverName: "_orders._tcp.test" },
    { url: "https://10.0.0.1:8002", weight: 1, serverName: "_orders._tcp.test" },
  ];
  assert.deepEqual(watcher.endpoints(spec), expected);
  names.close();
  clock.advance(1_000);
  assert.ok(await failed.promise);
  assert.deepEqual(watcher.endpoints(spec), expected);
  watcher.stop();
});
