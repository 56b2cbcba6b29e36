/**
 * Gets the peers: RabbitMQ and Redis as Debian packages (root only), NATS built from its published Go module,
 * or as a Debian package where there is no Go. Services are not started: the benchmark starts its own.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { findProgram, versionOf } from "./child.ts";
import { builtNatsServer } from "./nats.ts";

const natsModule = "github.com/nats-io/nats-server/v2@v2.15.2";

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  console.error(`> ${file} ${args.join(" ")}`);
  execFileSync(file, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...env } });
}

function installPackages(names: readonly string[]): void {
  if (names.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`as root: apt-get install ${names.join(" ")}`);
  // invoke-rc.d starts no service in this run level.
  const env = { RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" };
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  run("apt-get", [...wait, "update"], env);
  run("apt-get", [...wait, "install", "--yes", "--no-install-recommends", ...names], env);
}

function buildNats(): boolean {
  if (findProgram(builtNatsServer)) return true;
  const go = findProgram("go");
  if (!go) return false;
  mkdirSync(dirname(builtNatsServer), { recursive: true });
  try {
    run(go, ["install", natsModule], { GOBIN: dirname(builtNatsServer), GOFLAGS: "" });
    return true;
  } catch {
    console.error("NATS could not be built (is this Go too old?); the Debian package is used instead.");
    return false;
  }
}

export function installPeers(): void {
  const missing = buildNats() || findProgram("nats-server") ? [] : ["nats-server"];
  if (!findProgram("/usr/lib/rabbitmq/bin/rabbitmq-server")) missing.push("rabbitmq-server");
  if (!findProgram("redis-server")) missing.push("redis-server");
  installPackages(missing);
  const nats = findProgram(builtNatsServer, "nats-server")!;
  console.error(`nats-server ${versionOf(nats, "--version")}, redis-server, rabbitmq-server: installed`);
}
