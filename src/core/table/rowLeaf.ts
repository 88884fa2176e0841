/**
 * One leaf of the row index: a table of ids, open addressing with linear probing, without tombstones.
 * A cell is two words, the id's low one and its row + 1 (0: empty), so that a look-up touches one place; high words
 * are kept apart, and only once there is one that is not 0.
 *
 * The home of an id, the first cell to look at, is in proportion to where the id stands in the leaf's range: so rising
 * ids walk through the cells in one direction, and evenly spaced ones are all at home. If ids crowd, or the range
 * has no end, homes are hashes of the ids instead.
 */

const MIN_CELLS = 16;
const MAX_LOAD = 0.8;
/** Load of a leaf that has just been sized. */
const NEW_LOAD = 2 / 3;
/** Cells that ids are away from their homes, on average over all cells, when they are said to crowd: twice what chance does. */
const MAX_DISPLACED = 4;
/** The same, of a single id. */
const MAX_DISTANCE = 512;
const TWO_32 = 0x1_0000_0000;

/** Ids and their rows, in the same order. */
export interface LeafList {
  readonly ids: Float64Array;
  readonly rows: Int32Array;
}

/** Ids of one range, with their rows. */
export class Leaf {
  #cells: Uint32Array;
  #high: Uint32Array | undefined;
  /** Cells. */
  #size: number;
  #count = 0;
  /** All its ids are in [first, end). */
  readonly #first: number;
  readonly #end: number;
  /** Cells for each id of the range; 0: homes are hashes. */
  #scale = 0;
  /** Cells that ids are away from their homes, all together; not counted where homes are hashes. */
  #displaced = 0;

  /** A leaf with room for `count` ids from `first` on, all below `end`; Infinity: no bound. */
  constructor(count: number, first: number, end: number) {
    this.#size = sizeFor(count);
    this.#cells = new Uint32Array(2 * this.#size);
    this.#first = first;
    this.#end = end;
    this.#scale = this.#size / (end - first);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#cells.byteLength + (this.#high?.byteLength ?? 0);
  }

  /** Writes the rows of the ids [begin, end) of `words` to `rows` from `at` on; −1 for those that are not there. */
  find(words: Uint32Array, begin: number, end: number, rows: Int32Array, at: number): void {
    if (this.#scale === 0) this.#findByHash(words, begin, end, rows, at);
    else this.#findInOrder(words, begin, end, rows, at);
  }

  /** As `find`. The loop is there twice, so that neither asks for each id which home it has. */
  #findInOrder(words: Uint32Array, begin: number, end: number, rows: Int32Array, at: number): void {
    const cells = this.#cells;
    const high = this.#high;
    const size = this.#size;
    const first = this.#first;
    const scale = this.#scale;
    let to = at;
    for (let i = begin; i < end; i++) {
      const low = words[2 * i] as number;
      const highWord = words[2 * i + 1] as number;
      let cell = inProportion(highWord * TWO_32 + low - first, scale, size);
      for (;;) {
        const value = cells[2 * cell + 1] as number;
        if (value === 0 || (cells[2 * cell] === low && highWord === (high === undefined ? 0 : high[cell]))) {
          rows[to++] = value - 1;
          break;
        }
        cell++;
        if (cell === size) cell = 0;
      }
    }
  }

