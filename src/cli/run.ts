/**
 * Runs a server in the foreground until SIGTERM or SIGINT: says where it is, then drains and exits 0. A second
 * signal does not wait any longer.
 */
import { performance } from "node:perf_hooks";
import { systemClock } from "../core/clock.ts";
import { loadSettings, type Mode, type Settings } from "../platform/settings/index.ts";
import { createLog } from "../platform/telemetry/index.ts";
import { banner } from "./banner.ts";
import { removeMarker, writeMarker } from "./marker.ts";
import { requireFreePort } from "./port-owner.ts";
import { type RunningServer, startServer } from "./server.ts";
import { findPredecessor, relieve } from "./takeover.ts";

export interface RunOptions {
  mode: Mode;
  version: string;
  json: boolean;
  configFile: string | undefined;
  flags: Record<string, string>;
  /** Goes on in the place of a server that runs on the same folder. */
  takesOver?: boolean;
}

export async function runServer(options: RunOptions): Promise<void> {
  const { mode, version, json, configFile, flags, takesOver } = options;
  const stopped = nextSignal();
  const { settings } = await loadSettings({ mode, flags, configFile });
  const { folder } = settings.data;
  const predecessor = takesOver ? await findPredecessor(folder) : undefined;
  if (predecessor === undefined) await requireFreePort(settings.http.host, settings.http.port);
  const log = createLog({ level: settings.telemetry.logLevel });
  const server = await startServer({
    ...{ mode, settings, log, version, stopped },
    ...(predecessor !== undefined && { relieve: () => relieve(predecessor, relief(settings, stopped)) }),
  });
  const startedAt = new Date(systemClock.now()).toISOString();
  await writeMarker(folder, { pid: process.pid, url: server.url, mode, startedAt });
  const token = mode === "development" ? await developmentToken(server) : undefined;
  const facts = {
    version,
    mode,
    api: server.url,
    ...(server.gateway && { gateway: server.gateway }),
    console: token ? `${server.url}/#token=${token}` : `${server.url}/`,
    ...(token && { token }),
    data: folder,
    pid: process.pid,
    readyMs: Math.round(performance.now()),
  };
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : banner(facts));
  await stopped;
  await removeMarker(folder); // before draining: who comes now should not find a server that is going
  await server.stop();
}

// Requests of the API drain, then those of the gateway; then the stores close.
const relief = ({ shutdown }: Settings, stopped: Promise<void>) => ({
  clock: systemClock,
  withinMs: 3 * shutdown.drainTimeoutMs + 30_000,
  stopped,
});

/** For the person at this machine; the verifier takes it from loopback only. */
function developmentToken({ issuer }: RunningServer): Promise<string> {
  return issuer.mint({ subject: "developer", tenant: "default", roles: ["admin"], ttlSeconds: 30 * 86_400 });
}

// Under npm one Ctrl-C arrives twice: from the terminal, and a moment later from npm. A person is slower.
const echoMs = 500;

/** Resolves at the first signal; a later one ends the process at once. */
function nextSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let firstAt: number | undefined;
  const hear = () => {
    firstAt ??= systemClock.monotonic();
    resolve();
    if (systemClock.monotonic() - firstAt > echoMs) process.exit(1);
  };
  process.on("SIGTERM", hear);
  process.on("SIGINT", hear);
  return promise;
}
