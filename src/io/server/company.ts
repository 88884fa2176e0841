/** Who was heard last among the connections of a server, so that one can tell whether it is alone. */

/** What is known of all connections together. */
export class Company {
  #last: object | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** When another than `#last` was heard. */
  #otherAt = Number.NEGATIVE_INFINITY;

  /** A message of `who` came. */
  heard(who: object, now: number): void {
    if (who !== this.#last) {
      this.#otherAt = this.#lastAt;
      this.#last = who;
    }
    this.#lastAt = now;
  }

  /** When another than `who` was heard; never: −Infinity. */
  heardBeside(who: object): number {
    return who === this.#last ? this.#otherAt : this.#lastAt;
  }
}