  #findByHash(words: Uint32Array, begin: number, end: number, rows: Int32Array, at: number): void {
    const cells = this.#cells;
    const high = this.#high;
    const size = this.#size;
    let to = at;
    for (let i = begin; i < end; i++) {
      const low = words[2 * i] as number;
      const highWord = words[2 * i + 1] as number;
      let cell = hashed(low, highWord, size);
      for (;;) {
        const value = cells[2 * cell + 1] as number;
        if (value === 0 || (cells[2 * cell] === low && highWord === (high === undefined ? 0 : high[cell]))) {
          rows[to++] = value - 1;
          break;
        }
        cell++;
        if (cell === size) cell = 0;
      }
    }
  }

  /** Adds an id. REQUIRES: it is not there. */
  add(low: number, high: number, row: number): void {
    if (this.#count + 1 > MAX_LOAD * this.#size) this.#resize();
    this.#put(low, high, row + 1);
    this.#count++;
  }

  /** Removes an id; returns its row, −1 if it was not there. */
  remove(low: number, high: number): number {
    const at = this.#probe(low, high);
    const row = (this.#cells[2 * at + 1] as number) - 1;
    if (row < 0) return row;
    this.#closeGap(at);
    this.#count--;
    if (this.#size > MIN_CELLS && this.#count < (NEW_LOAD / 2) * this.#size) this.#resize();
    return row;
  }

  /** All ids with their rows. O(cells). */
  list(): LeafList {
    const cells = this.#cells;
    const high = this.#high;
    const ids = new Float64Array(this.#count);
    const rows = new Int32Array(this.#count);
    let at = 0;
    for (let cell = 0; cell < this.#size; cell++) {
      const value = cells[2 * cell + 1] as number;
      if (value === 0) continue;
      ids[at] = (high === undefined ? 0 : (high[cell] as number)) * TWO_32 + (cells[2 * cell] as number);
      rows[at++] = value - 1;
    }
    return { ids, rows };
  }

  /** Homes are hashes from now on: ids will come that are not in its range. O(cells). */
  forgetRange(): void {
    if (this.#scale !== 0) this.#refill(this.#size, 0);
  }

  /** The cell of the id, or the empty one where it would stand. */
  #probe(low: number, high: number): number {
    const cells = this.#cells;
    let cell = this.#homeOf(low, high);
    for (;;) {
      if (cells[2 * cell + 1] === 0) return cell;
      if (cells[2 * cell] === low && high === (this.#high === undefined ? 0 : this.#high[cell])) return cell;
      cell++;
      if (cell === this.#size) cell = 0;
    }
  }

  #put(low: number, high: number, value: number): void {
    if (high !== 0) this.#high ??= new Uint32Array(this.#size);
    const cell = this.#probe(low, high);
    this.#cells[2 * cell] = low;
    this.#cells[2 * cell + 1] = value;
    if (this.#high !== undefined) this.#high[cell] = high;
    if (this.#scale === 0) return;
    const distance = this.#distance(this.#homeOf(low, high), cell);
    this.#displaced += distance;
    const isCrowded = distance > MAX_DISTANCE || this.#displaced > MAX_DISPLACED * this.#size;
    if (isCrowded) this.#refill(this.#size, 0);
  }

  #resize(): void {
    const size = sizeFor(this.#count);
    this.#refill(size, this.#scale === 0 ? 0 : size / (this.#end - this.#first));
  }

  /** Puts all ids into new cells. `scale`: 0 for homes that are hashes. */
  #refill(size: number, scale: number): void {
    const cells = this.#cells;
    const high = this.#high;
    const before = this.#size;
    this.#size = size;
    this.#scale = scale;
    this.#displaced = 0;
    this.#cells = new Uint32Array(2 * size);
    this.#high = undefined;
    for (let cell = 0; cell < before; cell++) {
      const value = cells[2 * cell + 1] as number;
      if (value !== 0) this.#put(cells[2 * cell] as number, high?.[cell] ?? 0, value);
    }
  }

  /** Empties cell `at` and moves those behind it up, so that every id is still reached from its home. */
  #closeGap(at: number): void {
    const cells = this.#cells;
    const high = this.#high;
    let gap = at;
    this.#displaced -= this.#distance(this.#homeOf(cells[2 * at] as number, high?.[at] ?? 0), at);
    for (let next = this.#after(at); cells[2 * next + 1] !== 0; next = this.#after(next)) {
      const low = cells[2 * next] as number;
      const highWord = high?.[next] ?? 0;
      // It may move into the gap unless its home lies behind the gap.
      const moved = this.#distance(gap, next);
      if (this.#distance(this.#homeOf(low, highWord), next) < moved) continue;
      this.#displaced -= moved;
      cells[2 * gap] = low;
      cells[2 * gap + 1] = cells[2 * next + 1] as number;
      if (high !== undefined) high[gap] = highWord;
      gap = next;
    }
    cells[2 * gap] = 0;
    cells[2 * gap + 1] = 0;
    if (high !== undefined) high[gap] = 0;
  }

  /** The first cell to look at for an id. */
  #homeOf(low: number, high: number): number {
    if (this.#scale === 0) return hashed(low, high, this.#size);
    return inProportion(high * TWO_32 + low - this.#first, this.#scale, this.#size);
  }

  #after(cell: number): number {
    return cell + 1 === this.#size ? 0 : cell + 1;
  }

  /** Cells from `from` forward to `to`. */
  #distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.#size;
  }
}

/** Cells for `count` ids. */
function sizeFor(count: number): number {
  return Math.max(MIN_CELLS, Math.ceil(count / NEW_LOAD));
}

/** Where `offset` stands in a range that has `scale` cells for each id. Rounding may reach `size`, where no cell is. */
function inProportion(offset: number, scale: number, size: number): number {
  const cell = (offset * scale) | 0;
  return cell < size ? cell : size - 1;
}

/** The hash of an id (the finaliser of MurmurHash3, Appleby), scaled to `size`. */
function hashed(low: number, high: number, size: number): number {
  let hash = low ^ Math.imul(high, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  // 16 bits times a size below 2^16: an integer of 32 bits.
  return Math.imul(hash >>> 16, size) >>> 16;
}
