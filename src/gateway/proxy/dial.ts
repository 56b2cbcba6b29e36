/**
 * Opens sockets to backends. Plain TCP reads into one buffer that all connections of the worker share, since what is
 * read is dealt with before anything else is read. TLS verifies by default, against the system's roots or the
 * backend's own.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Backend } from "./backend.ts";
import type { Upstream } from "./upstream.ts";

const READ_BYTES = 65_536;

export class Dialler {
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  dial(upstream: Upstream, { endpoint, settings }: Backend): void {
    const { host, port } = endpoint;
    if (endpoint.isTls) {
      const { verify = true, ca, serverName = host, cert, key } = settings.tls ?? {};
      const secure = connectTls({
        host,
        port,
        // A server name that is an address is not sent (RFC 6066 §3).
        ...(/^[\d.]+$|:/.test(serverName) ? {} : { servername: serverName }),
        rejectUnauthorized: verify,
        ALPNProtocols: ["http/1.1"],
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
      });
      secure.on("data", (chunk: Buffer) => upstream.read(chunk, 0, chunk.length));
      this.#adopt(upstream, secure);
      secure.once("secureConnect", () => upstream.onConnect());
      return;
    }
    const socket = connectTcp({
      host,
      port,
      onread: {
        buffer: this.#buffer,
        callback: (length, buffer) => {
          upstream.read(buffer as Buffer, 0, length);
          return true;
        },
      },
    });
    this.#adopt(upstream, socket);
    socket.once("connect", () => upstream.onConnect());
  }

  #adopt(upstream: Upstream, socket: Socket): void {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    upstream.attach(socket);
  }
}
