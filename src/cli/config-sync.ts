/**
 * `hotswap config sync`: a folder in Git and HotSwap, both ways. Committed changes of files become versions; versions
 * that were made elsewhere, and rollbacks, become commits. The whole of it is planned first: as soon as anything has
 * drifted apart, nothing is written and the command ends with what has.
 */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import type { Config, HotSwap } from "../../client/src/index.ts";
import { parseDocument } from "../configuration/document.ts";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import { integer } from "../platform/settings/kind.ts";
import { ConfigFolder, type Document } from "./config-folder.ts";
import { type Action, actionOf, type Preference, type Side } from "./config-plan.ts";
import { type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson } from "./print.ts";

type Flags = ConnectionFlags & {
  json?: boolean;
  watch?: boolean;
  interval: number;
  dryRun?: boolean;
  prefer?: "git" | "hotswap";
  service?: string;
  environment?: string;
};

/** One configuration on all three sides. */
interface Entry {
  name: string;
  base: Document | undefined;
  git: Document | undefined;
  hotswap: Remote | undefined;
  /** Of its file, below the root of the work tree. */
  path: string;
}

interface Remote {
  config: Config;
  /** The newest, or what it was rolled back to; undefined when there is none. */
  version: { number: number; text: string; note: string; author: string } | undefined;
}

interface Step {
  entry: Entry;
  action: Action;
}

interface Done {
  name: string;
  what: "pushed" | "written";
  version: number;
  path: string;
}

const generous = { textBytes: 16 * 1024 * 1024, depth: 1_000 };

export function addConfigSync(add: (signature: string, description: string) => Command): void {
  add("sync <folder>", "keep a folder in Git (service/environment/name.yaml) and HotSwap in line, both ways")
    .option("--watch", "go on until something drifts apart")
    .option("--interval <time>", "between two looks", read(integer(1, 86_400, "seconds")), 5)
    .option("--dry-run", "say what would be done, and do nothing")
    .addOption(
      new Option("--prefer <side>", "who is right where both have changed").choices(["git", "hotswap"]),
    )
    .option("--service <name>", "of one service only")
    .option("--environment <name>", "of one environment only")
    .action((folder: string, flags: Flags) =>
      useServer(flags, async (client, { url }) => {
        const { service = "", environment = "" } = flags;
        const opened = await ConfigFolder.open(folder, [url, service, environment].join("\n"));
        const sync = new Sync(client, opened, flags);
        for (;;) {
          const done = await sync.run();
          show(done, flags);
          if (!flags.watch) return;
          await pause(flags.interval * 1_000);
        }
      }),
    );
}

const pause = (ms: number) =>
  new Promise<void>((resolve) => {
    systemClock.after(ms, resolve, { keepAlive: true });
  });

class Sync {
  readonly #client: HotSwap;
  readonly #folder: ConfigFolder;
  readonly #flags: Flags;
  /** Versions never change, so one that was read once need not be read again. */
  readonly #read = new Map<string, Remote["version"]>();

  constructor(client: HotSwap, folder: ConfigFolder, flags: Flags) {
    this.#client = client;
    this.#folder = folder;
    this.#flags = flags;
  }

