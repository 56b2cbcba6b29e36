/**
 * Publishes revisions as fast as they are taken, under 64 connections of requests, 200 tunnels and 50 streams, and
 * counts what went wrong: `node bench/gateway/disturbance.ts [revisions]`. Exits with 1 when anything did.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, createServer as createTcp, type Socket } from "node:net";
import { GatewayProxy } from "../../src/gateway/proxy/proxy.ts";
import type { Route } from "../../src/gateway/proxy/snapshot.route.ts";

const revisions = Number(process.argv[2] ?? 1000);
const backend = createServer((_request, response) => response.end("ok")).listen(0, "127.0.0.1");
const streaming = createTcp((socket) => {
  socket.on("error", () => {});
  socket.once("data", (head) => {
    const isTunnel = head.includes("websocket");
    const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write(isTunnel ? switching : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  });
}).listen(0, "127.0.0.1");
await Promise.all([backend, streaming].map((server) => server.listening || once(server, "listening")));
const portOf = (server: { address(): unknown }) => (server.address() as { port: number }).port;

const route = (id: string, to: string, revision = 0): Route => ({
  id,
  name: id,
  tenant: "bench",
  match: { path: { prefix: `/${id}` } },
  targets: [{ backend: to }],
  ...(revision > 0 && { response: { headers: { set: { "X-Revision": String(revision) } } } }),
});
const backends = [
  { id: "plain", url: `http://127.0.0.1:${portOf(backend)}` },
  { id: "streaming", url: `http://127.0.0.1:${portOf(streaming)}` },
];
const steady = [route("steady", "plain"), route("stream", "streaming")];

const proxy = new GatewayProxy();
const [address] = await proxy.start({ listen: [{ port: 0 }] });
const publish = (revision: number) =>
  proxy.publish({ revision, routes: [...steady, route("moving", "plain", revision)], backends });
await publish(1);

const count = { requests: 0, notOk: 0, socketErrors: 0, closedStreams: 0, staleAnswers: 0 };
let published = 1;
let isOver = false;

function ask(socket: Socket): void {
  const path = count.requests++ % 2 === 0 ? "/steady" : "/moving";
  const before = published;
  let seen = "";
  const read = (chunk: Buffer) => {
    seen += chunk.toString("latin1");
    if (!/\r\n\r\nok$|\r\n0\r\n\r\n$/.test(seen)) return;
    socket.off("data", read);
    if (!seen.startsWith("HTTP/1.1 200 ")) count.notOk++;
    const revision = Number(/X-Revision: (\d+)/.exec(seen)?.[1] ?? before);
    if (revision < before || revision > published + 1) count.staleAnswers++;
    if (isOver) socket.destroy();
    else ask(socket);
  };
  socket.on("data", read);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
}

function open(fields: string): void {
  const socket = connect(address!.port, "127.0.0.1");
  socket.write(`GET /stream HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  socket.on("error", () => {});
  socket.resume().on("close", () => {
    if (!isOver) count.closedStreams++;
  });
}

for (let i = 0; i < 200; i++) open("Connection: Upgrade\r\nUpgrade: websocket\r\n");
for (let i = 0; i < 50; i++) open("");
for (let i = 0; i < 64; i++) {
  const socket = connect(address!.port, "127.0.0.1", () => ask(socket));
  socket.on("error", () => count.socketErrors++);
  socket.on("close", () => {
    if (!isOver) count.socketErrors++;
  });
}
const start = performance.now();
while (published < revisions) {
  await publish(published + 1);
  published++;
}
isOver = true;
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const { tunnels, flags } = await proxy.stats();
console.log(`${revisions} revisions in ${seconds} s:`, { ...count, tunnels, flags });
await proxy.stop({ drainMs: 0 });
const isUndisturbed = count.notOk + count.socketErrors + count.closedStreams + count.staleAnswers === 0;
process.exit(isUndisturbed ? 0 : 1);
