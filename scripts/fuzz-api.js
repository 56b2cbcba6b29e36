/**
 * `npm run fuzz:api`: schemathesis, which reads openapi.json, sends what it allows and what it does not to a server of
 * today's code, and holds every answer against the document. It is one more pair of eyes beside test/fuzz, which knows
 * what exists; this one knows the specification.
 *
 *   npm run fuzz:api -- --seconds 420 --seed 7
 *
 * Ends with 0 when all answers are as declared, 1 when not, 69 when there is no Python or PyPI to get it from. The seed
 * is printed; the same one makes the same requests. Everything lies below .cache/schemathesis.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { root, run, SetupError, step } from "./steps.js";

const release = "schemathesis==4.32.5";
const folder = join(root, ".cache", "schemathesis");
const program = join(folder, "bin", "schemathesis");
const unavailable = 69; // EX_UNAVAILABLE of sysexits.h
/** It stops by itself at the end of its time; one that does not is ended. */
const graceMs = 60_000;

const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "420" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    phases: { type: "string", default: "coverage,fuzzing" },
  },
});

const children = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    for (const child of children) child.kill(signal);
  });
}

async function install() {
  if (existsSync(program)) return;
  rmSync(folder, { recursive: true, force: true }); // what an earlier attempt has left
  const python = join(folder, "bin", "python");
  const quietly = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"];
  const patience = ["--retries", "1", "--timeout", "10"];
  // The machine's own pip: one of its own in the folder would take as long as all the rest.
  const commands = [
    ["-m", "venv", "--without-pip", folder],
    ["-m", "pip", "--python", python, "install", ...quietly, ...patience, release],
  ];
  for (const command of commands) {
    const { code, output } = await run("python3", command);
    if (code === 0) continue;
    rmSync(folder, { recursive: true, force: true });
    throw new SetupError(`${release} cannot be had: ${output.trimEnd().slice(-1000)}`);
  }
}

function start(command, args, options) {
  const child = spawn(command, args, options);
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** Resolves to where the server is, a token, and its process. */
async function startServer(data) {
  const args = [join(root, "bin", "hotswap.js"), "dev", "--data", data, "--port", "0", "--json"];
  const env = { ...process.env, HOTSWAP_GATEWAY_PORT: "0", HOTSWAP_TELEMETRY_LOG_LEVEL: "error" };
  const server = start(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: server.stdout })) {
    if (!line.startsWith("{")) continue;
    const { api, token } = JSON.parse(line);
    return { url: new URL(api).origin, token, server };
  }
  throw new SetupError("The server did not start; it says why above.");
}

async function fuzz(url, token) {
  const args = [
    ...["run", join(root, "openapi.json"), "--url", url, "-H", `Authorization: Bearer ${token}`],
    ...["--checks", checks.join(","), "--phases", values.phases, "--continue-on-failure"],
    ...["--exclude-path-regex", "(stream|events)$", "--seed", values.seed, "--max-time", values.seconds],
  ];
  // Its own folder, too, goes below the cache.
  const child = start(program, args, { cwd: folder, stdio: "inherit" });
  const timer = setTimeout(() => child.kill("SIGKILL"), Number(values.seconds) * 1000 + graceMs);
  const [code] = await once(child, "exit");
  clearTimeout(timer);
  return code === 0 ? 0 : 1;
}

async function main() {
  await step(`getting ${release} from PyPI`, install);
  const data = mkdtempSync(join(tmpdir(), "hotswap-fuzz-"));
  console.log(`seed ${values.seed}, at most ${values.seconds} s`);
  try {
    const { url, token, server } = await startServer(data);
    const code = await fuzz(url, token);
    const health = await fetch(`${url}/health`).catch(() => undefined);
    if (health?.status !== 200) console.error("The server does not answer any more.");
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
    return health?.status === 200 ? code : 1;
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = unavailable;
}
