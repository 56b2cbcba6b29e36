/** The sockets that a worker listens on, plain and TLS, and what it knows of who connects. */
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { createSecureContext, createServer as createTls, type SecureContext, type TLSSocket } from "node:tls";
import { plainAddress } from "./addresses.ts";
import { ClientConnection, type ClientLimits, type Peer } from "./client.ts";
import type { ProxyContext } from "./context.ts";
import { isFieldValue } from "./http1/grammar.ts";
import type { Address, Certificate, Limits, Listen } from "./snapshot.ts";

export interface ListenerContext extends ProxyContext {
  readonly clients: Set<ClientConnection>;
  readonly clientLimits: ClientLimits;
  readonly settings: Required<Limits>;
  isTrusted(address: string): boolean;
}

export class Listeners {
  readonly #context: ListenerContext;
  readonly #servers: Server[] = [];
  #contexts = new Map<string, SecureContext>();
  #fallback: SecureContext | undefined;

  constructor(context: ListenerContext) {
    this.#context = context;
  }

  async listen(
    all: readonly Listen[],
    ports: readonly number[] | undefined,
    isShared: boolean,
  ): Promise<readonly Address[]> {
    const addresses: Address[] = [];
    for (const [index, listen] of all.entries()) {
      const server = listen.tls ? this.#tls(listen) : this.#plain();
      this.#servers.push(server);
      const host = listen.host ?? "127.0.0.1";
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        const port = ports?.[index] ?? listen.port;
        server.listen({ host, port, reusePort: isShared, backlog: 4096 }, () => resolve());
      });
      const address = server.address() as { address: string; port: number };
      addresses.push({ host: address.address, port: address.port, tls: listen.tls !== undefined });
    }
    return addresses;
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  /** Returns what cannot be used; the others serve. */
  setCertificates(certificates: readonly Certificate[] | undefined): { id: string; message: string }[] {
    if (!certificates) return [];
    const problems: { id: string; message: string }[] = [];
    const contexts = new Map<string, SecureContext>();
    for (const { hosts, cert, key } of certificates) {
      try {
        const context = createSecureContext({ cert, key, minVersion: "TLSv1.2" });
        for (const host of hosts) contexts.set(host.toLowerCase(), context);
      } catch (error) {
        problems.push({ id: hosts.join(), message: error instanceof Error ? error.message : String(error) });
      }
    }
    this.#contexts = contexts;
    this.#fallback = contexts.values().next().value;
    return problems;
  }

  #plain(): Server {
    const server = createTcp({ noDelay: true, allowHalfOpen: true, keepAlive: true }, (socket) => {
      const port = socket.localPort ?? 0;
      this.#accept(socket, `X-Forwarded-Proto: http\r\nX-Forwarded-Port: ${port}\r\n`, "");
    });
    server.maxConnections = this.#context.settings.connectionsMax;
    return server;
  }

  #tls({ tls = {} }: Listen): Server {
    const server = createTls({
      noDelay: true,
      allowHalfOpen: true,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: this.#context.settings.headMs,
      requestCert: tls.clientCertificates !== undefined,
      rejectUnauthorized: tls.clientCertificates === "required",
      ...(tls.clientCa !== undefined && { ca: tls.clientCa }),
      SNICallback: (name, done) => done(null, this.#contextFor(name)),
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      const lines = `X-Forwarded-Proto: https\r\nX-Forwarded-Port: ${socket.localPort ?? 0}\r\n`;
      this.#accept(socket, lines, certificateLine(socket));
    });
    server.on("tlsClientError", () => this.#context.refused("tls"));
    server.maxConnections = this.#context.settings.connectionsMax;
    return server;
  }

  #contextFor(name: string): SecureContext | undefined {
    const host = name.toLowerCase();
    return this.#contexts.get(host) ?? this.#contexts.get(host.replace(/^[^.]+/, "*")) ?? this.#fallback;
  }

  #accept(socket: Socket, forwardedLines: string, certificate: string): void {
    const address = plainAddress(socket.remoteAddress);
    const peer: Peer = {
      address,
      isTrusted: this.#context.isTrusted(address),
      forwardedLines,
      certificateLine: certificate,
      isHttp2: false,
    };
    const { clients, clientLimits } = this.#context;
    const client = new ClientConnection(socket, peer, this.#context, clientLimits, (gone) =>
      clients.delete(gone),
    );
    clients.add(client);
  }
}

/** Who the client's certificate was made out to, for the backend; only of one that was verified. */
function certificateLine(socket: TLSSocket): string {
  if (!socket.authorized) return "";
  const { fingerprint256, subject } = socket.getPeerCertificate();
  const name = String(subject?.CN ?? "");
  if (!fingerprint256 || !isFieldValue(name)) return "";
  return `X-Client-Certificate: Hash=${fingerprint256.replaceAll(":", "").toLowerCase()};Subject="${name.replace(/["\\]/g, "")}"\r\n`;
}
