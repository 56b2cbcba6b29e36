/**
 * What instances say while others are being told waits until all of them are: ten thousand that are told a version say
 * within the same second that they run it, and whoever is told last would wait for all that the first ones say. To be
 * heard later costs nobody anything. In the order in which it came, and in slices, so that requests are answered in
 * between.
 */

/** More than this is not kept: then all of it is heard at once. */
const bounds = { waiting: 100_000, bytes: 16 * 1024 * 1024 };
const sliceSize = 500;

export class Hearing {
  readonly #isTelling: () => boolean;
  #waiting: (() => void)[] = [];
  #bytes = 0;

  constructor(isTelling: () => boolean) {
    this.#isTelling = isTelling;
  }

  /** Whether what is said now is heard now. */
  get isOpen(): boolean {
    return this.#waiting.length === 0 && !this.#isTelling();
  }

  /** `hear` is called when its turn has come; it never throws. `bytes` are what it keeps in memory. */
  wait(bytes: number, hear: () => void): void {
    if (this.#waiting.push(hear) === 1) this.#soon();
    this.#bytes += bytes;
    if (this.#waiting.length >= bounds.waiting || this.#bytes > bounds.bytes) this.#hear(bounds.waiting);
  }

  #soon(): void {
    setImmediate(() => {
      if (!this.#isTelling()) this.#hear(sliceSize);
      if (this.#waiting.length > 0) this.#soon();
    });
  }

  #hear(count: number): void {
    for (const hear of this.#waiting.splice(0, count)) hear();
    if (this.#waiting.length === 0) this.#bytes = 0;
  }
}
