/**
 * The data plane with its sockets and what it needs to serve before any store is there: its certificates, and the
 * snapshot of last time. So a node whose database is away starts and serves by what it knew.
 */
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import type { Service } from "../core/lifecycle.ts";
import { Certificates } from "./certificates.ts";
import type { Address, DataPlane, Listen, ProxyOptions } from "./proxy/data-plane.ts";
import type { RequestRecord } from "./proxy/records.ts";
import type { Certificate } from "./proxy/snapshot.ts";
import type { BackendEvent, CohortReport } from "./proxy/stats.ts";
import { SnapshotFile } from "./snapshot-file.ts";

export interface ListenerSettings {
  host: string;
  /** Undefined: 7080, and while developing any free one when it is taken. */
  port: number | undefined;
  tlsPort: number | undefined;
  tlsFolder: string | undefined;
  tlsClientCertificates: "none" | "optional" | "required";
  workers: number;
  trustedHops: readonly string[];
  accessLog: "off" | "file" | "stdout";
  accessLogFormat: "json" | "common" | "combined";
  requestsKept: number;
}

export interface ListenerOptions {
  plane: DataPlane;
  settings: ListenerSettings;
  mode: "development" | "production";
  folder: string;
  clock: Clock;
  drainMs: number;
  /** Of 10,000 requests this many are told. */
  recordShare: number;
  /** Its ports are another's, who will leave them to this one. */
  takesOver?: boolean;
  onRecords(records: readonly RequestRecord[]): void;
  onBackend(event: BackendEvent): void;
  onError(error: unknown): void;
}

const usualPort = 7080;

export class Listener implements Service {
  readonly name = "gateway";
  readonly plane: DataPlane;
  readonly file: SnapshotFile;
  readonly #options: ListenerOptions;
  readonly #certificates: Certificates | undefined;
  #addresses: readonly Address[] = [];
  #list: readonly Certificate[] | undefined;
  #revision = 0;
  /** Told of new certificates, once somebody follows. */
  onCertificates: ((certificates: readonly Certificate[]) => void) | undefined;
  /** Told of tokens that no key of this issuer has signed. */
  onUnknownKey: ((issuer: string) => void) | undefined;
  /** Told what was counted of routes under deployment. */
  onCohorts: ((reports: readonly CohortReport[]) => void) | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.plane = options.plane;
    const { folder, clock, onError, settings } = options;
    this.file = new SnapshotFile(join(folder, "gateway", "snapshot.json"), clock, onError);
    if (settings.tlsPort === undefined || settings.tlsFolder === undefined) return;
    this.#certificates = new Certificates({
      ...{ folder: settings.tlsFolder, clock, onError },
      onChange: (certificates) => {
        this.#list = certificates;
        this.onCertificates?.(certificates);
      },
    });
  }

  /** Resolves when it listens, and serves by the snapshot of last time if there is one. */
  async start(): Promise<void> {
    const { plane, settings, mode, folder, recordShare, onRecords, onBackend, onError } = this.#options;
    this.#list = await this.#certificates?.start();
    const { accessLog, accessLogFormat: format, trustedHops, requestsKept: recordsKept } = settings;
    const path = accessLog === "stdout" ? "-" : join(folder, "gateway", "access.log");
    const listen = await this.#listen();
    const stored = await this.file.read();
    const list = this.#list && { certificates: this.#list };
    const known = stored?.snapshot ?? (list && { revision: 0, routes: [], backends: [] });
    this.#revision = known?.revision ?? 0;
    const options: ProxyOptions = {
      listen,
      sharesPorts: process.platform === "linux",
      workers: settings.workers || (mode === "development" ? 1 : Math.max(1, availableParallelism() - 1)),
      ...{ trustedHops, recordsKept, recordShare, onRecords, onBackend, onCrash: onError },
      onCohorts: (reports) => this.onCohorts?.(reports),
      onUnknownKey: (issuer) => this.onUnknownKey?.(issuer),
      ...(accessLog !== "off" && { accessLog: { path, format } }),
    };
    this.#addresses = await plane.start(options, known && { ...known, ...list }).catch((error: Error) => {
      // Somebody took the port between the look and this.
      throw /EADDRINUSE/.test(error.message) ? portInUse(listen[0]!) : error;
    });
  }

  async stop(): Promise<void> {
    this.#certificates?.stop();
    await this.#options.plane.stop({ drainMs: this.#options.drainMs });
  }

  get certificates(): readonly Certificate[] | undefined {
    return this.#list;
  }

  /** Of the snapshot that it started with. */
  get revision(): number {
    return this.#revision;
  }

  get url(): string | undefined {
    return urlOf(this.#addresses.find(({ tls }) => !tls));
  }

  get tlsUrl(): string | undefined {
    return urlOf(this.#addresses.find(({ tls }) => tls));
  }

  async #listen(): Promise<Listen[]> {
    const { settings } = this.#options;
    const { host, tlsPort, tlsClientCertificates: wanted } = settings;
    const plain: Listen = { host, port: await this.#port() };
    if (tlsPort === undefined || !this.#certificates) return [plain];
    if (wanted === "none") return [plain, { host, port: tlsPort, tls: {} }];
    if (!this.#list?.some(({ clientCa }) => clientCa !== undefined)) {
      throw new HotSwapError(
        "setting_invalid",
        "gateway.tlsClientCertificates needs client-ca.pem in gateway.tlsFolder.",
      );
    }
    return [plain, { host, port: tlsPort, tls: { clientCertificates: wanted } }];
  }

  async #port(): Promise<number> {
    const { mode, settings } = this.#options;
    const port = settings.port ?? usualPort;
    if (port === 0 || this.#options.takesOver || (await isFree(settings.host, port))) return port;
    if (settings.port === undefined && mode === "development") return 0;
    throw portInUse({ host: settings.host, port });
  }
}

function portInUse({ host, port }: Pick<Listen, "host" | "port">): HotSwapError {
  const detail = `${host}:${port}, for the gateway, is taken; choose another with --gateway-port.`;
  return new HotSwapError("port_in_use", detail);
}

function urlOf(address: Address | undefined): string | undefined {
  if (!address) return undefined;
  const { host, port, tls } = address;
  return `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Anything but EADDRINUSE the data plane itself says better. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", ({ code }: NodeJS.ErrnoException) => resolve(code !== "EADDRINUSE"));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
