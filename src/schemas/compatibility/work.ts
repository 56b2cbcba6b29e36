/** A bound on the steps of one proof, so that a hard question ends as "not provable" and never as a hang. */
export class Exhausted extends Error {}

export class Work {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  /** Throws Exhausted when nothing is left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new Exhausted("the comparison takes more steps than allowed");
  }
}
