/** What `hotswap doctor` looks at. Each check finds out one thing and never throws; none changes anything. */
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { loadSettings, type Mode, type Settings } from "../platform/settings/index.ts";
import { openRedisLog } from "../stores/log/index.ts";
import { readMarker } from "./marker.ts";
import { requireFreePort } from "./port-owner.ts";

export interface Finding {
  name: string;
  /** warn: it works, but not well. */
  status: "ok" | "warn" | "fail";
  detail: string;
  /** What to do; on what is not ok. */
  remedy?: string;
}

export interface ExamineOptions {
  mode: Mode;
  configFile: string | undefined;
  flags: Record<string, string>;
}

export async function examine(options: ExamineOptions): Promise<Finding[]> {
  const node = checkNode();
  try {
    const { settings } = await loadSettings(options);
    const checks = [checkFolder, checkDisk, checkPort, checkSql, checkKv, checkLog];
    const findings: Finding[] = [node, { name: "settings", status: "ok", detail: `fit for ${options.mode}` }];
    // One after the other: the disk is timed, and nothing else should be at work meanwhile.
    for (const check of checks) findings.push(...(await check(settings)));
    return [...findings, checkClock()];
  } catch (error) {
    if (!(error instanceof HotSwapError)) throw error;
    return [node, failed("settings", error.message, error.entry.help)];
  }
}

const failed = (name: string, detail: string, remedy: string): Finding => ({
  name,
  status: "fail",
  detail,
  remedy,
});

function checkNode(): Finding {
  const { node } = process.versions;
  if (Number.parseInt(node, 10) >= 24) return { name: "node", status: "ok", detail: node };
  return failed("node", `${node} is too old.`, "Run hotswap by its launcher, which brings Node 24 along.");
}

