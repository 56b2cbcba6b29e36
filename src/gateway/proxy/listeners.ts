/** The sockets that a worker listens on, plain and TLS, and what it knows of who connects. */
import { createServer as createTcp, type Server, type Socket } from "node:net";
import {
  createSecureContext,
  createServer as createTls,
  type SecureContext,
  type TLSSocket,
  Server as TlsServer,
} from "node:tls";
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
  #certificates: readonly Certificate[] = [];
  readonly #listens: readonly Listen[];
  /** By name, for each listener: with its own idea of whose certificates clients may show. */
  #contexts: readonly Map<string, SecureContext>[] = [];

  constructor(context: ListenerContext, listens: readonly Listen[]) {
    this.#context = context;
    this.#listens = listens;
  }

  async listen(ports: readonly number[] | undefined, isShared: boolean): Promise<readonly Address[]> {
    const addresses: Address[] = [];
    for (const [index, listen] of this.#listens.entries()) {
      const server = listen.tls ? this.#tls(listen, index) : this.#plain();
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
    const problems = new Map<string, string>();
    this.#certificates = certificates;
    this.#contexts = this.#listens.map(({ tls }) => {
      const contexts = new Map<string, SecureContext>();
      for (const { hosts, cert, key } of tls ? certificates : []) {
        try {
          const ca = tls?.clientCa;
          const context = createSecureContext({
            cert,
            key,
            minVersion: "TLSv1.2",
            ...(ca !== undefined && { ca }),
          });
          for (const host of hosts) contexts.set(host.toLowerCase(), context);
        } catch (error) {
          problems.set(hosts.join(), error instanceof Error ? error.message : String(error));
        }
      }
      return contexts;
    });
    // For who names no server.
    for (const [index, server] of this.#servers.entries()) {
      if (server instanceof TlsServer && problems.size === 0) server.setSecureContext(this.#ofDefault(index));
    }
    return [...problems].map(([id, message]) => ({ id, message }));
  }

  #ofDefault(index: number) {
    const [first] = this.#certificates;
    const ca = this.#listens[index]?.tls?.clientCa;
    return { ...(first && { cert: first.cert, key: first.key }), ...(ca !== undefined && { ca }) };
  }

  #plain(): Server {
    const server = createTcp({ noDelay: true, allowHalfOpen: true, keepAlive: true }, (socket) => {
      const port = socket.localPort ?? 0;
      this.#accept(socket, `X-Forwarded-Proto: http\r\nX-Forwarded-Port: ${port}\r\n`, "");
    });
    server.maxConnections = this.#context.settings.connectionsMax;
    return server;
  }

  #tls({ tls = {} }: Listen, index: number): Server {
    const server = createTls({
      noDelay: true,
      allowHalfOpen: true,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: this.#context.settings.headMs,
      requestCert: tls.clientCertificates !== undefined,
      rejectUnauthorized: tls.clientCertificates === "required",
      ...this.#ofDefault(index),
      SNICallback: (name, done) => done(null, this.#contextFor(index, name)),
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      const lines = `X-Forwarded-Proto: https\r\nX-Forwarded-Port: ${socket.localPort ?? 0}\r\n`;
      this.#accept(socket, lines, certificateLine(socket));
    });
    server.on("tlsClientError", () => this.#context.refused("tls"));
    server.maxConnections = this.#context.settings.connectionsMax;
    return server;
  }

  #contextFor(index: number, name: string): SecureContext | undefined {
    const host = name.toLowerCase();
    const contexts = this.#contexts[index];
    return (
      contexts?.get(host) ?? contexts?.get(host.replace(/^[^.]+/, "*")) ?? contexts?.values().next().value
    );
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
