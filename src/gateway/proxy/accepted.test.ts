import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { moved } from "./accepted.ts";

test("an accepted connection is read into memory of ours, and counts among those of its server", async () => {
  const memory = Buffer.alloc(1024);
  const read: string[] = [];
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
    const socket: Socket | undefined = moved(accepted, server, {
      buffer: memory,
      callback: (length, bytes) => {
        assert.equal(bytes, memory);
        read.push(Buffer.from(bytes).toString("latin1", 0, length));
        socket!.write("pong");
        return true;
      },
    });
    assert.ok(socket, "this Node reads them as they are");
    socket.on("end", () => socket.end("over"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.setEncoding("latin1");
  client.write("ping");
  assert.deepEqual(await once(client, "data"), ["pong"]);
  assert.deepEqual(read, ["ping"]);
  assert.equal(await new Promise((resolve) => server.getConnections((_, count) => resolve(count))), 1);
  client.end();
  assert.deepEqual(await once(client, "data"), ["over"]);
  await once(client, "close");
  server.close();
  await once(server, "close");
});
