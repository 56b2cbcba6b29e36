/**
 * The proxies that are compared, one worker each, with keep-alive to the backend, and how each is started. nginx and
 * HAProxy come from Debian, @fastify/http-proxy from npm into the folder of the benchmark.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface Ports {
  readonly backend: number;
  readonly echo: number;
  readonly proxy: number;
  /** The proxy's, with TLS. */
  readonly tls: number;
}

export interface Peer {
  readonly name: string;
  /** Starts it in `folder`, on the CPU that is named first. */
  start(folder: string, ports: Ports): Running;
}

export interface Running {
  /** The process whose time and memory count. */
  pid(): number;
  stop(): Promise<void>;
}

const fastifyPackages = ["@fastify/http-proxy@11.6.0", "fastify@5.12.8"];
const fastifyProxy = `
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import proxy from "@fastify/http-proxy";
const [port, tlsPort, backend, echo, pem] = process.argv.slice(2);
const https = { cert: readFileSync(pem), key: readFileSync(pem) };
for (const [on, more] of [[port, {}], [tlsPort, { https }]]) {
  const app = Fastify({ bodyLimit: 104857600, ...more });
  app.register(proxy, { upstream: "http://127.0.0.1:" + echo, prefix: "/echo", rewritePrefix: "/echo", websocket: true });
  app.register(proxy, { upstream: "http://127.0.0.1:" + backend, undici: { connections: 128 } });
  await app.listen({ port: Number(on), host: "127.0.0.1" });
}
`;

/** Certificate and key in one file, for 127.0.0.1. */
export function makeCertificate(folder: string): void {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const what = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const args = ["req", ...what, "-subj", "/CN=127.0.0.1", "-out", cert, "-keyout", key];
  execFileSync("openssl", args, { stdio: "ignore" });
  writeFileSync(pemIn(folder), readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
}

const pemIn = (folder: string) => join(folder, "server.pem");

export function installPeers(folder: string): void {
  const programs = ["nginx", "haproxy", "wrk"].filter((name) => !hasProgram(name));
  if (programs.length > 0) {
    if (process.getuid?.() !== 0) throw new Error(`as root: apt-get install ${programs.join(" ")}`);
    // invoke-rc.d starts no service in this run level.
    const env = { ...process.env, RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["update"], { env, stdio: ["ignore", "ignore", "inherit"] });
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", ...programs], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  mkdirSync(folder, { recursive: true });
  execFileSync("npm", ["install", "--silent", "--no-save", "--prefix", folder, ...fastifyPackages], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function hasProgram(name: string): boolean {
  try {
    execFileSync("which", [name], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const pinned = (cpu: number, file: string, args: readonly string[]): ChildProcess =>
  spawn("taskset", ["-c", String(cpu), file, ...args], { stdio: ["ignore", "ignore", "inherit"] });

/** Stops it, and waits until it is gone. */
function running(child: ChildProcess, pid = () => child.pid!): Running {
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pid,
    stop: async () => {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

const nginxCommon = (folder: string, name: string) =>
  `${process.getuid?.() === 0 ? "user root; " : ""}worker_processes 1; daemon off; pid ${folder}/${name}.pid; error_log ${folder}/${name}.log;
events { worker_connections 16384; }
http { map $http_upgrade $hop { default ""; websocket upgrade; }
access_log off; keepalive_requests 1000000000; keepalive_timeout 3600; client_max_body_size 100m;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((part) => `${part}_temp_path ${folder}/${name}-${part};`).join(" ")}`;

/** Answers /file with 1 MB, everything else with about 130 bytes of JSON. */
export function startBackend(folder: string, { backend }: Ports): Running {
  writeFileSync(join(folder, "file"), Buffer.alloc(1_048_576, "x"));
  const json = JSON.stringify({
    id: "0197c1d2-7e9a-7c3b-9f42-6a1e5b0c8d11",
    status: "active",
    items: [1, 2, 3, 4, 5],
    total: 4200,
    currency: "EUR",
    note: "benchmark",
  });
  const config = join(folder, "backend.conf");
  writeFileSync(
    config,
    `${nginxCommon(folder, "backend")} sendfile on;
server { listen 127.0.0.1:${backend} backlog=4096; root ${folder};
location / { default_type application/json; return 200 '${json}'; } location = /file { try_files /file =404; } } }`,
  );
  return running(pinned(1, "nginx", ["-c", config]));
}

const nginx: Peer = {
  name: "nginx",
  start(folder, { backend, echo, proxy, tls }) {
    const config = join(folder, "proxy.conf");
    const pem = pemIn(folder);
    const pass = (to: string) =>
      `proxy_pass http://${to}; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_request_buffering off;`;
    writeFileSync(
      config,
      `${nginxCommon(folder, "proxy")} upstream b { server 127.0.0.1:${backend}; keepalive 256; keepalive_requests 1000000000; }
server { listen 127.0.0.1:${proxy} backlog=4096; listen 127.0.0.1:${tls} ssl backlog=4096;
ssl_certificate ${pem}; ssl_certificate_key ${pem}; access_log ${folder}/nginx-access.log combined buffer=64k;
location / { ${pass("b")} proxy_set_header Connection ""; }
location /echo { ${pass(`127.0.0.1:${echo}`)} proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $hop; } } }`,
    );
    const master = pinned(0, "nginx", ["-c", config]);
    return running(master, () =>
      Number(readFileSync(`/proc/${master.pid}/task/${master.pid}/children`, "utf8").trim().split(" ")[0]),
    );
  },
};

const haproxy: Peer = {
  name: "HAProxy",
  start(folder, { backend, echo, proxy, tls }) {
    const config = join(folder, "haproxy.cfg");
    writeFileSync(
      config,
      `global
  nbthread 1
  maxconn 12000
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend f
  bind 127.0.0.1:${proxy}
  bind 127.0.0.1:${tls} ssl crt ${pemIn(folder)}
  use_backend e if { path_beg /echo }
  default_backend b
backend b
  server s 127.0.0.1:${backend} check
backend e
  server s 127.0.0.1:${echo}
`,
    );
    return running(pinned(0, "haproxy", ["-db", "-f", config]));
  },
};

const fastify: Peer = {
  name: "@fastify/http-proxy",
  start(folder, { backend, echo, proxy, tls }) {
    const script = join(folder, "fastify-proxy.mjs");
    writeFileSync(script, fastifyProxy);
    return running(
      pinned(0, process.execPath, [script, ...[proxy, tls, backend, echo].map(String), pemIn(folder)]),
    );
  },
};

const hotswap: Peer = {
  name: "HotSwap",
  start(folder, { backend, echo, proxy, tls }) {
    const script = fileURLToPath(new URL("./hotswap.ts", import.meta.url));
    const log = join(folder, "hotswap-access.log");
    const args = [script, ...[proxy, tls, backend, echo].map(String), pemIn(folder), log];
    return running(pinned(0, process.execPath, args));
  },
};

export const peers: readonly Peer[] = [haproxy, nginx, fastify, hotswap];

/** Resolves when something listens. */
export async function listening(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}`);
}
