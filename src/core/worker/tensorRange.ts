/**
 * Several arrays, laid end to end in one range of bytes without being moved: the gradients of a push
 * as they are cut into chunks, and the destinations of a pull as chunks arrive. Each byte is copied
 * once. It knows neither names nor the catalogue.
 */
import { invariant } from '../base/invariant.js';
import { bytesOf } from '../protocol/modelStream.js';

/** A range of bytes over arrays. */
export class TensorRange {
  readonly arrays: readonly Float32Array[];
  readonly byteLength: number;
  readonly #starts: readonly number[];
  /** The array that the last access ended in; chunks come in order. */
  #cursor = 0;

  constructor(arrays: readonly Float32Array[]) {
    let byteLength = 0;
    this.arrays = arrays;
    this.#starts = arrays.map((array) => {
      const start = byteLength;
      byteLength += array.byteLength;
      return start;
    });
    this.byteLength = byteLength;
  }

  /**
   * The bytes [begin, end): a view where they lie in one array, else a copy into `scratch`, valid
   * until its next use. Requires scratch().length ≥ end − begin.
   */
  read(begin: number, end: number, scratch: () => Uint8Array): Uint8Array {
    const first = this.#find(begin);
    const start = this.#starts[first] ?? 0;
    const array = this.arrays[first];
    if (array !== undefined && end <= start + array.byteLength) {
      return bytesOf(array).subarray(begin - start, end - start);
    }
    const target = scratch().subarray(0, end - begin);
    this.#forEachPiece(begin, end, (bytes, at) => target.set(bytes, at - begin));
    return target;
  }

  /** Copies `bytes` to [begin, begin + bytes.length). */
  write(begin: number, bytes: Uint8Array): void {
    this.#forEachPiece(begin, begin + bytes.length, (target, at) => {
      target.set(bytes.subarray(at - begin, at - begin + target.length));
    });
  }

  #forEachPiece(begin: number, end: number, visit: (bytes: Uint8Array, at: number) => void): void {
    invariant(begin >= 0 && end <= this.byteLength, 'a piece lies in its range');
    let at = begin;
    for (let i = this.#find(begin); at < end; i++) {
      const array = this.arrays[i] as Float32Array;
      const start = this.#starts[i] as number;
      const until = Math.min(end, start + array.byteLength);
      if (until > at) visit(bytesOf(array).subarray(at - start, until - start), at);
      at = Math.max(at, until);
      this.#cursor = i;
    }
  }

  /** The array that holds byte `at`, or the last one. Constant time for accesses in order. */
  #find(at: number): number {
    let i = (this.#starts[this.#cursor] ?? 0) <= at ? this.#cursor : 0;
    while (i + 1 < this.#starts.length && (this.#starts[i + 1] as number) <= at) i++;
    return i;
  }
}
