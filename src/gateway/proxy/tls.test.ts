/** TLS in and out: SNI, certificates of clients, verified backends. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { root as ca, makeCertificate } from "./certificate.testing.ts";
import { answering, ok, routeTo, startBackend, startEngine } from "./engine.testing.ts";

const ofA = makeCertificate("a.example");
const ofB = makeCertificate("b.example");
const request =
  "GET / HTTP/1.1\r\nHost: a.example\r\nX-Client-Certificate: forged\r\nConnection: close\r\n\r\n";

async function ask(port: number, options: object): Promise<{ socket: TLSSocket; text: string }> {
  const socket = connect({ port, host: "127.0.0.1", ca, ...options });
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await once(socket, "secureConnect");
  socket.write(request);
  await once(socket, "end");
  return { socket, text };
}

describe("TLS", { concurrency: true }, () => {
  const certificates = [
    { hosts: ["a.example"], ...ofA },
    { hosts: ["b.example"], ...ofB },
  ];

  test("serves 1.3 with the certificate of the name that is asked for", async () => {
    let seen = "";
    await using backend = await startBackend(
      "b",
      answering((text) => {
        seen = text;
        return ok();
      }),
    );
    const snapshot = { routes: [routeTo(["b"])], backends: [backend.settings()], certificates };
    await using running = await startEngine(snapshot, { listen: [{ port: 0, tls: {} }] });
    for (const servername of ["a.example", "b.example"]) {
      const { socket, text } = await ask(running.port, { servername });
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.equal(socket.getProtocol(), "TLSv1.3");
    }
    assert.match(seen, /X-Forwarded-Proto: https\r\n/);
    assert.doesNotMatch(seen, /X-Client-Certificate/);
    const other = { hosts: ["a.example"], ...makeCertificate("a.example") };
    running.publish({ certificates: [other] });
    const { socket } = await ask(running.port, { servername: "a.example" });
    assert.ok(socket.authorized);
    const { text } = await ask(running.port, { checkServerIdentity: () => undefined });
    assert.match(text, /^HTTP\/1\.1 200 /, "a client that names no server gets the first certificate");
  });

  test("asks clients for a certificate where the listener requires one, and tells the backend whose it is", async () => {
    let seen = "";
    await using backend = await startBackend(
      "b",
      answering((text) => {
        seen = text;
        return ok();
      }),
    );
    const asking = certificates.map((certificate) => ({ ...certificate, clientCa: ca }));
    const snapshot = { routes: [routeTo(["b"])], backends: [backend.settings()], certificates: asking };
    const tls = { clientCertificates: "required" } as const;
    await using running = await startEngine(snapshot, { listen: [{ port: 0, tls }] });
    await assert.rejects(ask(running.port, { servername: "a.example" }));
    await ask(running.port, { servername: "a.example", ...makeCertificate("client-7") });
    assert.match(seen, /X-Client-Certificate: Hash=[0-9a-f]{64};Subject="client-7"\r\n/);
  });

  test("verifies backends by default, by name and root; shows them our certificate", async () => {
    let subject = "";
    const server = createServer({ ...ofA, ca, requestCert: true }, (socket) => {
      subject = String(socket.getPeerCertificate().subject?.CN);
      answering(() => ok("secure"))(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const url = `https://127.0.0.1:${port}`;
    const on = (id: string) => routeTo([id], { id, match: { path: { prefix: `/${id}` } } });
    await using running = await startEngine({
      routes: ["none", "name", "good"].map(on),
      backends: [
        { id: "none", url, tls: { serverName: "a.example" } },
        { id: "name", url, tls: { ca, serverName: "other.example" } },
        { id: "good", url, tls: { ca, serverName: "a.example", ...ofB } },
      ],
    });
    const status = async (path: string) => (await fetch(`http://127.0.0.1:${running.port}${path}`)).status;
    assert.deepEqual([await status("/none"), await status("/name"), await status("/good")], [502, 502, 200]);
    assert.equal(subject, "b.example");
    server.close();
  });
});
