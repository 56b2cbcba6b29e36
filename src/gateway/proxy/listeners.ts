/** The sockets that a worker listens on, plain and TLS, and what it knows of who connects. */
import type { ServerHttp2Session } from "node:http2";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createSecureContext,
  createServer as createTls,
  type SecureContext,
  type TLSSocket,
  Server as TlsServer,
} from "node:tls";
import { moved } from "./accepted.ts";
import { plainAddress } from "./addresses.ts";
import { ClientConnection, type ClientLimits, type Peer } from "./client.ts";
import type { ProxyContext } from "./context.ts";
import type { Address, Limits, Listen } from "./data-plane.ts";
import { isFieldValue } from "./http1/grammar.ts";
import { serveHttp2 } from "./http2-in.ts";
import { ReadBuffers } from "./read-buffers.ts";
import type { Certificate } from "./snapshot.ts";

export interface ListenerContext extends ProxyContext {
  readonly clients: Set<ClientConnection>;
  readonly clientLimits: ClientLimits;
  readonly settings: Required<Limits>;
  isTrusted(address: string): boolean;
}

export class Listeners {
  readonly #context: ListenerContext;
  readonly #buffers = new ReadBuffers();
  readonly #servers: Server[] = [];
  #certificates: readonly Certificate[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
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

  /** Accepts no more; sessions of HTTP/2 end when their streams have. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const session of this.#sessions) session.close();
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  /** Returns what cannot be used; the others serve. */
  setCertificates(certificates: readonly Certificate[] | undefined): { id: string; message: string }[] {
    if (!certificates) return [];
    const problems = new Map<string, string>();
    this.#certificates = certificates;
    this.#contexts = this.#listens.map(({ tls }) => {
      const contexts = new Map<string, SecureContext>();
      for (const { hosts, ...certificate } of tls ? certificates : []) {
        try {
          const context = createSecureContext({ minVersion: "TLSv1.2", ...shown(certificate, tls) });
          for (const host of hosts) contexts.set(host.toLowerCase(), context);
        } catch (error) {
          problems.set(hosts.join(), error instanceof Error ? error.message : String(error));
        }
      }
      return contexts;
    });
    // For who names no server.
    for (const [index, server] of this.#servers.entries()) {
      if (server instanceof TlsServer && problems.size === 0)
        server.setSecureContext(this.#ofDefault(index) ?? {});
    }
    return [...problems].map(([id, message]) => ({ id, message }));
  }

  #ofDefault(index: number) {
    const [first] = this.#certificates;
    return first && shown(first, this.#listens[index]?.tls);
  }

  #plain(): Server {
    const options = { noDelay: true, allowHalfOpen: true, keepAlive: true, pauseOnConnect: true };
    const server = createTcp(options, (socket) => {
      const port = socket.localPort ?? 0;
      const lines = `X-Forwarded-Proto: http\r\nX-Forwarded-Port: ${port}\r\n`;
      const client = this.#client(this.#peer(socket, lines, "", false));
      const ours = moved(socket, server, this.#buffers.of(client));
      if (ours) client.attach(ours);
      else {
        client.memory = "fresh";
        readPlainly(client, socket);
        socket.resume();
      }
    });
    server.maxConnections = this.#context.settings.connectionsMax;
    return server;
  }

  #tls({ tls = {} }: Listen, index: number): Server {
    const server = createTls({
      noDelay: true,
      allowHalfOpen: true,
      minVersion: "TLSv1.2",
      ALPNProtocols: tls.h2 === false ? ["http/1.1"] : ["h2", "http/1.1"],
      handshakeTimeout: this.#context.settings.headMs,
      requestCert: tls.clientCertificates !== undefined,
      rejectUnauthorized: tls.clientCertificates === "required",
      ...this.#ofDefault(index),
      SNICallback: (name, done) => done(null, this.#contextFor(index, name)),
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      const lines = `X-Forwarded-Proto: https\r\nX-Forwarded-Port: ${socket.localPort ?? 0}\r\n`;
      const isHttp2 = socket.alpnProtocol === "h2";
      const peer = this.#peer(socket, lines, certificateLine(socket), isHttp2);
      if (!isHttp2) {
        readPlainly(this.#client(peer), socket);
        return;
      }
      const { settings } = this.#context;
      const accept = (stream: Duplex) => readPlainly(this.#client(peer), stream);
      const session = serveHttp2(socket, settings, accept, this.#context.ids);
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
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

  #peer(socket: Socket, forwardedLines: string, certificate: string, isHttp2: boolean): Peer {
    const address = plainAddress(socket.remoteAddress);
    const isTrusted = this.#context.isTrusted(address);
    const ownLines = inOnePiece(`X-Forwarded-For: ${address}\r\n${forwardedLines}${certificate}`);
    return { address, isTrusted, forwardedLines, certificateLine: certificate, ownLines, isHttp2 };
  }

  #client(peer: Peer): ClientConnection {
    const { clients, clientLimits } = this.#context;
    const client = new ClientConnection(peer, this.#context, clientLimits, (gone) => clients.delete(gone));
    clients.add(client);
    return client;
  }
}

function readPlainly(client: ClientConnection, socket: Duplex): void {
  socket.on("data", (chunk: Buffer) => client.read(chunk, 0, chunk.length));
  client.attach(socket);
}

/** A string of parts is walked each time that it is written; this one is copied. */
const inOnePiece = (text: string) => Buffer.from(text, "latin1").toString("latin1");

/** What a listener shows, and whom it believes. Without `ca` nobody is asked. */
function shown({ cert, key, clientCa: ca }: Omit<Certificate, "hosts">, tls: Listen["tls"]) {
  return { cert, key, ...(tls?.clientCertificates && ca !== undefined && { ca }) };
}

/** Who the client's certificate was made out to, for the backend; only of one that was verified. */
function certificateLine(socket: TLSSocket): string {
  if (!socket.authorized) return "";
  const { fingerprint256, subject } = socket.getPeerCertificate();
  const name = String(subject?.CN ?? "");
  if (!fingerprint256 || !isFieldValue(name)) return "";
  return `X-Client-Certificate: Hash=${fingerprint256.replaceAll(":", "").toLowerCase()};Subject="${name.replace(/["\\]/g, "")}"\r\n`;
}
