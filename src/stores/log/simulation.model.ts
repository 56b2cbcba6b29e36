/** What one partition has promised so far, and whether what it shows agrees. Throws when it does not. */
import { HotSwapError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { Durability, LogRecord, ReadLimit } from "./port.ts";

type Fate = "waiting" | "acknowledged" | "rejected" | "unknown" | "gone";

export class PartitionModel {
  readonly name: string;
  #lastId = 0;
  /** Which record is at an offset, once it has been acknowledged or seen. */
  readonly #records = new Map<number, number>();
  readonly #offsets = new Map<number, number>();
  readonly #fates = new Map<number, Fate>();
  readonly #damaged = new Set<number>();
  /** Offsets below these must survive: power failure, death of the process. */
  #durableEnd = 0;
  #osEnd = 0;
  #end = 0;
  #trimmed = 0;
  #required = 0;
  #removing = false;

  constructor(name: string) {
    this.name = name;
  }

  #fail(what: string): never {
    throw new Error(`${this.name}: ${what}`);
  }

  makeBody(random: Random): Buffer {
    this.#lastId += 1;
    const id = this.#lastId;
    return bodyOf(id, 4 + random.below(random.below(10) === 0 ? 500 : 60));
  }

  begun(ids: readonly number[]): void {
    for (const id of ids) this.#fates.set(id, "waiting");
  }

  acknowledged(ids: readonly number[], offset: number, durability: Durability, end: number): void {
    const after = offset + ids.length;
    if (end < after) this.#fail(`acknowledged up to ${after} with the end at ${end}`);
    for (const [i, id] of ids.entries()) {
      this.#place(id, offset + i);
      this.#fates.set(id, "acknowledged");
    }
    if (durability !== "memory") this.#osEnd = Math.max(this.#osEnd, after);
    if (durability === "fsync") this.#durableEnd = Math.max(this.#durableEnd, after);
  }

  refused(ids: readonly number[], error: HotSwapError): void {
    const codes = [
      "not_found",
      "message_too_large",
      "disk_full",
      "log_write_failed",
      "overloaded",
      "shutting_down",
      "log_outcome_unknown",
    ];
    if (!(error instanceof HotSwapError) || !codes.includes(error.code)) throw error;
    const unknown = error.code === "log_outcome_unknown";
    for (const id of ids) {
      if (this.#offsets.has(id)) this.#fail(`record ${id} was seen and then rejected with ${error.code}`);
      this.#fates.set(id, unknown ? "unknown" : "rejected");
    }
  }

  #place(id: number, offset: number): void {
    const known = this.#records.get(offset);
    if (known !== undefined && known !== id)
      this.#fail(`offset ${offset} holds ${id}, and held ${known} before`);
    const other = this.#offsets.get(id);
    if (other !== undefined && other !== offset) this.#fail(`record ${id} is at ${offset} and at ${other}`);
    this.#records.set(offset, id);
    this.#offsets.set(id, offset);
  }

  seen(from: number, records: readonly LogRecord[]): void {
    for (const [i, { offset, body }] of records.entries()) {
      if (offset !== from + i) this.#fail(`read offset ${offset} where ${from + i} was expected`);
      if (this.#damaged.has(offset)) this.#fail(`offset ${offset} is damaged and was read all the same`);
      const id = body.length >= 4 ? body.readUInt32LE(0) : -1;
      if (!body.equals(bodyOf(id, body.length))) this.#fail(`the body at ${offset} has changed`);
      const fate = this.#fates.get(id);
      if (fate === undefined || fate === "rejected" || fate === "gone") {
        this.#fail(`record ${id} is visible at ${offset} although it is ${fate ?? "not of this partition"}`);
      }
      this.#place(id, offset);
    }
  }

  /** A read while the log runs; `end` is what the end was when it began. */
  read(from: number, records: readonly LogRecord[], end: number, limit: ReadLimit): void {
    this.seen(from, records);
    if (records.length === 0 && from < end) this.#fail(`nothing at ${from} with the end at ${end}`);
    const bytes = records.slice(0, -1).reduce((sum, { body }) => sum + body.length, 0);
    if (records.length > limit.records || bytes >= limit.bytes) this.#fail("a read has passed its limit");
  }

  unreadable(offset: number, error: unknown): void {
    const expected =
      error instanceof HotSwapError && error.code === "log_corrupt" && this.#damaged.has(offset);
    if (!expected) throw error;
    if (error.data?.offset !== offset) this.#fail(`damage at ${offset} reported as ${error.data?.offset}`);
  }

  isDamaged(offset: number): boolean {
    return this.#damaged.has(offset);
  }

  damaged(offset: number): void {
    this.#damaged.add(offset);
  }

  trimming(before: number): void {
    this.#trimmed = Math.max(this.#trimmed, before);
  }

  at(start: number, end: number): void {
    if (end < this.#end) this.#fail(`the end went from ${this.#end} back to ${end}`);
    if (start > this.#trimmed) this.#fail(`start is ${start}, nobody gave up more than ${this.#trimmed}`);
    this.#end = end;
  }

  ended(how: "stop" | "kill" | "crash"): void {
    this.#required = { stop: this.#osEnd, kill: this.#osEnd, crash: this.#durableEnd }[how];
    for (const [id, fate] of this.#fates) if (fate === "waiting") this.#fates.set(id, "unknown");
  }

  /** From now on the partition may be gone, then whole. */
  removing(): void {
    this.#removing = true;
  }

  reopened(start: number, end: number): void {
    if (this.#removing && start === 0 && end === 0) this.#forget();
    this.#removing = false;
    if (end < this.#required) this.#fail(`acknowledged up to ${this.#required}, lost from ${end} on`);
    this.#end = end;
    this.at(start, end);
    // Beyond what was promised to last, another record may have taken the place of one that was seen.
    for (const offset of this.#records.keys()) if (offset >= this.#required) this.#records.delete(offset);
  }

  #forget(): void {
    for (const id of this.#fates.keys()) this.#fates.set(id, "gone");
    this.#records.clear();
    this.#offsets.clear();
    this.#damaged.clear();
    this.#trimmed = 0;
    this.#required = 0;
    this.#durableEnd = 0;
  }

  /**
   * Everything has been read after a start. On a disk that works, what is visible is durable now and what is not
   * is gone; otherwise the medium may still hold more than the page cache shows.
   */
  survived(durable: boolean): void {
    this.#osEnd = this.#end;
    if (durable) this.#durableEnd = this.#end;
    for (const [id, offset] of this.#offsets) {
      const lost = offset >= this.#required && this.#records.get(offset) !== id && !this.#damaged.has(offset);
      if (lost) this.#fates.set(id, durable ? "gone" : "unknown");
    }
    if (!durable) return;
    for (const [id, fate] of this.#fates) {
      if (fate === "unknown" && !this.#offsets.has(id)) this.#fates.set(id, "gone");
    }
  }
}

/** A body that carries its id and whose every byte follows from id and length. */
function bodyOf(id: number, length: number): Buffer {
  const body = Buffer.alloc(length);
  body.writeUInt32LE(id >>> 0, 0);
  for (let i = 4; i < length; i++) body[i] = (id * 31 + i * 7) & 0xff;
  return body;
}
