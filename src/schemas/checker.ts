/** What a schema is worth: whether it can be used at all, and how it compares with the versions before it. */
import { createHash } from "node:crypto";
import { HotSwapError } from "../core/errors.ts";
import type { WorkerPool } from "./compile/pool.ts";
import type { Job } from "./compile/work.ts";
import type { Draft } from "./document.ts";
import { type Check, directionsOf, type Mode, relevant, type Verdict } from "./modes.ts";

export interface Candidate {
  /** As it was sent. */
  text: string;
  /** SHA-256 of its canonical text. */
  hash: string;
  draft: Draft;
}

export interface Earlier {
  version: number;
  text: string;
  hash: string;
}

type Pair = { writer: number; reader: number };

export class Checker {
  readonly #pool: WorkerPool;
  readonly #sizeLimitBytes: number;

  constructor(pool: WorkerPool, sizeLimitBytes: number) {
    this.#pool = pool;
    this.#sizeLimitBytes = sizeLimitBytes;
  }

  /** Throws `schema_invalid` with places below `pointer`, or `schema_too_costly`. */
  async examine(text: string, pointer: string): Promise<Candidate> {
    const size = Buffer.byteLength(text);
    if (size > this.#sizeLimitBytes) {
      const fields = [{ pointer, message: `has ${size} bytes; ${this.#sizeLimitBytes} are allowed` }];
      throw new HotSwapError("schema_invalid", "The schema is too large.", { fields });
    }
    const done = await this.#pool.run({ kind: "compile", schema: text });
    if (done.kind === "compiled") {
      return { text, hash: createHash("sha256").update(done.canonical).digest("hex"), draft: done.draft };
    }
    const faults = done.kind === "faulty" ? done.faults : [];
    const fields = faults.map((fault) => ({ ...fault, pointer: `${pointer}${fault.pointer}` }));
    const [first] = fields;
    throw new HotSwapError("schema_invalid", first && `${first.pointer || "The schema"} ${first.message}.`, {
      fields,
    });
  }

  /** Compares with what the mode asks for of `earlier`, which is in ascending order. */
  async compare(mode: Mode, candidate: Candidate, earlier: readonly Earlier[]): Promise<Verdict> {
    const chosen = relevant(mode, earlier);
    const schemas = [candidate.text, ...chosen.map(({ text }) => text)];
    const asked: { check: Pick<Check, "version" | "direction">; pair: Pair | undefined }[] = [];
    for (const [index, { version, hash }] of chosen.entries()) {
      for (const direction of directionsOf(mode)) {
        const [old, now] = [index + 1, 0];
        const pair = direction === "backward" ? { writer: old, reader: now } : { writer: now, reader: old };
        asked.push({ check: { version, direction }, pair: hash === candidate.hash ? undefined : pair });
      }
    }
    const pairs = asked.flatMap(({ pair }) => pair ?? []);
    const comparisons = await this.#comparisons({ kind: "compare", schemas, pairs });
    const checks = asked.map(({ check, pair }): Check => {
      const comparison = pair ? comparisons.shift()! : ({ verdict: "compatible" } as const);
      return { ...check, ...comparison };
    });
    return { mode, compatible: checks.every(({ verdict }) => verdict === "compatible"), checks };
  }

  /** All violations of each document (JSON text), null for a valid one. */
  async validate(text: string, documents: readonly string[], pointer: string) {
    const done = await this.#pool.run({ kind: "validate", schema: text, documents, below: pointer });
    if (done.kind !== "validated") throw new HotSwapError("schema_invalid");
    return done.results;
  }

  async #comparisons(job: Extract<Job, { kind: "compare" }>) {
    if (job.pairs.length === 0) return [];
    try {
      const done = await this.#pool.run(job);
      if (done.kind === "compared") return done.comparisons;
      throw new Error(`a comparison ended as ${done.kind}`);
    } catch (error) {
      if (!(error instanceof HotSwapError) || error.code !== "schema_too_costly") throw error;
      // Not decided in time is not proven.
      return job.pairs.map(() => ({ verdict: "unknown" as const, reason: error.message }));
    }
  }
}
