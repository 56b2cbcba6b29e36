/** Opens sockets to backends. TLS verifies by default, against the system's roots or the backend's own. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Backend } from "./backend.ts";
import { Http2Dialler } from "./http2-out.ts";
import { ReadBuffers } from "./read-buffers.ts";
import type { Upstream } from "./upstream.ts";

export class Dialler {
  readonly #http2 = new Http2Dialler();
  readonly #buffers = new ReadBuffers();

  dial(upstream: Upstream, backend: Backend): void {
    const { host, port, isTls } = backend.endpoint;
    if (backend.settings.protocol === "h2") {
      this.#http2.dial(upstream, backend, isTls ? tlsOptions(backend) : {});
      return;
    }
    if (isTls) {
      const secure = connectTls({ host, port, ALPNProtocols: ["http/1.1"], ...tlsOptions(backend) });
      secure.on("data", (chunk: Buffer) => upstream.read(chunk, 0, chunk.length));
      this.#adopt(upstream, secure);
      secure.once("secureConnect", () => upstream.onConnect());
      return;
    }
    const socket = connectTcp({ host, port, onread: this.#buffers.of(upstream) });
    this.#adopt(upstream, socket);
    socket.once("connect", () => upstream.onConnect());
  }

  #adopt(upstream: Upstream, socket: Socket): void {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    upstream.attach(socket);
  }
}

function tlsOptions({ endpoint, settings }: Backend) {
  const { verify = true, ca, serverName = endpoint.host, cert, key } = settings.tls ?? {};
  return {
    // A server name that is an address is not sent (RFC 6066 §3).
    ...(isIP(serverName) === 0 && { servername: serverName }),
    rejectUnauthorized: verify,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}
