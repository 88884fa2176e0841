/**
 * Rows of one table as a reader keeps them: by id, in one piece of memory that grows. A row that is gone leaves its place
 * to the next. It asks nobody.
 */

const FIRST_ROWS = 256;

/** A reader's rows of a table. */
export class RowCopy {
  readonly dim: number;
  readonly #places = new Map<number, number>();
  readonly #free: number[] = [];
  #values: Float32Array;

  constructor(dim: number) {
    this.dim = dim;
    this.#values = new Float32Array(FIRST_ROWS * dim);
  }

  /** Rows in it. */
  get size(): number {
    return this.#places.size;
  }

  /** The ids of its rows. */
  ids(): IterableIterator<number> {
    return this.#places.keys();
  }

  /** A view of the row of `id`, valid until the copy changes; undefined: it has none. */
  get(id: number): Float32Array | undefined {
    const place = this.#places.get(id);
    return place === undefined ? undefined : this.#at(place);
  }

  /** The row of `ids[i]` becomes what stands at `i · dim` of `data`. */
  set(ids: Float64Array, data: Float32Array): void {
    const { dim } = this;
    for (let i = 0; i < ids.length; i++) {
      const place = this.#placeOf(ids[i] as number);
      this.#at(place).set(data.subarray(i * dim, (i + 1) * dim));
    }
  }

  /** Forgets the rows of `ids`. */
  delete(ids: Float64Array): void {
    for (const id of ids) {
      const place = this.#places.get(id);
      if (place === undefined) continue;
      this.#places.delete(id);
      this.#free.push(place);
    }
  }

  #at(place: number): Float32Array {
    return this.#values.subarray(place * this.dim, (place + 1) * this.dim);
  }

  #placeOf(id: number): number {
    const known = this.#places.get(id);
    if (known !== undefined) return known;
    // Places are taken without gaps.
    const place = this.#free.pop() ?? this.#places.size;
    this.#places.set(id, place);
    if ((place + 1) * this.dim > this.#values.length) {
      const values = new Float32Array(2 * this.#values.length);
      values.set(this.#values);
      this.#values = values;
    }
    return place;
  }
}

/** The rows of a table, each part of it in a copy of its own. */
export class RowCopies {
  readonly dim: number;
  readonly #parts: readonly RowCopy[];

  constructor(dim: number, parts: readonly RowCopy[]) {
    this.dim = dim;
    this.#parts = parts;
  }

  /** Rows in it. */
  get size(): number {
    return this.#parts.reduce((sum, { size }) => sum + size, 0);
  }

  /** The ids of its rows. */
  *ids(): Generator<number, void, undefined> {
    for (const part of this.#parts) yield* part.ids();
  }

  /** A view of the row of `id`, valid until the copy changes; undefined: it has none. */
  get(id: number): Float32Array | undefined {
    for (const part of this.#parts) {
      const row = part.get(id);
      if (row !== undefined) return row;
    }
    return undefined;
  }
}
