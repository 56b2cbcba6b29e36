/** The log store over a disk: one folder per partition. The driver that needs nothing but a file system. */

import { type Clock, systemClock, type Timer } from "../../core/clock.ts";
import { HotSwapError } from "../../core/errors.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { checkLimits, defaultLimits, type LogContext, type LogLimits, type Settling } from "./context.ts";
import { realDisk } from "./disk.real.ts";
import type { Disk } from "./disk.ts";
import { OpenFiles } from "./files.ts";
import { Gate } from "./gate.ts";
import { IndexCache } from "./indexes.ts";
import { openPartition } from "./opening.ts";
import type { Partition } from "./partition.ts";
import type { LogPartition, LogStore } from "./port.ts";
import { TailCache } from "./tail.ts";

export type LogOptions = ({ folder: string } | { disk: Disk }) & {
  clock?: Clock;
  random?: Random;
  limits?: Partial<LogLimits>;
  /** Told of failures that no caller waits for, such as a sync in the background. */
  onFault?: (error: unknown) => void;
};

const removedPrefix = ".removed-";

/**
 * A name as a folder: small letters, digits, `-` and `_` stand for themselves, so does `.` but in front; all else
 * is percent-encoded. Capitals too, since some file systems do not tell them from small ones.
 */
function folderOf(name: string): string {
  const encoded = Array.from(Buffer.from(name), (byte, index) => {
    const character = String.fromCharCode(byte);
    const plain = index === 0 ? /[a-z0-9_-]/ : /[a-z0-9_.-]/;
    return plain.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  });
  return encoded.join("");
}

/** The name that a folder stands for; undefined for a folder that is none of ours. */
function nameOf(folder: string): string | undefined {
  if (folder.startsWith(".")) return undefined;
  try {
    const name = decodeURIComponent(folder);
    return folderOf(name) === folder ? name : undefined;
  } catch {
    return undefined; // not percent-encoded by us
  }
}

export class DiskLog implements LogStore {
  readonly name = "log";
  readonly shared = false;
  readonly durability = "fsync";
  readonly #context: LogContext;
  readonly #onFault: (error: unknown) => void;
  readonly #partitions = new Map<string, Promise<Partition>>();
  /** Partitions that are being removed or let go. */
  readonly #removing = new Map<string, Promise<void>>();
  /** Partitions opening, settling or closing: each holds descriptors meanwhile. */
  readonly #gate = new Gate(32);
  #unsettled = new Set<Settling>();
  #settling: Timer | undefined;
  #state: "new" | "started" | "stopped" = "new";
  #removals = 0;

