/** What the figures were measured on: processor, kernel, file system, and what its disk does when asked to flush. */
import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { median } from "./measure.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly node: string;
  /** Median of one write of 500 KiB followed by fdatasync: the unit of a group commit of one window. */
  readonly flush500KiBMs: number;
}

export function describeMachine(folder: string): Machine {
  const fileSystem = execFileSync("stat", ["--file-system", "--format=%T", folder], {
    encoding: "utf8",
  }).trim();
  if (fileSystem === "tmpfs")
    throw new Error(`${folder} is in memory; name a folder on a disk with --folder`);
  const mount = longestMountOf(folder);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    fileSystem: mount,
    node: process.version,
    flush500KiBMs: probeFlush(folder),
  };
}

/** File system type and options of the mount that holds `folder`; fails when the disk is nearly full. */
function longestMountOf(folder: string): string {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 4 * 2 ** 30) throw new Error(`${folder} has less than 4 GiB free`);
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(
      ([, point]) =>
        point !== undefined && (folder === point || `${folder}/`.startsWith(`${point}/`) || point === "/"),
    )
    .sort((a, b) => b[1]!.length - a[1]!.length);
  const [, , type, options] = mounts[0] ?? [];
  return `${type} (${options})`;
}

function probeFlush(folder: string): number {
  const file = join(folder, "flush-probe");
  const descriptor = openSync(file, "w");
  const block = Buffer.alloc(500 * 1024, 1);
  try {
    const took = Array.from({ length: 100 }, () => {
      const startedAt = performance.now();
      writeSync(descriptor, block);
      fdatasyncSync(descriptor);
      return performance.now() - startedAt;
    });
    return median(took);
  } finally {
    closeSync(descriptor);
    rmSync(file);
  }
}
