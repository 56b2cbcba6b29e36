/**
 * One message per HTTP request over keep-alive connections, one request at a time on each. It writes and reads
 * HTTP/1.1 by hand, as far as this one exchange needs, because the generator must cost far less than the server:
 * it shares two cores with it. Not an HTTP client; any answer it does not expect ends the run.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { message, messageBytes } from "./message.ts";
import type { Endpoint, Stretch } from "./system.ts";

const headEnd = Buffer.from("\r\n\r\n");

/** Resolves when every message of the stretch is stored; `window` is the number of connections. */
export async function publishSingly(endpoint: Endpoint, topic: string, stretch: Stretch): Promise<void> {
  const { host, hostname, port } = new URL(endpoint.url!);
  const start = Buffer.from(`{"topic":"${topic}","payload":`);
  const end = Buffer.from("}");
  const head = Buffer.from(
    `POST /api/v1/messages/publish HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${endpoint.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${start.length + messageBytes + end.length}\r\n\r\n`,
  );
  let next = 0;
  const request = (): { number: number; bytes: Buffer } | undefined => {
    if (next === stretch.count || stretch.expired()) return undefined;
    const number = stretch.first + next++;
    return { number, bytes: Buffer.concat([head, start, message(number), end]) };
  };
  const lanes = Array.from({ length: stretch.window }, async () => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    await converse(socket, request, stretch).finally(() => socket.destroy());
  });
  await Promise.all(lanes);
}

type NextRequest = () => { number: number; bytes: Buffer } | undefined;

/** Request, answer, request, … on one connection until there are no more. */
function converse(socket: Socket, request: NextRequest, { latency, ledger }: Stretch): Promise<void> {
  return new Promise((resolve, reject) => {
    let number = 0;
    let sentAt = 0;
    let received: Buffer = Buffer.alloc(0);
    const send = () => {
      const following = request();
      if (!following) return resolve();
      number = following.number;
      sentAt = performance.now();
      socket.write(following.bytes);
    };
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const length = answerLength(received);
      if (length === undefined) return;
      if (received.toString("latin1", 9, 12) !== "201" || received.length !== length) {
        return reject(new Error(`unexpected answer: ${received.toString("latin1", 0, 800)}`));
      }
      received = Buffer.alloc(0);
      latency.record(performance.now() - sentAt);
      ledger.mark(number);
      send();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed a connection")));
    send();
  });
}

/** Bytes of head and body together, once the head is complete. */
function answerLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString("latin1", 0, end))?.[1];
  if (length === undefined) throw new Error("an answer without Content-Length");
  const total = end + headEnd.length + Number(length);
  return bytes.length < total ? undefined : total;
}
