/** A name server of the tests, on loopback and over UDP, whose answers a test may change. */
import { createSocket } from "node:dgram";
import { once } from "node:events";

/** A name server that answers A with these addresses, but of "b", and SRV with two targets on other ports. */
export async function nameServer(ttl: number) {
  const state = { addresses: ["10.0.0.1", "10.0.0.2"], ports: [8001, 8002], targets: ["a", "a"], asked: 0 };
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
    const target = (weight: number, index: number) => {
      const at = state.ports[index]!; // priority 1, a name of one letter
      const name = state.targets[index]!.charCodeAt(0);
      return record(33, Buffer.from([0, 1, 0, weight, at >> 8, at & 255, 1, name, 0]));
    };
    const isUnknown = query.toString("latin1", 12, 15) === "\x01b\0";
    const a = isUnknown
      ? []
      : state.addresses.map((text) => record(1, Buffer.from(text.split(".").map(Number))));
    const answers = type === 1 ? a : type === 33 ? [target(3, 0), target(0, 1)] : [];
    const head = Buffer.from([query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, answers.length, 0, 0, 0, 0]);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...answers]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { state, server: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}
