/**
 * A child process that does not outlive its parent, whatever end that meets: a shell holds the other end of a
 * pipe, and when the pipe closes it sends the child SIGINT, which PostgreSQL takes as "roll back, write
 * everything, end". An orderly stop closes the same pipe, so this path is the one that is always used.
 *
 * Refused: the parent-death signal of Linux, since macOS has none and since it would come between fork and exec
 * of the wrappers; a watcher started beside the child, since the parent may die between the two.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Unprivileged } from "./unprivileged.ts";

/**
 * $1: a folder to remove when the child has ended, or nothing; then the command. The shell itself ignores the
 * signals of a terminal or a supervisor that go to whole groups of processes: the parent drains first. SIGINT
 * is sent again and again, because a child that has just begun does not listen yet.
 */
const script = `
trap '' HUP INT TERM
remove=$1; shift
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ read -r _ <&3; while kill -INT $child; do sleep 0.1; done; } 2>/dev/null &
watcher=$!
exec 3<&-
wait $child; code=$?
kill -KILL $watcher 2>/dev/null; wait $watcher 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
exit $code
`;

export interface Child {
  /** Resolves to the exit code when the child is gone. */
  readonly exited: Promise<number>;
  /** Asks the child to end. */
  end(): void;
  /** From now on the child is no reason for this process to stay alive, until `end`. */
  unref(): void;
}

export interface ChildOptions {
  /** A descriptor that takes what the child prints. */
  output: number;
  removeAfterwards?: string;
}

export async function startChild(
  { prefix, user }: Unprivileged,
  command: readonly string[],
  { output, removeAfterwards = "" }: ChildOptions,
): Promise<Child> {
  const child = spawn("/bin/sh", ["-c", script, "sh", removeAfterwards, ...prefix, ...command], {
    ...user,
    cwd: "/",
    detached: true, // out of the terminal's group: Ctrl-C is for the parent alone
    env: { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" }, // no secrets, and no PG* that would change it
    stdio: ["pipe", output, output],
  });
  const pipe = child.stdin as Socket;
  const exited = once(child, "exit").then(([code]) => {
    pipe.destroy();
    return (code as number | null) ?? 1;
  });
  pipe.on("error", () => {}); // the shell has ended; `exited` tells
  await once(child, "spawn");
  return {
    exited,
    end() {
      child.ref();
      pipe.destroy();
    },
    unref() {
      child.unref();
      pipe.unref();
    },
  };
}
