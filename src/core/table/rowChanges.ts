/**
 * Which rows of a table were changed last, for readers that keep a copy: the ids in the order of the updates, in a ring
 * of bounded size. Each id that was ever logged has a position; a reader is at one, and wants what is behind it.
 *
 *     positions   …  [floor ……………… mark of a reader ……………… end)
 *                       └ kept ┘                  └ what it wants ┘
 *
 * Who is behind the floor has missed something, and reads the whole table. It holds no values: a reader gets those
 * that are current, so a row that was changed often is sent once.
 */
import { sortIds } from '../tensor/rowIds.js';

/** Ids kept at first; the ring grows from there. */
const FIRST_IDS = 4_096;

/** The changes of one table. */
export class RowChanges {
  readonly #maxIds: number;
  /** Two words for each id. */
  #ring: Uint32Array;
  #floor = 0;
  #end = 0;

  /** `maxIds`: kept at most, 8 bytes each. */
  constructor(maxIds: number) {
    this.#maxIds = maxIds;
    this.#ring = new Uint32Array(2 * Math.min(maxIds, FIRST_IDS));
  }

  /** The position behind the last change. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of its ring. */
  get bytes(): number {
    return this.#ring.byteLength;
  }

  /** Whether everything behind `mark` is still here. */
  reaches(mark: number): boolean {
    return mark >= this.#floor && mark <= this.#end;
  }

  /** Something changed that was not logged: whoever reads has to read everything. */
  reset(): void {
    this.#end++;
    this.#floor = this.#end;
  }

  /** Notes that the rows of the ids `words` (two words each) were changed. O(ids). */
  add(words: Uint32Array): void {
    const count = words.length / 2;
    if (count > this.#maxIds) {
      this.reset();
      return;
    }
    this.#grow(this.#end - this.#floor + count);
    const ring = this.#ring;
    const at = (2 * this.#end) % ring.length;
    const first = Math.min(words.length, ring.length - at);
    ring.set(words.subarray(0, first), at);
    ring.set(words.subarray(first), 0);
    this.#end += count;
    this.#floor = Math.max(this.#floor, this.#end - ring.length / 2);
  }

  /**
   * The ids that were changed behind `mark`, each once and rising, and the position that they reach to; of at most `max`
   * changes. REQUIRES: `reaches(mark)`. O(max).
   */
  since(mark: number, max: number): { readonly words: Uint32Array; readonly mark: number } {
    const reached = Math.min(this.#end, mark + max);
    const words = this.#copy(mark, reached);
    return { words: sortIds('ids', new BigUint64Array(words.buffer)).words, mark: reached };
  }

  /** The words at the positions [from, to). */
  #copy(from: number, to: number): Uint32Array<ArrayBuffer> {
    const ring = this.#ring;
    const words = new Uint32Array(2 * (to - from));
    const at = (2 * from) % ring.length;
    const first = Math.min(words.length, ring.length - at);
    words.set(ring.subarray(at, at + first));
    words.set(ring.subarray(0, words.length - first), first);
    return words;
  }

  #grow(count: number): void {
    const capacity = this.#ring.length / 2;
    if (count <= capacity || capacity === this.#maxIds) return;
    const kept = this.#copy(this.#floor, this.#end);
    this.#ring = new Uint32Array(2 * Math.min(this.#maxIds, Math.max(2 * capacity, count)));
    const at = (2 * this.#floor) % this.#ring.length;
    const first = Math.min(kept.length, this.#ring.length - at);
    this.#ring.set(kept.subarray(0, first), at);
    this.#ring.set(kept.subarray(first), 0);
  }
}
