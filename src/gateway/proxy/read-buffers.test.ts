import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { Outlet } from "./outlet.ts";
import { type Memory, ReadBuffers, type Reader } from "./read-buffers.ts";

/** What comes from a server goes to `to`, as it does through the proxy. Returns the memories that it was in. */
async function relay(from: Server, to: Socket, isChunked: boolean, size: number): Promise<Set<Memory>> {
  const used = new Set<Memory>();
  const buffers = new ReadBuffers();
  const out = new Outlet(to);
  let left = size;
  const reader: Reader = {
    memory: "shared",
    get isInBody() {
      return left > 0;
    },
    read(bytes, start, end) {
      used.add(reader.memory);
      left -= end - start;
      if (isChunked) out.passChunk(bytes.subarray(start, end), reader);
      else out.pass(bytes.subarray(start, end), reader);
      if (!out.flows) inward.pause();
    },
  };
  const { port } = from.address() as AddressInfo;
  const inward = connect({ port, host: "127.0.0.1", onread: buffers.of(reader) });
  to.on("drain", () => inward.resume());
  await once(inward, "end");
  out.end();
  return used;
}

test("bytes arrive as they were sent, however slow the one that they are passed to", async () => {
  const sizes = fc.record({
    size: fc.integer({ min: 1, max: 3_000_000 }),
    pauses: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
    isChunked: fc.boolean(),
  });
  let blocks = 0;
  await fc.assert(
    fc.asyncProperty(sizes, async ({ size, pauses, isChunked }) => {
      const sent = Buffer.alloc(size);
      for (let at = 0; at + 4 <= size; at += 4) sent.writeUInt32LE(at, at);
      const source = createServer((socket) => socket.end(sent));
      const sink = createServer();
      source.listen(0, "127.0.0.1");
      sink.listen(0, "127.0.0.1");
      await Promise.all([once(source, "listening"), once(sink, "listening")]);
      const to = connect((sink.address() as AddressInfo).port, "127.0.0.1");
      const [received] = (await once(sink, "connection")) as [Socket];
      const parts: Buffer[] = [];
      received.on("data", (part: Buffer) => {
        parts.push(part);
        if (!pauses[parts.length % pauses.length]) return;
        received.pause();
        setImmediate(() => received.resume());
      });
      const [used] = await Promise.all([relay(source, to, isChunked, size), once(received, "end")]);
      blocks += used.size - 1;
      const all = Buffer.concat(parts);
      assert.ok(isChunked ? dechunked(all).equals(sent) : all.equals(sent));
      source.close();
      sink.close();
    }),
    { numRuns: 30 },
  );
  assert.ok(blocks > 0, "none was large enough for a block");
});

function dechunked(all: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf("\r\n", at);
    const size = Number.parseInt(all.toString("latin1", at, end), 16);
    parts.push(all.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(parts);
}
