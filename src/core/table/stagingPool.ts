/**
 * Memory for pushes that arrive in several chunks: a push is gathered here, checked, and only then
 * applied, so that it is all or nothing. A push that finds no room waits; room is given first come,
 * first served. Areas are reused, since fresh memory costs ten times the copy into it.
 */

/** Shorter areas cost little when they are new. */
const MIN_VARYING = 16_384;

/** A bounded set of reusable areas. */
export class StagingPool {
  readonly #maxBytes: number;
  readonly #allocate: (length: number) => Float32Array;
  readonly #release: (area: Float32Array) => void;
  readonly #free: Float32Array[] = [];
  /** The areas that are lent of which not all was asked for, by what was given out. */
  readonly #wholes = new Map<Float32Array, Float32Array>();
  #usedBytes = 0;
  #heldBytes = 0;

  /**
   * `maxBytes`: bound on all areas together; one area may always be taken, whatever its size.
   * `release` gets areas that are not kept.
   */
  constructor(
    maxBytes: number,
    allocate: (length: number) => Float32Array,
    release: (area: Float32Array) => void = () => {},
  ) {
    this.#maxBytes = maxBytes;
    this.#allocate = allocate;
    this.#release = release;
  }

  /** Bytes of the areas in use. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * An area of `length` elements (contents undefined), or undefined when there is no room now. `isVarying`: the next will
   * have another length, as pushes of rows do: it gets a part of one that will do for those too. Throws what `allocate`
   * does.
   */
  take(length: number, isVarying: boolean = false): Float32Array | undefined {
    if (!isVarying || length < MIN_VARYING) return this.#take(length);
    const step = 2 ** (Math.floor(Math.log2(length)) - 3);
    const whole = this.#take(Math.ceil(length / step) * step);
    if (whole === undefined || whole.length === length) return whole;
    const part = whole.subarray(0, length);
    this.#wholes.set(part, whole);
    return part;
  }

  #take(length: number): Float32Array | undefined {
    const bytes = length * 4;
    if (this.#usedBytes > 0 && this.#usedBytes + bytes > this.#maxBytes) return undefined;
    const index = this.#free.findIndex((area) => area.length === length);
    if (index >= 0) {
      this.#usedBytes += bytes;
      return this.#free.splice(index, 1)[0];
    }
    while (this.#free.length > 0 && this.#heldBytes + bytes > this.#maxBytes) {
      const dropped = this.#free.shift() as Float32Array;
      this.#heldBytes -= dropped.byteLength;
      this.#release(dropped);
    }
    const area = this.#allocate(length);
    this.#usedBytes += bytes;
    this.#heldBytes += bytes;
    return area;
  }

  /** Counts `bytes` that lie elsewhere as if they were an area; false when there is no room for them now. */
  charge(bytes: number): boolean {
    if (this.#usedBytes > 0 && this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Takes back what was charged. */
  refund(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** Gives an area back. Exactly once per area. */
  give(area: Float32Array): void {
    const whole = this.#wholes.get(area) ?? area;
    this.#wholes.delete(area);
    this.#usedBytes -= whole.byteLength;
    this.#free.push(whole);
  }
}