async function checkFolder({ data }: Settings): Promise<Finding[]> {
  const name = "data";
  const parent = await nearestFolder(data.folder);
  try {
    const probe = await mkdtemp(join(parent, ".hotswap-doctor-"));
    await rm(probe, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [failed(name, `${parent} cannot be written (${code}).`, "Choose another folder with --data.")];
  }
  const made = parent === data.folder ? "" : ", made at the first start";
  return [{ name, status: "ok", detail: `${data.folder}${made}` }];
}

/** The folder, or the nearest one above it that exists; a file in its place is found when it is written to. */
async function nearestFolder(path: string): Promise<string> {
  const isMissing = await stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  return isMissing && path !== dirname(path) ? nearestFolder(dirname(path)) : path;
}

const writes = 100;
/** Above this a durable publish is slow whatever HotSwap does. */
const slowMs = 20;

async function checkDisk({ data }: Settings): Promise<Finding[]> {
  const parent = await nearestFolder(data.folder);
  const folder = await mkdtemp(join(parent, ".hotswap-doctor-")).catch(() => undefined);
  if (folder === undefined) return []; // said by the check before
  const file = await open(join(folder, "probe"), "w");
  const times: number[] = [];
  try {
    const block = Buffer.alloc(4096, 1);
    for (let index = 0; index < writes; index++) {
      const started = systemClock.monotonic();
      await file.write(block);
      await file.datasync();
      times.push(systemClock.monotonic() - started);
    }
  } finally {
    await file.close();
    await rm(folder, { recursive: true });
  }
  times.sort((a, b) => a - b);
  const [p50, p99] = [times[writes * 0.5]!, times[writes * 0.99]!];
  const detail = `fdatasync of 4 KiB: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms over ${writes}`;
  if (p50 <= slowMs) return [{ name: "disk", status: "ok", detail }];
  const remedy = "Put the data folder on a local SSD, or give topics the durability os.";
  return [{ name: "disk", status: "warn", detail, remedy }];
}

async function checkPort({ http, data }: Settings): Promise<Finding[]> {
  const name = "port";
  try {
    await requireFreePort(http.host, http.port);
    return [{ name, status: "ok", detail: `${http.host}:${http.port} is free` }];
  } catch (error) {
    if (!(error instanceof HotSwapError)) throw error;
    const marker = await readMarker(data.folder);
    if (marker && new URL(marker.url).port === String(http.port)) {
      return [{ name, status: "ok", detail: `${marker.url} is this folder's server, process ${marker.pid}` }];
    }
    return [failed(name, error.message, error.entry.help)];
  }
}

async function checkSql({ sql }: Settings): Promise<Finding[]> {
  const name = "sql";
  try {
    if (sql.url === "embedded") {
      const { findBinaries } = await import("../stores/sql/embedded/binaries.ts");
      const { version } = await findBinaries();
      return [{ name, status: "ok", detail: `embedded PostgreSQL ${version}` }];
    }
    const { default: pg } = await import("pg");
    const client = new pg.Client({ connectionString: sql.url, connectionTimeoutMillis: 5_000 });
    try {
      await client.connect();
      const { rows } = await client.query<{ version: string; now: Date }>(
        "select current_setting('server_version') as version, now()",
      );
      return [sqlVersion(rows[0]!.version), ...clockBeside("the database", rows[0]!.now.getTime())];
    } finally {
      await client.end();
    }
  } catch (error) {
    if (error instanceof HotSwapError) return [failed(name, error.message, error.entry.help)];
    const { code = "no answer" } = error as NodeJS.ErrnoException;
    return [
      failed(
        name,
        `The database cannot be used (${code}).`,
        "Look at HOTSWAP_SQL and at the database's log.",
      ),
    ];
  }
}

function sqlVersion(version: string): Finding {
  const detail = `PostgreSQL ${version}`;
  if (Number.parseInt(version, 10) >= 15) return { name: "sql", status: "ok", detail };
  return failed("sql", `${detail} is too old.`, "Use PostgreSQL 15 or newer.");
}

async function checkKv({ kv }: Settings): Promise<Finding[]> {
  const name = "kv";
  if (kv.url === "memory") return [{ name, status: "ok", detail: "in this process" }];
  const { createClient } = await import("redis");
  const socket = { connectTimeout: 5_000, reconnectStrategy: false as const };
  const client = kv.url.startsWith("unix:")
    ? createClient({ socket: { ...socket, path: new URL(kv.url).pathname, tls: false } })
    : createClient({ url: kv.url, socket });
  client.on("error", () => {}); // the call that fails says it as well
  try {
    await client.connect();
    const version = /redis_version:([\d.]+)/.exec(await client.info("server"))?.[1] ?? "";
    if (Number.parseInt(version, 10) >= 7) return [{ name, status: "ok", detail: `Redis ${version}` }];
    return [failed(name, `Redis ${version} is too old.`, "Use Redis 7 or newer.")];
  } catch (error) {
    const { code = "no answer" } = error as NodeJS.ErrnoException;
    return [failed(name, `Redis cannot be used (${code}).`, "Look at HOTSWAP_KV and at Redis.")];
  } finally {
    client.destroy();
  }
}

/** By opening it as the server does: what Redis is set to keep is a part of the answer. */
async function checkLog({ log: { url, durability } }: Settings): Promise<Finding[]> {
  const name = "log";
  if (url === "disk") return [{ name, status: "ok", detail: "on the disk" }];
  const log = await openRedisLog({ url, durability });
  try {
    await log.start();
    return [{ name, status: "ok", detail: `Redis, keeps ${durability}` }];
  } catch (error) {
    const detail = error instanceof HotSwapError ? error.message : "Redis cannot be used.";
    return [failed(name, detail, "Look at HOTSWAP_LOG and at Redis.")];
  } finally {
    await log.stop();
  }
}

/** Tokens and schedules go wrong when clocks are further apart. */
const skewMaxMs = 2_000;

function clockBeside(whose: string, theirs: number): Finding[] {
  const apartMs = Math.abs(systemClock.now() - theirs);
  if (apartMs <= skewMaxMs) return [];
  const detail = `The clocks of this machine and of ${whose} are ${Math.round(apartMs / 1000)} s apart.`;
  return [failed("clock", detail, "Let NTP set both clocks.")];
}

/** No release of HotSwap is older than this, so no right clock is either. */
const releasedMs = Date.UTC(2025, 0, 1);

function checkClock(): Finding {
  const now = systemClock.now();
  const detail = new Date(now).toISOString();
  if (now > releasedMs) return { name: "clock", status: "ok", detail };
  return failed("clock", `${detail} is in the past.`, "Let NTP set the clock.");
}