  constructor(options: LogOptions) {
    const disk = "disk" in options ? options.disk : realDisk(options.folder);
    const limits = { ...defaultLimits, ...options.limits };
    checkLimits(limits);
    this.#onFault = options.onFault ?? (() => {});
    this.#context = {
      disk,
      limits,
      files: new OpenFiles(disk, limits.openFiles),
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
      cache: new TailCache(limits.cacheBytes),
      indexes: new IndexCache(limits.indexes),
      pendingBytes: 0,
      unsyncedBytes: 0,
      settleLater: (partition) => this.#settleLater(partition),
    };
  }

  async start(): Promise<void> {
    const { disk } = this.#context;
    await orUnavailable("The folder of the message log cannot be used.", async () => {
      await disk.makeFolder("");
      for (const name of await disk.list("")) {
        if (name.startsWith(removedPrefix)) await disk.remove(name);
      }
    });
    this.#state = "started";
  }

  async stop(): Promise<void> {
    if (this.#state !== "started") return;
    this.#state = "stopped";
    this.#settling?.cancel();
    const reason = new HotSwapError("shutting_down", "The message log is stopping.");
    const closings = [...this.#partitions.values()].map(async (opening) => {
      const partition = await opening.catch(() => undefined); // whoever opened it has been told
      if (partition) await this.#gate.run(() => partition.close(reason));
    });
    const results = await Promise.allSettled(closings);
    this.#context.files.closeAll();
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failures.length > 0)
      throw new AggregateError(failures, "some partitions could not be closed cleanly");
  }

  async partition(name: string): Promise<LogPartition> {
    this.#checkStarted();
    let opening = this.#partitions.get(name);
    if (!opening) {
      opening = this.#open(name);
      this.#partitions.set(name, opening);
      opening.catch(() => {
        if (this.#partitions.get(name) === opening) this.#partitions.delete(name);
      });
    }
    return opening;
  }

  async list(): Promise<string[]> {
    this.#checkStarted();
    const folders = await orUnavailable("The partitions cannot be listed.", () =>
      this.#context.disk.list(""),
    );
    return folders.map(nameOf).filter((name) => name !== undefined);
  }

  async ping(): Promise<void> {
    this.#checkStarted();
  }

  /** A disk has one owner, and never takes a partition away. */
  onEnded(): void {}

  async letGo(name: string): Promise<void> {
    const opening = this.#partitions.get(name);
    if (!opening || this.#removing.has(name)) return this.#removing.get(name);
    this.#partitions.delete(name);
    const closing = opening
      .then((partition) => partition.close(new HotSwapError("log_fenced", `Partition ${name} was let go.`)))
      .finally(() => this.#removing.delete(name));
    this.#removing.set(name, closing); // whoever opens it next waits
    await closing;
  }

  async has(name: string): Promise<boolean> {
    return (await this.list()).includes(name);
  }

  async remove(name: string): Promise<void> {
    this.#checkStarted();
    let removing = this.#removing.get(name);
    if (!removing) {
      removing = orUnavailable(`Partition ${name} could not be removed.`, () => this.#remove(name));
      this.#removing.set(name, removing);
    }
    await removing.finally(() => this.#removing.delete(name));
  }

  async #remove(name: string): Promise<void> {
    const { disk, files, random } = this.#context;
    const partition = await this.#partitions.get(name)?.catch(() => undefined);
    // Whatever it cannot write any more is to be deleted anyway.
    await partition
      ?.close(new HotSwapError("not_found", `Partition ${name} has been removed.`))
      .catch(() => {});
    this.#partitions.delete(name);
    const folder = folderOf(name);
    if (!(await disk.list("")).includes(folder)) return;
    // Renamed first, so that it is gone at once or not at all; what is left of it is deleted at the next start.
    const removed = `${removedPrefix}${random.below(0x1_0000_0000)}-${this.#removals++}`;
    await disk.rename(folder, removed);
    for (const file of await disk.list(removed)) files.forget(`${folder}/${file}`);
    await disk.syncFolder("");
    await disk.remove(removed);
  }

  async #open(name: string): Promise<Partition> {
    const folder = folderOf(name);
    if (name === "" || folder.length > 200) {
      throw new HotSwapError("validation_failed", "A partition's name has 1 to 200 characters.");
    }
    await this.#removing.get(name)?.catch(() => {}); // whoever removes it is told
    return this.#gate.run(() =>
      orUnavailable(`Partition ${name} could not be opened.`, async () => {
        const { disk } = this.#context;
        if ((await disk.list(folder)).length === 0) {
          await disk.makeFolder(folder);
          await disk.syncFolder("");
        }
        return openPartition(this.#context, { name, folder });
      }),
    );
  }

  #checkStarted(): void {
    if (this.#state === "started") return;
    if (this.#state === "new") throw new Error("the log has not been started");
    throw new HotSwapError("shutting_down", "The message log is stopping.");
  }

  #settleLater(partition: Settling): void {
    if (this.#state !== "started") return;
    this.#unsettled.add(partition);
    this.#settling ??= this.#context.clock.after(this.#context.limits.settleMs, () => this.#settle());
  }

  #settle(): void {
    this.#settling = undefined;
    const due = this.#unsettled;
    this.#unsettled = new Set();
    for (const partition of due) {
      this.#gate
        .run(() => partition.settle())
        .catch((error) => {
          this.#onFault(error);
          this.#settleLater(partition);
        });
    }
  }
}

/** Passes our own errors on and turns those of the file system into one that a caller may see. */
async function orUnavailable<T>(detail: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof HotSwapError) throw cause;
    throw new HotSwapError("store_unavailable", detail, { cause });
  }
}
