/**
 * The stores of a server, in the order in which they start: what alone may use the data folder first. The listener of
 * the gateway starts among them, since it serves without any; a server that takes over starts it before all others.
 */
import { join } from "node:path";
import { type Clock, sleep, systemClock } from "../core/clock.ts";
import { HotSwapError, hasCode } from "../core/errors.ts";
import type { Lifecycle, Service } from "../core/lifecycle.ts";
import type { Settings } from "../platform/settings/index.ts";
import type { Log } from "../platform/telemetry/index.ts";
import { openBlob } from "../stores/blob/index.ts";
import { type FolderLock, lockFolder } from "../stores/folderlock.ts";
import { openKv } from "../stores/kv/index.ts";
import { type LogStore, openLog, openRedisLog } from "../stores/log/index.ts";
import { openSecrets } from "../stores/secrets/index.ts";
import { openSql } from "../stores/sql/index.ts";

export interface StoresOptions {
  settings: Settings;
  log: Log;
  /** Resolves when waiting for a store makes no sense any more. */
  stopped?: Promise<void>;
  /** Stops the server that runs on this data folder; called when the gateway serves beside it. */
  relieve?: (() => Promise<void>) | undefined;
}

const clock = systemClock;

export type Stores = Awaited<ReturnType<typeof startStores>>;

export async function startStores(
  { settings, log, stopped, relieve }: StoresOptions,
  lifecycle: Lifecycle,
  listener: Service & { revision: number },
) {
  const { data, kv: kvSettings, deployment: engine, nodes } = settings;
  const sql = openSql({
    ...{ sql: settings.sql.url, data: data.folder, poolSize: settings.sql.poolSize, clock },
    // A node that freezes holds what others wait for no longer than its leases.
    idleInTransactionTimeoutMs: Math.min(engine.leaseMs, nodes.leaseMs),
  });
  if (relieve) {
    await checkSecrets(settings);
    await lifecycle.start(listener);
    await relieve();
  }
  // First of all: one process per data folder. The embedded database takes the lock itself.
  if (settings.sql.url === "embedded") {
    await lifecycle.start(sql);
    if (!relieve) await lifecycle.start(listener);
  } else {
    await lifecycle.start(folderLock(data.folder));
    if (!relieve) await lifecycle.start(listener);
    const patient = listener.revision > 0; // it serves already, by the snapshot of last time
    await lifecycle.start(patient ? patiently(sql, clock, log, stopped) : sql);
  }
  const kv = await openKv({
    ...(kvSettings.url !== "memory" && { url: kvSettings.url }),
    clock,
    report: (event) => log.warn({ ...event }, "key-value store"),
  });
  await lifecycle.start(kv);
  const secrets = secretsOf(settings);
  await lifecycle.start(secrets);
  const blob = openBlob({ folder: blobFolder(settings) });
  await lifecycle.start(blob);
  const messageLog = await openMessageLog(settings, log);
  await lifecycle.start(messageLog);
  return { sql, kv, secrets, blob, log: messageLog };
}

const secretsOf = ({ data, secrets }: Settings) =>
  openSecrets({ path: join(data.folder, "secrets.json"), masterKey: secrets.masterKey });

/** Finds a wrong key while the server before this one still runs. Only reads: the file is there, and another's. */
async function checkSecrets(settings: Settings): Promise<void> {
  const secrets = secretsOf(settings);
  await secrets.start();
  await secrets.stop();
}

function openMessageLog({ data, log: settings }: Settings, log: Log): Promise<LogStore> | LogStore {
  const limits = {
    segmentBytes: settings.segmentBytes,
    cacheBytes: settings.tailCacheBytes,
    pendingTotalBytes: settings.pendingBytesMax,
  };
  if (settings.url !== "disk") {
    const report = (event: object) => log.warn({ ...event }, "message log");
    return openRedisLog({ url: settings.url, clock, limits, durability: settings.durability, report });
  }
  return openLog({
    folder: join(data.folder, "log"),
    clock,
    limits,
    onFault: (error) => log.error({ room: "log", err: error }, "failed in the background"),
  });
}

function folderLock(folder: string): Service {
  let lock: FolderLock | undefined;
  return {
    name: "data folder",
    start: async () => {
      lock = await lockFolder(folder);
    },
    stop: async () => lock?.release(),
  };
}

function blobFolder({ blob, data }: Settings): string {
  return blob.url === "folder" ? join(data.folder, "blob") : new URL(blob.url).pathname;
}

/** Waits for a store that cannot be reached, for as long as it takes, so that what serves without it goes on. */
function patiently(service: Service, clock: Clock, log: Log, stopped = new Promise<void>(() => {})): Service {
  const start = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await service.start();
      } catch (error) {
        if (!hasCode(error, "store_unavailable")) throw error;
        if (attempt === 1)
          log.warn({ err: error }, `waiting for ${service.name}; the gateway serves by its last snapshot`);
        const left = await Promise.race([sleep(clock, 1_000).then(() => false), stopped.then(() => true)]);
        if (left) throw new HotSwapError("shutting_down", `Stopped while waiting for ${service.name}.`);
      }
    }
  };
  return { name: service.name, start, stop: () => service.stop() };
}
