/** The backend of the WebSockets, which gives back what it gets, and of uploads, which it reads to their end. */
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer({ noDelay: true }, (request, response) => {
  request.resume().once("end", () => response.end());
});
// Proxies keep their connections for longer than a pause between two loads.
server.keepAliveTimeout = 3_600_000;
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data) => socket.send(data, { binary: true }));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
