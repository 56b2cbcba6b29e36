/**
 * What a reader does with a page: servers in one terminal, commands in another, on a data folder of its own.
 * Differences to a real reader, all of them here: ports are any free ones, that of the API shown as 7070,
 * `.hotswap` lies elsewhere, and `npx hotswap` runs bin/hotswap.js directly, as npx would after a second of
 * looking around (one test does ask npx).
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { serverFolder } from "../server-folder.ts";
import { root } from "./pages.ts";

const separator = "\u001e";
const shown = "127.0.0.1:7070";

/**
 * `npx` as above, and `hotswap` as one who has it on the path; everything else is the reader's own shell, which
 * stops at the first command that fails.
 */
const prelude = `set -eo pipefail
hotswap() { "$TEST_NODE" "$TEST_ROOT/bin/hotswap.js" "$@"; }
npx() { [ "$1" = hotswap ] && "$@"; }
`;

export class Session {
  readonly #folder: string;
  readonly #data: string;
  readonly #env: NodeJS.ProcessEnv;
  #shell: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #server: { exited: Promise<unknown> } | undefined;
  #address = shown;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#data = folder;
    const inherited = Object.entries(process.env).filter(([name]) => !/^(HOTSWAP_|NODE_TEST)/.test(name));
    this.#env = {
      ...Object.fromEntries(inherited),
      HOTSWAP_DATA: this.#data,
      HOTSWAP_HTTP_PORT: "0",
      HOTSWAP_GATEWAY_PORT: "0",
      TEST_NODE: process.execPath,
      TEST_ROOT: root,
    };
  }

  static async open(): Promise<Session> {
    return new Session(await serverFolder("hotswap-docs-"));
  }

  /** Runs the block as the server of the first terminal; resolves to what it prints once it is ready. */
  async serve(block: string): Promise<string> {
    await this.#server?.exited; // killed by the page, or this one would never be ready
    const command = this.#adapted(block);
    const child = spawn("bash", ["-c", prelude + command], {
      cwd: root,
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = once(child, "exit");
    this.#server = { exited };
    let output = "";
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
    const ready = new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (/^ {2}Next .*\n/m.test(output)) resolve();
      });
    });
    const gone = exited.then(([code]) => {
      throw new Error(`${block}\nended with ${code}\n${output}${errors}`);
    });
    gone.catch(() => {}); // a server that has been ready may end later
    await Promise.race([ready, gone]);
    const [, address = shown, port = "0"] = /API +https?:\/\/([\w.]+:(\d+))/.exec(output) ?? [];
    this.#address = address;
    this.#env.HOTSWAP_HTTP_PORT = port; // the next one takes the same, as 7070 would be
    return output.replaceAll(this.#address, shown);
  }

  /** Runs the block in the second terminal and resolves to its standard output. */
  async run(block: string): Promise<string> {
    this.#shell ??= this.#openShell();
    const shell = this.#shell;
    let errors = "";
    const onError = (text: string) => (errors += text);
    shell.stderr.on("data", onError);
    // Its input is empty, or a command that reads it would swallow the blocks that follow.
    shell.stdin.write(`{\n${this.#adapted(block)}\n} </dev/null\nprintf '${separator}'\n`);
    const output = await new Promise<string>((resolve, reject) => {
      let text = "";
      const onExit = (code: number | null) =>
        reject(new Error(`${block}\nended with ${code}\n${text}${errors}`));
      const onData = (chunk: string) => {
        text += chunk;
        if (!text.endsWith(separator)) return;
        shell.stdout.off("data", onData);
        shell.off("close", onExit);
        resolve(text.slice(0, -separator.length));
      };
      shell.stdout.on("data", onData);
      shell.once("close", onExit);
    });
    shell.stderr.off("data", onError);
    return output.replaceAll(this.#address, shown);
  }

  async close(): Promise<void> {
    this.#shell?.stdin.end();
    await this.#stopServer();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #stopServer(): Promise<void> {
    if (!this.#server) return;
    const pid = Number(await readFile(join(this.#data, "pid"), "utf8").catch(() => ""));
    if (pid > 0) process.kill(pid, "SIGTERM");
    await this.#server.exited;
  }

  #openShell() {
    const shell = spawn("bash", [], { cwd: this.#folder, env: this.#env, stdio: ["pipe", "pipe", "pipe"] });
    shell.stdout.setEncoding("utf8");
    shell.stderr.setEncoding("utf8");
    shell.stdin.write(prelude);
    return shell;
  }

  #adapted(block: string): string {
    return block
      .replaceAll(".hotswap/", "$HOTSWAP_DATA/")
      .replaceAll("/var/lib/hotswap", "$HOTSWAP_DATA")
      .replaceAll("--port 8080", "--port 0");
  }
}

/** Whether the output is what the page shows: `…` stands for anything, blanks for any number of blanks. */
export function isAsShown(output: string, expected: string): boolean {
  const pattern = expected
    .trim()
    .split("…")
    .map((part) =>
      part
        .split(/\s+/)
        .map((word) => RegExp.escape(word))
        .join("\\s+"),
    )
    .join("[\\s\\S]*?");
  return new RegExp(`${pattern}\\s*$`).test(output);
}
