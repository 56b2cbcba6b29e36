/**
 * A folder of documents in the work tree of Git, `service/environment/name.format`, as the sync sees it: what is
 * committed, what was committed when it was last in line with a server, and commits of what comes from there. All by
 * the git program. What is not committed is not looked at, and never written over.
 */
import { isUtf8 } from "node:buffer";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HotSwapError } from "../core/errors.ts";

export type Format = "json" | "yaml" | "toml" | "properties";

export interface Document {
  name: string;
  service: string;
  environment: string;
  format: Format;
  /** Below the root of the work tree. */
  path: string;
  text: string;
}

export interface Commit {
  path: string;
  text: string;
  message: string;
  /** What is committed now; undefined before the first. */
  parent: string | undefined;
}

const outputMax = 64 * 1024 * 1024;
const extensions: Readonly<Record<string, Format>> = {
  ...{ json: "json", yaml: "yaml", yml: "yaml", toml: "toml", properties: "properties" },
};
const documentPath =
  /^([A-Za-z0-9][\w.-]*)\/([A-Za-z0-9][\w.-]*)\/([A-Za-z0-9][\w.-]*)\.(json|ya?ml|toml|properties)$/;

export class ConfigFolder {
  readonly #root: string;
  /** Of the folder below the root: empty or with a slash at its end. */
  readonly #prefix: string;
  /** Points to the commit at which the folder was last in line. */
  readonly #ref: string;
  /** Texts by the id of their blob. */
  readonly #texts = new Map<string, string>();

  private constructor(root: string, prefix: string, other: string) {
    this.#root = root;
    this.#prefix = prefix;
    const which = createHash("sha256").update(`${prefix}\n${other}`).digest("hex").slice(0, 16);
    this.#ref = `refs/hotswap/sync/${which}`;
  }

  /** `other` says with what it is kept in line. Throws `git_failed` when it is not in a work tree. */
  static async open(folder: string, other: string): Promise<ConfigFolder> {
    const isThere = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isThere) throw new HotSwapError("file_unusable", `There is no folder ${folder}.`);
    const found = await git(folder, ["rev-parse", "--show-toplevel", "--show-prefix"]);
    const [root, prefix = ""] = found.toString().split("\n");
    return new ConfigFolder(root!, prefix, other);
  }

  /** The commit that the work tree is at; undefined before the first. */
  head(): Promise<string | undefined> {
    return this.#resolve("HEAD");
  }

  /** The commit at which it was last in line. */
  base(): Promise<string | undefined> {
    return this.#resolve(this.#ref);
  }

  /** From now on `commit` is what both sides had. */
  async setBase(commit: string): Promise<void> {
    await this.#git(["update-ref", this.#ref, commit]);
  }

  /** The documents of a commit by name. Throws `config_drift` when two files are of one name. */
  async documents(commit: string | undefined): Promise<Map<string, Document>> {
    const found = new Map<string, Document>();
    if (commit === undefined) return found;
    const listed = await this.#git(["ls-tree", "-r", "-z", "--full-tree", commit, "--", this.#prefix || "."]);
    for (const entry of listed.split("\0")) {
      const [, mode, blob, path = ""] = /^(\d+) blob ([0-9a-f]+)\t(.*)$/s.exec(entry) ?? [];
      const parts = documentPath.exec(path.slice(this.#prefix.length));
      if (!blob || !parts || mode === "120000") continue;
      const [, service, environment, name, extension] = parts as unknown as [
        string,
        string,
        string,
        string,
        string,
      ];
      const known = found.get(name);
      if (known) {
        throw new HotSwapError(
          "config_drift",
          `${known.path} and ${path} have one name, which counts for all services.`,
        );
      }
      const text = await this.#textOf(blob, path);
      found.set(name, { name, service, environment, format: extensions[extension]!, path, text });
    }
    return found;
  }

  /** Paths below the folder whose files are not as they are committed. */
  async changed(): Promise<Set<string>> {
    const status = await this.#git([
      "status",
      "--porcelain=v1",
      "-z",
      "--untracked-files=all",
      "--",
      this.#prefix || ".",
    ]);
    const entries = status.split("\0");
    const paths = new Set<string>();
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at]!;
      if (entry === "") continue;
      paths.add(entry.slice(3));
      if (/^[RC]/.test(entry)) paths.add(entries[++at] ?? ""); // the name that it had before
    }
    return paths;
  }

  /** The subject of the last commit that changed a file. */
  async subjectOf(path: string): Promise<string> {
    return (await this.#git(["log", "-1", "--format=%s", "--", path])).trim();
  }

  pathOf({ service, environment, name, format }: Omit<Document, "path" | "text">): string {
    return `${this.#prefix}${service}/${environment}/${name}.${format}`;
  }

  /**
   * Writes one file and commits it on top of `parent`, and nothing else that may be staged; resolves to the commit.
   * Throws `config_drift` when somebody has committed meanwhile.
   */
  async commit({ path, text, message, parent }: Commit): Promise<string> {
    if ((await this.head()) !== parent) throw movedOn();
    const file = join(this.#root, path);
    const isNew = !(await this.#git(["ls-files", "-z", "--", path]));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    try {
      await this.#git(["add", "--", path]);
      await this.#git(["commit", "--quiet", "--only", "--message", message, "--", path]);
    } catch (error) {
      // Without a commit it must not stay as a change of somebody's.
      await this.#git(["rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", path]);
      if (isNew) await rm(file);
      else await this.#git(["checkout", "--quiet", "HEAD", "--", path]);
      throw error;
    }
    const commit = (await this.head())!;
    if (parent !== undefined && (await this.#resolve(`${commit}^`)) !== parent) throw movedOn();
    return commit;
  }

  async #textOf(blob: string, path: string): Promise<string> {
    const known = this.#texts.get(blob);
    if (known !== undefined) return known;
    const bytes = await git(this.#root, ["cat-file", "blob", blob]);
    if (!isUtf8(bytes)) throw new HotSwapError("encoding_invalid", `${path} is not valid UTF-8.`);
    const text = bytes.toString();
    this.#texts.set(blob, text);
    return text;
  }

  async #resolve(name: string): Promise<string | undefined> {
    try {
      return (await this.#git(["rev-parse", "--verify", "--quiet", `${name}^{commit}`])).trim();
    } catch (error) {
      if (error instanceof HotSwapError) return undefined; // quiet, as it is not there
      throw error;
    }
  }

  async #git(args: readonly string[]): Promise<string> {
    return (await git(this.#root, args)).toString();
  }
}

const movedOn = () =>
  new HotSwapError("config_drift", "Somebody has committed meanwhile. Run the sync again.");

function git(folder: string, args: readonly string[]): Promise<Buffer> {
  const env = { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_LITERAL_PATHSPECS: "1", LC_ALL: "C" };
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env, maxBuffer: outputMax, encoding: "buffer" as const };
    execFile("git", args, options, (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout);
        return;
      }
      const said = stderr.toString().trim().split("\n").at(-1) || error.message.split("\n", 1)[0];
      reject(new HotSwapError("git_failed", `git ${args[0]}: ${said}`));
    });
  });
}