  /** Throws `config_drift` before anything is written. */
  async run(): Promise<Done[]> {
    const [head, base] = [await this.#folder.head(), await this.#folder.base()];
    const entries = await this.#entries(head, base);
    const steps = await this.#plan(entries, base !== undefined);
    const done: Done[] = [];
    let last = head;
    for (const step of steps) {
      if (this.#flags.dryRun) done.push(planned(step));
      else if (step.action.kind === "push") done.push(await this.#push(step.entry));
      else {
        last = await this.#write(step.entry, last);
        done.push(planned(step));
      }
    }
    // What was committed by others meanwhile is not in line yet: `last` is before it.
    if (!this.#flags.dryRun && last !== undefined && last !== base) await this.#folder.setBase(last);
    return done;
  }

  async #entries(head: string | undefined, base: string | undefined): Promise<Entry[]> {
    const { service, environment } = this.#flags;
    const isMeant = (one: { service: string; environment: string }) =>
      (service === undefined || one.service === service) &&
      (environment === undefined || one.environment === environment);
    const [inGit, inBase] = [await this.#folder.documents(head), await this.#folder.documents(base)];
    const remote = new Map<string, Remote>();
    for await (const config of this.#client.configs.all()) {
      remote.set(config.name, {
        config,
        version: isMeant(config) ? await this.#versionOf(config) : undefined,
      });
    }
    const names = [...new Set([...inGit.keys(), ...inBase.keys(), ...remote.keys()])].sort();
    return names.flatMap((name) => {
      const [git, was, hotswap] = [inGit.get(name), inBase.get(name), remote.get(name)];
      const one = git ?? hotswap?.config ?? was!;
      const path = git?.path ?? was?.path ?? this.#folder.pathOf(hotswap!.config);
      return isMeant(one) ? [{ name, base: was, git, hotswap, path }] : [];
    });
  }

  async #versionOf({ name, latestVersion }: Config): Promise<Remote["version"]> {
    if (latestVersion === null) return undefined;
    const key = `${name} ${latestVersion}`;
    if (!this.#read.has(key)) {
      const { version, text, note, author } = await this.#client.configs.version(name, latestVersion);
      this.#read.set(key, { number: version, text, note, author });
    }
    return this.#read.get(key);
  }

  async #plan(entries: readonly Entry[], wasSynced: boolean): Promise<Step[]> {
    const prefer: Preference = this.#flags.prefer;
    const uncommitted = await this.#folder.changed();
    const steps: Step[] = [];
    const drifts: string[] = [];
    for (const entry of entries) {
      const { base, git, hotswap } = entry;
      const misplaced = misplacedBecause(entry);
      const sides = { base: sideOf(base), git: sideOf(git), hotswap: remoteSide(hotswap) };
      const action = misplaced
        ? ({ kind: "drift", reason: misplaced } as const)
        : actionOf(sides, { wasSynced, prefer });
      if (action.kind === "drift") drifts.push(`${entry.name}: ${action.reason}`);
      else if (action.kind === "write" && uncommitted.has(entry.path)) {
        drifts.push(`${entry.name}: HotSwap has another version, and ${entry.path} is not committed`);
      } else if (action.kind !== "nothing") steps.push({ entry, action });
    }
    if (drifts.length === 0) return steps;
    throw new HotSwapError("config_drift", `${drifts.length} drifted apart.\n  ${drifts.join("\n  ")}`, {
      data: { drifts },
    });
  }

  async #push({ name, git, hotswap }: Entry): Promise<Done> {
    const { configs } = this.#client;
    const { service, environment, format, path, text } = git!;
    if (!hotswap) await configs.create({ name, service, environment, format });
    const note = await this.#folder.subjectOf(path);
    const parent = hotswap?.config.latestVersion ?? 0;
    const { version } = await configs.put(name, { text, note: note.slice(0, 1_024), parent });
    return { name, what: "pushed", version, path };
  }

  /** Resolves to the commit. */
  async #write(entry: Entry, parent: string | undefined): Promise<string> {
    const { name, hotswap, path } = entry;
    const { number, text, note, author } = hotswap!.version!;
    const [event] = (await this.#client.configs.history(name, { limit: 1 })).items;
    const isRollback = event?.type === "rolled_back" && event.version === number;
    const title = note.split("\n", 1)[0]!.slice(0, 72);
    const subject = isRollback
      ? `Roll ${name} back to version ${number}`
      : title || `${name} version ${number}`;
    const why = isRollback
      ? [`Version ${event.fromVersion} was taken back${event.note && `: ${event.note}`}.`]
      : [];
    const body = [...why, `Version ${number} of ${name}, by ${author}.`].join("\n");
    return this.#folder.commit({ path, text, message: `${subject}\n\n${body}\n`, parent });
  }
}

/** A document may be where it says that it is, and nowhere else. */
function misplacedBecause({ git, hotswap }: Entry): string | undefined {
  if (!git || !hotswap) return undefined;
  const { service, environment, format } = hotswap.config;
  if (git.service === service && git.environment === environment && git.format === format) return undefined;
  return `HotSwap has it as ${format} of ${service} in ${environment}, and Git as ${git.path}`;
}

/** The same for the same content, however it is written. */
function sideOf(document: Pick<Document, "format" | "text"> | undefined): Side {
  if (!document) return undefined;
  try {
    return canonicalJson(parseDocument(document.format, document.text, generous).value);
  } catch (error) {
    if (error instanceof HotSwapError) return `unreadable: ${document.text}`; // HotSwap says why, when it is pushed
    throw error;
  }
}

function remoteSide(remote: Remote | undefined): Side {
  if (!remote?.version) return undefined;
  return sideOf({ format: remote.config.format, text: remote.version.text });
}

function planned({ entry: { name, path, hotswap }, action }: Step): Done {
  const number = hotswap?.version?.number ?? 0;
  const isPush = action.kind === "push";
  return { name, what: isPush ? "pushed" : "written", version: isPush ? number + 1 : number, path };
}

function show(done: readonly Done[], { json, dryRun, watch }: Flags): void {
  if (json) {
    if (!watch || done.length > 0) printJson({ dryRun: dryRun ?? false, done });
    return;
  }
  for (const { name, what, version, path } of done) {
    const arrow =
      what === "pushed" ? `${path} → ${name} version ${version}` : `${name} version ${version} → ${path}`;
    process.stdout.write(
      `${styleText(what === "pushed" ? "green" : "cyan", arrow)}${dryRun ? " (dry run)" : ""}\n`,
    );
  }
  if (done.length === 0 && !watch) process.stdout.write("in line\n");
}
