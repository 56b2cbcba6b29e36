/**
 * What telling many costs before anything is done with it: a GET listens for ever, and the body of a POST is written
 * to all who listen, then the POST is answered. Nothing is kept, compared or committed.
 */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";

const listeners = new Set<Socket>();

const server = createServer((request, response) => {
  if (request.method === "GET") {
    const { socket } = request;
    listeners.add(socket);
    socket.once("close", () => listeners.delete(socket));
    response.removeHeader("transfer-encoding");
    response.writeHead(200, { "content-type": "text/event-stream", connection: "close" });
    response.flushHeaders();
    return;
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const event = Buffer.concat(chunks);
    for (const socket of listeners) socket.write(event);
    response.writeHead(200, { "content-length": 0 }).end();
  });
});

server.listen({ port: 0, host: "127.0.0.1", backlog: 8_192 }, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
process.once("SIGTERM", () => process.exit());
