/**
 * Writes numbers and strings as bytes, little-endian, one behind the other, into memory that grows and is
 * reused. What is written has no marks of its own: `ByteReader` must read the same kinds in the same order.
 */

/** A growing run of bytes. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#bytes = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** What has been written, as a view that is valid until the next call. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what was written and keeps the memory. */
  restart(): void {
    this.#length = 0;
  }

  uint8(value: number): void {
    this.#view.setUint8(this.#advance(1), value);
  }

  uint32(value: number): void {
    this.#view.setUint32(this.#advance(4), value, true);
  }

  /** An integer from 0 to 2^53 − 1, in 8 bytes. */
  uint53(value: number): void {
    const at = this.#advance(8);
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  float64(value: number): void {
    this.#view.setFloat64(this.#advance(8), value, true);
  }

  /**
   * Any string, code unit by code unit, so that also one that is no Unicode comes back as it was: units × 2
   * (+ 1 if one is above 255) in 4 bytes, then each unit in 1 (or 2) bytes.
   */
  text(value: string): void {
    let isWide = false;
    for (let i = 0; i < value.length && !isWide; i++) isWide = value.charCodeAt(i) > 255;
    this.uint32(value.length * 2 + (isWide ? 1 : 0));
    const at = this.#advance(isWide ? value.length * 2 : value.length);
    for (let i = 0; i < value.length; i++) {
      if (isWide) this.#view.setUint16(at + i * 2, value.charCodeAt(i), true);
      else this.#bytes[at + i] = value.charCodeAt(i);
    }
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#advance(value.length));
  }

  /** Zeros until the length is a multiple of `size`. */
  pad(size: number): void {
    const count = (size - (this.#length % size)) % size;
    const at = this.#advance(count);
    this.#bytes.fill(0, at, at + count);
  }

  #advance(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
