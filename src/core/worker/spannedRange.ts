/**
 * Ranges of a larger range of bytes, laid end to end: where the answer to a pull goes that has only what has changed.
 * What lies between them is not touched.
 */
import type { TensorRange } from './tensorRange.js';

/** A span: its first byte among the spans', and among the range's. */
interface Piece {
  readonly at: number;
  readonly begin: number;
  readonly length: number;
}

/** Some spans of a `TensorRange`, as a range of their own. */
export class SpannedRange {
  readonly byteLength: number;
  readonly #range: TensorRange;
  readonly #spans: readonly Piece[];
  /** The span that the last access began in; chunks come in order. */
  #cursor = 0;

  /** `spans`: begin and end of each, in elements, rising. REQUIRES: they lie in `range`. */
  constructor(range: TensorRange, spans: readonly number[]) {
    this.#range = range;
    const pieces: Piece[] = [];
    let at = 0;
    for (let i = 0; i < spans.length; i += 2) {
      const begin = 4 * (spans[i] as number);
      const length = 4 * (spans[i + 1] as number) - begin;
      pieces.push({ at, begin, length });
      at += length;
    }
    this.#spans = pieces;
    this.byteLength = at;
  }

  /** The bytes [begin, end) as a view where they lie in one piece of memory, to be written in place. */
  view(begin: number, end: number): Uint8Array | undefined {
    if (begin < 0 || end > this.byteLength) return undefined;
    const span = this.#spans[this.#find(begin)];
    if (span === undefined || end > span.at + span.length) return undefined;
    return this.#range.view(span.begin + begin - span.at, span.begin + end - span.at);
  }

  /** Copies `bytes` to [begin, begin + bytes.length), unless they are the view of that place. */
  write(begin: number, bytes: Uint8Array): void {
    let done = 0;
    for (let i = this.#find(begin); done < bytes.length; i++) {
      const { at, begin: start, length } = this.#spans[i] as Piece;
      const within = begin + done - at;
      const count = Math.min(length - within, bytes.length - done);
      this.#range.write(start + within, bytes.subarray(done, done + count));
      done += count;
    }
  }

  #find(at: number): number {
    let i = (this.#spans[this.#cursor]?.at ?? 0) <= at ? this.#cursor : 0;
    while (i + 1 < this.#spans.length && (this.#spans[i + 1]?.at as number) <= at) i++;
    this.#cursor = i;
    return i;
  }
}

/**
 * Which of arrays of `lengths`, laid end to end, have an element in `spans` (as of `SpannedRange`); their positions.
 * O(arrays + spans).
 */
export function touchedBy(spans: readonly number[], lengths: readonly number[]): number[] {
  const touched: number[] = [];
  let at = 0;
  let next = 0;
  for (const [i, length] of lengths.entries()) {
    const end = at + length;
    while (next < spans.length && (spans[next + 1] as number) <= at) next += 2;
    if (next < spans.length && (spans[next] as number) < end && length > 0) touched.push(i);
    at = end;
  }
  return touched;
}
