/** The backend of the tunnels: says 101 and gives back what it gets. */
import { createServer } from "node:net";

createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${accept}\r\n\r\n`,
    );
    socket.on("data", (chunk) => socket.write(chunk));
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
