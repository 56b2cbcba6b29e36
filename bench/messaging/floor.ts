/**
 * The floor of one message per request: a server of node:http alone, which reads each request to its end and answers
 * with as many bytes as HotSwap does, and keeps nothing. What HotSwap costs beyond it is HotSwap's own. It runs as a
 * process of its own, as the servers beside it do.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const receipt = JSON.stringify({
  messageId: "1-0-0000",
  topic: "bench",
  partition: 0,
  offset: 100_000,
  durability: "fsync",
});
const fields = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-type": "application/json; charset=utf-8",
  "content-length": receipt.length,
};

const server = createServer({ keepAliveTimeout: 72_000 }, (request, response) => {
  request.on("data", () => {});
  request.on("end", () => response.writeHead(201, fields).end(receipt));
});

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
process.once("SIGTERM", () => process.exit());
