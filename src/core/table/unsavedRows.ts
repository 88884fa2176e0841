/**
 * Which rows of a table have changed since the last checkpoint that holds all of them: one bit for each row, and the
 * ids of rows that were evicted. So the next checkpoint need only hold what is marked here.
 */

const BITS = 32;

/** Changes since they began to be noted. */
export class UnsavedRows {
  /** Ids that had a row, and lost it; they may have another one since. */
  readonly removed: Set<number> = new Set();
  /** Everything has changed: there is no telling what has not. */
  isAll = false;
  #marks = new Uint32Array(0);
  #count = 0;

  /** Rows that have changed and are there. */
  get count(): number {
    return this.#count;
  }

  has(row: number): boolean {
    const word = this.#marks[row >>> 5] ?? 0;
    return ((word >>> (row & 31)) & 1) === 1;
  }

  /** The first `count` of `rows` have changed. */
  mark(rows: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const at = row >>> 5;
      if (at >= this.#marks.length) this.#grow(at);
      const bit = 1 << (row & 31);
      const word = this.#marks[at] as number;
      if ((word & bit) !== 0) continue;
      this.#marks[at] = word | bit;
      this.#count++;
    }
  }

  /** The id has lost its row. */
  remove(row: number, id: number): void {
    this.removed.add(id);
    if (!this.has(row)) return;
    this.#marks[row >>> 5] = (this.#marks[row >>> 5] as number) & ~(1 << (row & 31));
    this.#count--;
  }

  #grow(at: number): void {
    const larger = new Uint32Array(Math.max(at + 1, Math.ceil(this.#marks.length * 1.25), 2 * BITS));
    larger.set(this.#marks);
    this.#marks = larger;
  }
}
