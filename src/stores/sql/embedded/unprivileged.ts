/**
 * PostgreSQL refuses to run as root. An ordinary user runs it directly; root, in this order:
 *
 * 1. in a user namespace that maps root to `nobody`: to the kernel it stays root without any privilege, so the
 *    files stay root's and stay where they are, be it below /root;
 * 2. where namespaces are forbidden, as in most containers: as `nobody` with the one capability to pass folders
 *    that only root may enter;
 * 3. as `nobody` with nothing, which needs programs and data in folders that everybody may enter.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { HotSwapError } from "../../../core/errors.ts";

export interface Unprivileged {
  /** What goes before the command. */
  prefix: readonly string[];
  /** The user that the command must be started as, when it is not this process's own. */
  user?: { uid: number; gid: number };
  /** To whom the files must belong, as seen from this process. */
  owner: { uid: number; gid: number };
}

/** The first way that works on this machine, for this program and the folder that holds its data. */
export async function findUnprivileged(program: string, folder: string): Promise<Unprivileged> {
  for (const way of await ways()) {
    if (await works(way, program, folder)) return way;
  }
  throw new HotSwapError(
    "setting_invalid",
    "PostgreSQL cannot be started from root here: user namespaces are forbidden and an unprivileged user cannot " +
      "reach the data folder. Start HotSwap as an ordinary user, or set HOTSWAP_SQL=postgres://… .",
  );
}

export async function ways(): Promise<Unprivileged[]> {
  const self = { uid: process.getuid!(), gid: process.getgid!() };
  if (self.uid !== 0) return [{ prefix: [], owner: self }];
  const nobody = await findNobody();
  const become = [`--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, "--clear-groups"];
  const passing = ["--inh-caps", "--ambient-caps", "--bounding-set"].map(
    (set) => `${set}=-all,+dac_override`,
  );
  return [
    { prefix: ["unshare", "--user", `--map-user=${nobody.uid}`], owner: self },
    { prefix: ["setpriv", ...become, ...passing], owner: nobody },
    { prefix: [], user: nobody, owner: nobody },
  ];
}

async function works({ prefix, user }: Unprivileged, program: string, folder: string): Promise<boolean> {
  const probe = ["/bin/sh", "-c", 'test "$(id -u)" != 0 && test -x "$0" && cd "$1"', program, folder];
  const [command, ...args] = [...prefix, ...probe];
  return promisify(execFile)(command!, args, { ...user, cwd: "/" }).then(
    () => true,
    () => false,
  );
}

/** initdb insists that its user has a name, so it has to be one that exists. */
async function findNobody(): Promise<{ uid: number; gid: number }> {
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const [uid, gid] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(users)?.slice(1, 3).map(Number) ?? [];
  return { uid: uid ?? 65534, gid: gid ?? 65534 };
}
