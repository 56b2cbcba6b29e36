/**
 * The real servers and the browser that tests run against, from Debian's packages. Root installs what is
 * missing on the machine, without starting it; anyone else gets the packages unpacked under .cache/servers
 * and reached through wrappers there. Either way `env.PATH` leads to every program. What could not be had is
 * said in `notes`; the tests that need it are skipped by name.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { withLock } from "./lock.js";
import { root, run, SetupError, step } from "./steps.js";

const POSTGRES = "/usr/lib/postgresql/15/bin"; // Debian keeps these off the PATH
const FOLDERS = [POSTGRES, "/usr/sbin", "/usr/bin", "/usr/local/bin", "/bin"];

/** Each program and its package. */
const PROGRAMS = {
  "redis-server": "redis-server",
  postgres: "postgresql-15",
  pgbouncer: "pgbouncer",
  openssl: "openssl",
  "chromium-headless-shell": "chromium-headless-shell", // no windows, so a third of the work of chromium
  prometheus: "prometheus", // promtool comes with it
};

const cache = join(root, ".cache", "servers");
const wrappers = join(cache, "bin");
const quiet = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" } };

export async function findServers() {
  const has = (program) => [wrappers, ...FOLDERS].some((dir) => existsSync(join(dir, program)));
  const wanted = Object.keys(PROGRAMS).filter((program) => !has(program));
  const notes = [];
  if (wanted.length > 0) {
    const packages = wanted.map((program) => PROGRAMS[program]);
    const install = process.getuid?.() === 0 ? installOnMachine : unpackBeside;
    try {
      await withLock(join(root, ".cache", "servers.lock"), () =>
        step(`installing ${packages.join(", ")} for the tests (apt)`, () => install(packages)),
      );
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      notes.push(error.message);
    }
  }
  const missing = Object.keys(PROGRAMS).filter((program) => !has(program));
  if (missing.length > 0) {
    const packages = missing.map((program) => PROGRAMS[program]).join(" ");
    notes.push(`not installed: ${missing.join(", ")}. On Debian: sudo apt-get install ${packages}`);
  }
  const path = [wrappers, process.env.PATH, ...FOLDERS].join(delimiter);
  return { env: { PATH: path, HOTSWAP_TEST_SERVERS: wrappers }, notes };
}

async function apt(args, options = {}) {
  const { code, output } = await run("apt-get", args, { ...quiet, ...options });
  if (code !== 0) throw new SetupError(`apt-get ${args.join(" ")} failed:\n${output.trimEnd().slice(-2000)}`);
  return output;
}

/** Mirrors hiccup: the lists are fetched again and the install tried again, three times in all. */
async function installOnMachine(packages) {
  const policy = "/usr/sbin/policy-rc.d"; // asked by Debian before it starts a service that it installs
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const install = [
      "install",
      "-y",
      "--no-install-recommends",
      "-o",
      "DPkg::Lock::Timeout=120",
      ...packages,
    ];
    for (let attempt = 1; ; attempt++) {
      try {
        return await apt(install);
      } catch (error) {
        if (attempt === 3) throw error;
        await apt(["update", "-o", "Acquire::Retries=3"]).catch(() => {}); // the install says if it mattered
      }
    }
  } finally {
    if (ours) rmSync(policy);
  }
}

/** What apt would install, by package lists of our own, unpacked without touching the machine. */
async function unpackBeside(packages) {
  const debs = join(cache, "debs");
  const tree = join(cache, "root");
  for (const dir of [debs, tree, wrappers, join(cache, "lists", "partial"), join(cache, "apt")]) {
    mkdirSync(dir, { recursive: true });
  }
  const own = ["-o", `Dir::State::Lists=${join(cache, "lists")}`, "-o", `Dir::Cache=${join(cache, "apt")}`];
  own.push("-o", "Debug::NoLocking=1", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=");
  await apt(["update", ...own]);
  const plan = await apt(["install", "-s", "--no-install-recommends", ...own, ...packages]);
  const closure = [...plan.matchAll(/^Inst (\S+) .*?\((\S+) /gm)].map(
    ([, name, version]) => `${name}=${version}`,
  );
  await apt(["download", ...own, ...closure], { cwd: debs });
  for (const deb of readdirSync(debs)) {
    const { code, output } = await run("dpkg-deb", ["-x", join(debs, deb), tree]);
    if (code !== 0) throw new SetupError(`cannot unpack ${deb}:\n${output}`);
  }
  const libraries = libraryFolders(tree);
  const wrapAll = (dir, names) => {
    if (!existsSync(join(tree, dir))) return;
    for (const name of readdirSync(join(tree, dir)).filter((file) => names.test(file))) {
      wrap(name, join(tree, dir, name), libraries, tree);
    }
  };
  wrapAll("usr/bin", /^(redis-|openssl$|prom)/);
  wrapAll("usr/sbin", /^pgbouncer$/);
  wrapAll(POSTGRES.slice(1), /./);
  wrapAll("usr/lib/chromium", /^chromium-headless-shell$/); // Debian's own launcher names /usr/lib by its full path
  for (const dir of ["debs", "lists", "apt"]) rmSync(join(cache, dir), { recursive: true });
}

/** Where the unpacked packages keep shared libraries, one level of private folders included. */
function libraryFolders(tree) {
  const folders = ["usr/lib", "lib"].map((dir) => join(tree, dir)).filter((dir) => existsSync(dir));
  const inside = (dir) =>
    readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(dir, entry.name));
  const triplets = folders.flatMap(inside).filter((dir) => dir.endsWith("-linux-gnu"));
  const holdsLibraries = (dir) => readdirSync(dir).some((name) => /^lib.*\.so/.test(name));
  return [...triplets, ...triplets.flatMap(inside)].filter(holdsLibraries);
}

// The library path is set for the one program and not for the tests, whose other programs bring their own.
function wrap(name, program, libraries, tree) {
  const lines = ["#!/bin/sh", `export LD_LIBRARY_PATH='${libraries.join(delimiter)}'`];
  if (!existsSync("/etc/fonts/fonts.conf")) lines.push(`export FONTCONFIG_FILE='${fontList(tree)}'`);
  lines.push(`exec '${program}' "$@"`, "");
  writeFileSync(join(wrappers, name), lines.join("\n"), { mode: 0o755 });
}

// A machine without fonts would show pages without text.
function fontList(tree) {
  const file = join(cache, "fonts.conf");
  const [fonts, cached] = [join(tree, "usr/share/fonts"), join(cache, "fontconfig")];
  writeFileSync(file, `<fontconfig><dir>${fonts}</dir><cachedir>${cached}</cachedir></fontconfig>\n`);
  return file;
}
