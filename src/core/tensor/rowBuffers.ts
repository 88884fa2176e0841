/**
 * Memory for the rows of large pulls and pushes between the order of the ids and the caller's. Memory that is new must be
 * mapped by the system page by page, which takes as long as moving the rows; so what was used is used again.
 */

/** What is shorter than this many elements gets memory of its own. */
const MIN_LENGTH = 65_536;
/** A new one is longer by up to an eighth: the next batch has another number of rows, and is to find room in it. */
const STEPS = 8;
/** Buffers kept, and elements of each at most: 256 MiB together. */
const MAX_FREE = 2;
const MAX_LENGTH = 33_554_432;

/** Buffers that are lent. */
export class RowBuffers {
  readonly #free: Float32Array[] = [];

  /** An array of `length` elements, whatever is in it; `give` it back when nobody reads it any more. */
  take(length: number): Float32Array {
    if (length < MIN_LENGTH) return new Float32Array(length);
    const at = this.#free.findIndex((each) => each.length >= length);
    const [buffer = new Float32Array(roundedUp(length))] = at < 0 ? [] : this.#free.splice(at, 1);
    return buffer.subarray(0, length);
  }

  give(array: Float32Array): void {
    const whole = new Float32Array(array.buffer);
    if (whole.length < MIN_LENGTH || whole.length > MAX_LENGTH) return;
    if (this.#free.length === MAX_FREE) this.#free.shift();
    this.#free.push(whole);
  }
}

function roundedUp(length: number): number {
  const step = 2 ** Math.floor(Math.log2(length)) / STEPS;
  return Math.ceil(length / step) * step;
}
