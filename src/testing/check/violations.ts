/** What was found wrong in a simulated run. The first finding counts; later ones may follow from it. */

/** Something that may not happen. */
export interface Violation {
  /** Short name of the rule. */
  readonly rule: string;
  readonly text: string;
  /** Virtual milliseconds. */
  readonly at: number;
}

/** Gathers violations. */
export class Violations {
  readonly #now: () => number;
  readonly found: Violation[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.found.length === 0;
  }

  add(rule: string, text: string): void {
    if (this.found.length < 20) this.found.push({ rule, text, at: this.#now() });
  }
}
