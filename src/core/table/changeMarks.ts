/**
 * In which version each block of the dense parameters was last changed, for readers that keep a copy: whoever has
 * version v lacks the blocks marked higher than v. A block is at most `BLOCK_ELEMENTS` of one tensor.
 *
 *     tensor    | kernel                 | bias | scale |
 *     block     | 0     | 1     | 2      | 3    | 4     |
 *     mark      | 7     | 9     | 7      | 9    | 2     |       at 7: blocks 1 and 3 are lacking
 *
 * A mark may be higher than it need be, never lower. It knows no readers: how far one is, it says itself. Before the
 * first one comes nothing is marked, and updates cost nothing.
 */
import type { Catalogue, CatalogueEntry, Selection } from '../tensor/catalogue.js';

/** Elements of a block at most: 64 KiB. */
export const BLOCK_ELEMENTS = 16_384;
/** Elements that are compared before it is asked whether any differed. */
const RUN_ELEMENTS = 256;

/** The marks of one server's tensors. */
export class ChangeMarks {
  readonly #entries: readonly CatalogueEntry[];
  /** First element of each block in the flat range, and behind the last the end of all. */
  #starts: number[] = [];
  /** First block of each tensor, and behind the last the number of all. */
  #firstBlocks: number[] = [];
  /** By block. */
  #marks: Float64Array | undefined;
  /** Blocks in which the update under way was found to change something; undefined: nobody looked when it began. */
  #found: Uint8Array | undefined;

  constructor({ entries }: Pick<Catalogue, 'entries'>) {
    this.#entries = entries;
  }

  /** Whether anybody was ever interested. */
  get isWatched(): boolean {
    return this.#marks !== undefined;
  }

  /** Somebody has a copy, or wants one; `version`: the current one. All that is older counts as changed in it. */
  watch(version: number): void {
    if (this.#marks !== undefined) return;
    for (const { offset, length } of this.#entries) {
      this.#firstBlocks.push(this.#starts.length);
      for (let at = 0; at < length; at += BLOCK_ELEMENTS) this.#starts.push(offset + at);
    }
    this.#firstBlocks.push(this.#starts.length);
    const last = this.#entries.at(-1);
    this.#marks = new Float64Array(this.#starts.length).fill(version);
    this.#starts.push(last === undefined ? 0 : last.offset + last.length);
  }

  /** An update begins. `isCompared`: everything that it writes is given to `compare`. */
  begin(isCompared: boolean): void {
    this.#found = isCompared && this.#marks !== undefined ? new Uint8Array(this.#marks.length) : undefined;
  }

  /** Whether what `compare` is told matters. */
  get isComparing(): boolean {
    return this.#found !== undefined;
  }

  /** The update has written the elements [begin, end) of `target`; `before`: what they were, from element `base` on. */
  compare(before: Float32Array, target: Float32Array, begin: number, end: number, base: number = 0): void {
    if (this.#found === undefined) return;
    for (let block = this.#blockAt(begin); (this.#starts[block] as number) < end; block++) {
      if (this.#found[block] === 1) continue;
      const from = Math.max(begin, this.#starts[block] as number);
      const to = Math.min(end, this.#starts[block + 1] as number);
      if (to > from && differs(before.subarray(from - base, to - base), target.subarray(from, to))) {
        this.#found[block] = 1;
      }
    }
  }

  /** The update of the tensors `changed` (undefined: any) is version `version`. */
  published(version: number, changed: readonly number[] | undefined): void {
    const [marks, found] = [this.#marks, this.#found];
    this.#found = undefined;
    if (marks === undefined) return;
    if (changed === undefined) this.#mark(marks, found, 0, marks.length, version);
    for (const index of changed ?? []) {
      const [first, end] = this.#blocksOf(index);
      this.#mark(marks, found, first, end, version);
    }
  }

  /**
   * What of `selection` has changed since `version`, in elements of the selection: begin and end of each range, in
   * order, at most `max` ranges; undefined: nobody knows. O(blocks of the selection).
   */
  since(version: number, selection: Selection, max: number): number[] | undefined {
    if (this.#marks === undefined) return undefined;
    const spans: number[] = [];
    let at = 0;
    for (const { index, offset, length } of selection.entries) {
      const [first, end] = this.#blocksOf(index);
      for (let block = first; block < end; block++) {
        if ((this.#marks[block] as number) <= version) continue;
        const begin = at + (this.#starts[block] as number) - offset;
        const until = Math.min(at + length, begin + BLOCK_ELEMENTS);
        if (spans[spans.length - 1] === begin) spans[spans.length - 1] = until;
        else spans.push(begin, until);
      }
      at += length;
    }
    return joined(spans, max);
  }

  #mark(
    marks: Float64Array,
    found: Uint8Array | undefined,
    first: number,
    end: number,
    version: number,
  ): void {
    for (let block = first; block < end; block++) {
      if (found === undefined || found[block] === 1) marks[block] = version;
    }
  }

  #blocksOf(index: number): readonly [first: number, end: number] {
    return [this.#firstBlocks[index] as number, this.#firstBlocks[index + 1] as number];
  }

  /** The block that holds element `at`. */
  #blockAt(at: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as number) <= at) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Whether any bit differs: a zero has two signs, and no NaN equals itself. */
function differs(a: Float32Array, b: Float32Array): boolean {
  const bitsOfA = new Uint32Array(a.buffer, a.byteOffset, a.length);
  const bitsOfB = new Uint32Array(b.buffer, b.byteOffset, b.length);
  for (let at = 0; at < bitsOfA.length; ) {
    // Without a branch for each element it takes two thirds of the time.
    const end = Math.min(bitsOfA.length, at + RUN_ELEMENTS);
    let found = 0;
    for (; at < end; at++) found |= (bitsOfA[at] as number) ^ (bitsOfB[at] as number);
    if (found !== 0) return true;
  }
  return false;
}

/** At most `max` ranges: those with the least between them become one. */
function joined(spans: number[], max: number): number[] {
  const count = spans.length / 2;
  if (count <= max) return spans;
  const gaps = Array.from({ length: count - 1 }, (_, i) => i);
  const widthOf = (gap: number): number => (spans[2 * gap + 2] as number) - (spans[2 * gap + 1] as number);
  gaps.sort((a, b) => widthOf(b) - widthOf(a));
  const kept = gaps.slice(0, max - 1).sort((a, b) => a - b);
  const ends = [...kept.map((gap) => spans[2 * gap + 1] as number), spans[spans.length - 1] as number];
  const begins = [spans[0] as number, ...kept.map((gap) => spans[2 * gap + 2] as number)];
  return begins.flatMap((begin, i) => [begin, ends[i] as number]);
}
