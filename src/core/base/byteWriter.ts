/**
 * Writes numbers and strings as bytes, little-endian, one behind the other, into memory that grows and is
 * reused. What is written has no marks of its own: `ByteReader` must read the same kinds in the same order.
 */

const encoder = new TextEncoder();

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

  /** A string: its length in UTF-8 in 4 bytes, then UTF-8. Lone surrogates become U+FFFD. */
  text(value: string): void {
    const lengthAt = this.#advance(4);
    const at = this.#advance(value.length * 3);
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(at));
    this.#view.setUint32(lengthAt, written, true);
    this.#length = at + written;
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
